"""The resumption handle in a file: private, returned once, and silently dropped if it is unusable."""

import contextlib
import json
import logging
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kioskd.adapters.storage.resumption_file import FRESH_S, NAME, ResumptionFile, runtime_directory

SECRET = "handle-that-nobody-may-read"
HANDLE = SecretStr(SECRET)
SERVICE = "gemini None None None gemini-3.8-live"


@pytest.fixture(autouse=True)
def nothing_says_the_handle(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check after each test that no log line contains the handle."""
    caplog.set_level(logging.DEBUG)
    yield
    assert SECRET not in caplog.text


@pytest.fixture
def silent(caplog: pytest.LogCaptureFixture, nothing_says_the_handle: None) -> Iterator[None]:
    """Check after the test that it logged nothing."""
    yield
    assert caplog.records == []


def resumption(directory: Path, session_of: str = SERVICE) -> ResumptionFile:
    """Return the store as another process would open it."""
    return ResumptionFile(directory, session_of=session_of)


def recovered(directory: Path, session_of: str = SERVICE) -> tuple[int, str] | None:
    found = resumption(directory, session_of).recover()
    return None if found is None else (found[0], found[1].get_secret_value())


def rewrite(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the stored object, as a fault or another program would."""
    path = directory / NAME
    kept = json.loads(path.read_text())
    change(kept)
    path.write_text(json.dumps(kept))


def test_another_process_gets_the_last_handle_once(tmp_path: Path, silent: None) -> None:
    mine = resumption(tmp_path)
    mine.keep(7, SecretStr("an-older-handle"), "slow")
    mine.keep(7, HANDLE, "slow")

    assert recovered(tmp_path) == (7, SECRET)
    assert recovered(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_the_profile_of_the_visitor_is_recovered(tmp_path: Path, silent: None) -> None:
    resumption(tmp_path).keep(7, HANDLE, "slow")
    found = resumption(tmp_path).recover()
    assert found is not None
    assert found[2] == "slow"


@pytest.mark.parametrize("profile", [None, 7, "x" * 101])
def test_a_profile_that_makes_no_sense_is_not_believed(tmp_path: Path, silent: None, profile: object) -> None:
    resumption(tmp_path).keep(7, HANDLE, "slow")
    rewrite(tmp_path, lambda kept: kept.update(profile=profile))
    assert recovered(tmp_path) is None


def test_the_file_of_a_version_without_profiles_is_recovered(tmp_path: Path, silent: None) -> None:
    resumption(tmp_path).keep(7, HANDLE, "slow")
    rewrite(tmp_path, lambda kept: kept.pop("profile"))
    found = resumption(tmp_path).recover()
    assert found is not None
    assert found[2] == "default"


def test_forget_deletes_the_file(tmp_path: Path, silent: None) -> None:
    mine = resumption(tmp_path)
    mine.keep(7, HANDLE, "slow")
    mine.forget()
    mine.forget()

    assert list(tmp_path.iterdir()) == []
    assert recovered(tmp_path) is None


def test_no_other_user_can_read_the_file(tmp_path: Path, silent: None) -> None:
    before = os.umask(0)
    try:
        resumption(tmp_path).keep(7, HANDLE, "slow")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_the_file_is_replaced_and_never_half_written(tmp_path: Path, silent: None) -> None:
    mine = resumption(tmp_path)
    mine.keep(7, HANDLE, "slow")
    with (tmp_path / NAME).open() as reader:  # a reader of the old file can read all of it
        mine.keep(8, SecretStr("a-newer-handle"), "slow")

        assert json.load(reader)["conversation"] == 7
    assert recovered(tmp_path) == (8, "a-newer-handle")


@pytest.mark.parametrize("age_s", [FRESH_S + 1, -60.0])
def test_a_handle_that_is_too_old_or_from_before_a_reboot_is_dropped(
    tmp_path: Path, silent: None, age_s: float
) -> None:
    """A time ahead of the seconds since boot comes from an earlier boot."""
    resumption(tmp_path).keep(7, HANDLE, "slow")
    rewrite(tmp_path, lambda kept: kept.update(at=kept["at"] - age_s))

    assert recovered(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_handle_just_below_the_age_limit_is_recovered(tmp_path: Path, silent: None) -> None:
    resumption(tmp_path).keep(7, HANDLE, "slow")
    rewrite(tmp_path, lambda kept: kept.update(at=kept["at"] - (FRESH_S - 10)))

    assert recovered(tmp_path) == (7, SECRET)


def test_a_handle_of_another_service_or_model_is_dropped(tmp_path: Path, silent: None) -> None:
    resumption(tmp_path).keep(7, HANDLE, "slow")

    assert recovered(tmp_path, "gemini None None None another-model") is None
    assert list(tmp_path.iterdir()) == []


DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"conversation": 7, "hand',
    "not JSON": b"\x00\xff\xfe\x80",
    "deep": b"[" * 200_000,
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "no fields": b"{}",
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_dropped(tmp_path: Path, silent: None, damage: bytes) -> None:
    (tmp_path / NAME).write_bytes(damage)

    assert recovered(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


WRONG: dict[str, dict[str, Any]] = {
    "no number": {"conversation": "seven"},
    "no such number": {"conversation": float("inf")},
    "null number": {"conversation": None},
    "no time": {"at": "yesterday"},
    "not a time": {"at": float("nan")},
    "no owner": {"owner": None},
    "no handle": {"handle": None},
    "empty handle": {"handle": ""},
    "handle of another kind": {"handle": {"new": 1}},
    "no conversation": {"conversation": 0},
    "less than none": {"conversation": -3},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_file_with_impossible_values_is_dropped(
    tmp_path: Path, silent: None, wrong: dict[str, Any]
) -> None:
    resumption(tmp_path).keep(7, HANDLE, "slow")
    rewrite(tmp_path, lambda kept: kept.update(wrong))

    assert recovered(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_dropped(tmp_path: Path, silent: None) -> None:
    resumption(tmp_path).keep(7, HANDLE, "slow")
    os.chown(tmp_path / NAME, 65534, 65534)

    assert recovered(tmp_path) is None


def test_a_link_in_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path, silent: None) -> None:
    other = tmp_path / "something of the owner's"
    other.write_text("precious")
    (tmp_path / NAME).symlink_to(other)
    resumption(tmp_path).keep(7, HANDLE, "slow")

    assert other.read_text() == "precious"
    assert recovered(tmp_path) == (7, SECRET)


def test_a_directory_in_place_of_the_file_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    mine = resumption(tmp_path)

    assert mine.recover() is None
    mine.keep(7, HANDLE, "slow")
    mine.forget()


def test_a_missing_directory_is_logged_once_and_the_daemon_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = resumption(tmp_path / "nowhere")
    assert mine.recover() is None
    for _ in range(3):
        mine.keep(7, HANDLE, "slow")
    mine.forget()

    [line] = caplog.messages
    assert "cannot be stored" in line


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of a few pages, for tests that fill it."""
    folder = tmp_path / "run"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here; run the tests as root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write until the disk is full."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert shutil.disk_usage(folder).free == 0
    return ballast


def test_a_full_disk_is_logged_once_and_no_file_remains(full: Path, caplog: pytest.LogCaptureFixture) -> None:
    ballast = fill(full)
    mine = resumption(full)
    for _ in range(3):
        mine.keep(7, HANDLE, "slow")

    [line] = caplog.messages
    assert "cannot be stored" in line
    assert list(full.iterdir()) == [ballast]

    ballast.unlink()
    mine.keep(7, HANDLE, "slow")
    assert recovered(full) == (7, SECRET)


def test_an_old_handle_is_not_recovered_after_saving_a_newer_one_failed(full: Path) -> None:
    """A new handle voids the earlier ones: the service would refuse an old one."""
    mine = resumption(full)
    mine.keep(7, SecretStr("a-void-handle"), "slow")
    fill(full)
    mine.keep(7, HANDLE, "slow")

    assert recovered(full) in (None, (7, SECRET))


def test_the_directory_is_the_first_of_the_service_managers() -> None:
    assert runtime_directory({"RUNTIME_DIRECTORY": "/run/kioskd:/run/more"}) == Path("/run/kioskd")
    assert runtime_directory({"RUNTIME_DIRECTORY": ""}) is None
    assert runtime_directory({}) is None
