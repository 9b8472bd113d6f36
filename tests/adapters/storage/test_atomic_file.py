"""The check whether a folder can be written: on real file systems that are full or read-only."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from kioskd.adapters.storage import atomic_file

LOOK: Final = """
import pathlib, sys
from kioskd.adapters.storage import atomic_file
try:
    atomic_file.check_folder(pathlib.Path(sys.argv[1]))
except OSError as error:
    print(error.errno, error.filename)
"""


def mounted(options: str, fill: str, folder: Path, *, below: str = "") -> str:
    """Return the result of a check of a tmpfs with these `options`, after `fill` was run in it."""
    script = (
        f"mount -t tmpfs -o {options} state {folder} && cd {folder} && {{ {fill}; }} && cd / && "
        f'exec "$0" -c "$1" {folder / below}'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, LOOK],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    return done.stdout.strip()


mounts = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@mounts
@pytest.mark.parametrize(
    ("options", "fill", "number"),
    [
        ("size=64k", "true", 0),
        ("size=0,nr_inodes=0", "true", 0),
        ("size=64k", "head -c 64k /dev/zero > filler", errno.ENOSPC),
        ("size=64k,nr_inodes=3", "touch a b", errno.ENOSPC),
        ("size=64k", "mount -o remount,ro .", errno.EROFS),
    ],
    ids=["room", "without bounds", "full", "no inodes", "read-only"],
)
def test_the_check_gives_the_error_that_a_write_would_raise(
    tmp_path: Path, options: str, fill: str, number: int
) -> None:
    assert mounted(options, fill, tmp_path) == (f"{number} {tmp_path}" if number else "")


@mounts
def test_a_missing_folder_is_judged_by_its_parent(tmp_path: Path) -> None:
    found = mounted("size=64k", "mount -o remount,ro .", tmp_path, below="deep/er")
    assert found == f"{errno.EROFS} {tmp_path / 'deep/er'}"


def test_a_missing_folder_on_a_good_disk_is_good(tmp_path: Path) -> None:
    atomic_file.check_folder(tmp_path / "deep" / "er")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(NotADirectoryError) as trouble:
        atomic_file.check_folder(tmp_path / "state" / "deeper")
    assert trouble.value.filename == str(tmp_path / "state" / "deeper")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    looking = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-c", LOOK, "/root"],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert looking.stdout.strip() == f"{errno.EACCES} /root"
