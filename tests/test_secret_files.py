"""Files that hold one secret are read or rejected, and no message repeats the secret."""

import os
from pathlib import Path

import pytest

from kioskd.secret_files import LONGEST, KeyUnusableError, checked, from_file, is_there, read


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.touch(0o600)
    return file


def test_a_secret_of_a_tool_may_look_like_anything_but_hold_no_blanks(key_file: Path) -> None:
    key_file.write_text("name='quoted'", encoding="ascii")
    assert from_file("credential:x", key_file, private=True).get_secret_value() == "name='quoted'"
    key_file.write_text("two words", encoding="ascii")
    with pytest.raises(KeyUnusableError, match="credential:x: holds blanks") as caught:
        from_file("credential:x", key_file, private=True)
    assert "words" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused_if_it_must_be_private(key_file: Path) -> None:
    key_file.write_text("a-key", encoding="ascii")
    key_file.chmod(0o640)
    assert from_file("x", key_file, private=False).get_secret_value() == "a-key"
    with pytest.raises(KeyUnusableError, match=r"mode 640\); run chmod 600"):
        from_file("x", key_file, private=True)


def test_a_file_that_is_too_long_is_not_read_to_its_end(key_file: Path) -> None:
    key_file.write_bytes(b"k" * (2 * LONGEST))
    assert read("x", key_file, LONGEST)[0] == b"k" * (LONGEST + 1)
    with pytest.raises(KeyUnusableError, match=f"longer than {LONGEST} characters"):
        checked("x", "k" * (LONGEST + 1))


def test_a_file_that_is_not_there_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusableError, match="the file is not there"):
        read("x", tmp_path / "nowhere", LONGEST)
    with pytest.raises(KeyUnusableError, match="no regular file"):
        read("x", tmp_path, LONGEST)


def test_a_file_in_a_closed_folder_counts_as_unknown(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(0o700)
    key = tmp_path / "shut/key"
    assert is_there(key) is False
    key.touch()
    assert is_there(key) is True
    uid = os.geteuid()
    (tmp_path / "shut").chmod(0o700 if uid == 0 else 0)
    if uid == 0:
        tmp_path.chmod(0o711)
        os.seteuid(65534)
    try:
        assert is_there(key) is None
    finally:
        os.seteuid(uid)
        (tmp_path / "shut").chmod(0o700)
