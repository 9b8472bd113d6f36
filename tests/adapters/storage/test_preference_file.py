import errno
import logging
import os
import resource
import stat
from pathlib import Path

import pytest

from kioskd.adapters.storage.state_files import PREFERENCES, PreferenceFile, state_directory
from kioskd.ports import Preferences


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_without_a_file_the_settings_values_hold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert PreferenceFile(tmp_path / "none").load() == Preferences(volume=None, muted=False)
    assert warnings(caplog) == []


@pytest.mark.parametrize("kept", [Preferences(0, True), Preferences(100, False), Preferences(None, True)])
def test_saved_preferences_survive_a_restart(tmp_path: Path, kept: Preferences) -> None:
    PreferenceFile(tmp_path / "state").save(kept)
    assert PreferenceFile(tmp_path / "state").load() == kept


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    PreferenceFile(tmp_path / "state").save(Preferences(30))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / PREFERENCES).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == [PREFERENCES]


def test_unchanged_preferences_are_not_written_again(tmp_path: Path) -> None:
    state = PreferenceFile(tmp_path)
    state.save(Preferences(30))
    (tmp_path / PREFERENCES).unlink()
    state.save(Preferences(30))
    assert not (tmp_path / PREFERENCES).exists()
    state.save(Preferences(31))
    assert PreferenceFile(tmp_path).load() == Preferences(31)


def test_loaded_preferences_that_did_not_change_are_not_written_again(tmp_path: Path) -> None:
    PreferenceFile(tmp_path).save(Preferences(30))
    state = PreferenceFile(tmp_path)
    (tmp_path / PREFERENCES).chmod(0o400)
    before = (tmp_path / PREFERENCES).stat().st_ino
    state.save(state.load())
    assert (tmp_path / PREFERENCES).stat().st_ino == before


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\0" * 40, b'{"volume": 30', b"[]", b"30", b'{"volume": 30}', b'{"muted": 1, "volume": 30}'),
        *(b'{"volume": 101, "muted": false}', b'{"volume": true, "muted": false}', b'"\xff"', b"[" * 100_000),
    ],
)
def test_a_broken_file_costs_one_warning_and_the_next_change_mends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / PREFERENCES).write_bytes(content)
    state = PreferenceFile(tmp_path)
    assert state.load() == Preferences()
    assert len(warnings(caplog)) == 1
    assert str(tmp_path / PREFERENCES) in warnings(caplog)[0]
    state.save(Preferences())
    assert PreferenceFile(tmp_path).load() == Preferences()


def test_a_directory_that_cannot_be_written_is_said_to_who_saves_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    state = PreferenceFile(tmp_path / "state")
    for _ in range(2):
        with pytest.raises(FileExistsError) as trouble:
            state.save(Preferences(30))
        assert trouble.value.filename == str(tmp_path / "state" / PREFERENCES)
    (tmp_path / "state").unlink()
    state.save(Preferences(30))
    assert PreferenceFile(tmp_path / "state").load() == Preferences(30)


def test_on_a_disk_that_takes_nothing_more_the_old_stays_and_is_written_anew_afterwards(
    tmp_path: Path,
) -> None:
    state = PreferenceFile(tmp_path)
    state.save(Preferences(30))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            state.save(Preferences(40))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert PreferenceFile(tmp_path).load() == Preferences(30)
    before = (tmp_path / PREFERENCES).stat().st_ino
    state.save(Preferences(30))
    assert (tmp_path / PREFERENCES).stat().st_ino != before, "what a write that failed has left is not sure"


def test_a_link_in_the_drafts_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / f".{PREFERENCES}").symlink_to(victim)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        PreferenceFile(tmp_path).save(Preferences(30))
    assert victim.read_text() == "untouched"


def test_the_state_directory_is_the_service_managers() -> None:
    assert state_directory({"STATE_DIRECTORY": "/var/lib/kioskd:/var/lib/other"}) == Path("/var/lib/kioskd")
    assert state_directory({}) is None
