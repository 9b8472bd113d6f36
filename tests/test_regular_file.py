"""A regular file is read up to a bound. A pipe or a device is rejected without waiting."""

from pathlib import Path

import pytest
from tests.support.strange_places import strange_places

from kioskd.regular_file import NotRegularError, check, content, read


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert content(file, 5) == b"12345"
    assert content(file, 3) == b"123"


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device", "a folder"])
def test_a_file_that_is_not_regular_is_refused_at_once_by_its_kind(kind: str, tmp_path: Path) -> None:
    with pytest.raises(NotRegularError, match=f"no regular file but {kind}"):
        content(strange_places(tmp_path)[kind], 1)


def test_a_link_is_read_as_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(strange_places(tmp_path)["a named pipe"])
    with pytest.raises(NotRegularError, match="but a named pipe"):
        check(tmp_path / "link")


def test_the_status_is_that_of_the_file_that_was_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    file.chmod(0o640)
    data, status = read(file, 3)
    assert (data, status.st_mode & 0o777, status.st_size) == (b"123", 0o640, 5)


def test_a_file_that_is_absent_is_reported_as_absent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check(tmp_path / "none")
