"""A file is read as far as it may be, and nothing else is waited for."""

import os
from pathlib import Path

import pytest

from kioskd.adapters.regular_file import content


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert content(file, 5) == b"12345"
    assert content(file, 3) == b"123"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    place = {"pipe": tmp_path / "pipe", "device": Path("/dev/zero"), "folder": tmp_path}[kind]
    with pytest.raises(OSError, match=r"no regular file|Is a directory"):
        content(place, 1)
