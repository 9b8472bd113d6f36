"""Files leave the page cache on request, and the files of a start are found."""

import errno
import os
import sys
from pathlib import Path

import pytest
from tests.bench import page_cache

import kioskd


def in_memory(path: Path) -> bool:
    """Return whether the kernel can give the file without reading the disk."""
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(4096)], 0, os.RWF_NOWAIT) > 0
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                pytest.skip("the file system of the tests keeps its files in memory")
            raise


def test_a_file_that_is_forgotten_must_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "module.pyc"
    path.write_bytes(bytes(8192))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    assert in_memory(path)
    page_cache.forget([tmp_path / "absent", path])
    assert not in_memory(path)


def test_a_start_reads_the_package_the_interpreter_and_the_environment() -> None:
    files = page_cache.files_of_a_start(page_cache.mapped_by(os.getpid()))
    assert Path(kioskd.__file__) in files
    assert Path(os.__file__) in files
    assert Path(pytest.__file__) in files
    assert Path(sys.executable).resolve() in files


def test_bytes_read_and_written_are_known() -> None:
    assert page_cache.read_mb(os.getpid()) >= 0
    assert page_cache.written_bytes(os.getpid()) >= 0
