"""Files of conversations: private, limited in age and size, and never waited for."""

import logging
import os
import stat
import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from kioskd import journal_ids
from kioskd.adapters.storage import recordings
from kioskd.adapters.storage.recordings import QUEUE_PIECES, RecordFolder
from kioskd.media import pcm

NOW: Final = 1_800_000_000.0
DAY_S: Final = 86_400.0
ONE: Final = "20261120T140322-0001"
TWO: Final = "20261120T150000-0002"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


Make = Callable[..., RecordFolder]


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    made: list[RecordFolder] = []

    def build(**changes: float) -> RecordFolder:
        bounds = {"keep_days": 7.0, "most_mb": 1.0} | changes
        made.append(RecordFolder(folder, what="recordings", now=lambda: NOW, **bounds))
        return made[-1]

    yield build
    for record in made:
        record.close()


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def old_file(folder: Path, name: str, *, days: float, size: int = 10) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    path.write_bytes(bytes(size))
    os.utime(path, (NOW - days * DAY_S,) * 2)
    return path


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_words_are_added_line_by_line(folder: Path, make: Make) -> None:
    record = make()
    record.write(ONE, "14:03:25 visitor: where is the lion?\n")
    record.write(ONE, "14:03:28 kiosk: in the second hall.\n")
    record.close()
    assert (folder / f"{ONE}.txt").read_text().splitlines() == [
        "14:03:25 visitor: where is the lion?",
        "14:03:28 kiosk: in the second hall.",
    ]


def test_sound_is_placed_by_its_time_with_silence_before_it(folder: Path, make: Make) -> None:
    record = make()
    sound = b"\x01\x02" * 1600
    record.sound(f"{ONE}-visitor", pcm.UPLINK_HZ, 0.5, sound)
    record.sound(f"{ONE}-visitor", pcm.UPLINK_HZ, 0.55, sound)  # too early, so it goes behind the one before
    record.close()
    with wave.open(str(folder / f"{ONE}-visitor.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(100_000) == bytes(16_000) + sound + sound


def test_a_file_can_be_played_at_any_moment_even_if_the_daemon_is_killed(folder: Path, make: Make) -> None:
    record = make()
    record.sound(f"{ONE}-kiosk", pcm.DOWNLINK_HZ, 0.0, b"\x01\x02" * 24_000)
    path = folder / f"{ONE}-kiosk.wav"
    deadline = time.monotonic() + 5
    while not path.exists() or path.stat().st_size < 48_044:
        assert time.monotonic() < deadline
    record.write(TWO, "after it\n")  # when the next piece is written, the header is, too
    while not (folder / f"{TWO}.txt").exists():
        assert time.monotonic() < deadline
    with wave.open(str(path)) as file:
        assert file.getnframes() == 24_000


def test_only_the_daemon_may_read_the_files(folder: Path, make: Make) -> None:
    record = make()
    record.write(ONE, "hello\n")
    record.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{ONE}.txt").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_that_other_users_may_read_is_not_used(
    folder: Path, make: Make, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    folder.mkdir()
    folder.chmod(mode)
    record = make()
    record.write(ONE, "hello\n")
    record.close()
    assert kept(folder) == set()
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    [warning] = warnings(caplog)
    assert "chmod 700" in warning


def test_only_recordings_that_are_too_old_are_deleted(folder: Path, make: Make) -> None:
    old_file(folder, f"{ONE}.txt", days=7.1)
    old_file(folder, f"{ONE}-kiosk.wav", days=7.1)
    old_file(folder, f"{TWO}.txt", days=6.9)
    old_file(folder, "holiday.wav", days=100)
    (folder / f"{ONE}.txt.d").mkdir()
    make().close()
    assert kept(folder) == {f"{TWO}.txt", "holiday.wav", f"{ONE}.txt.d"}


def test_the_oldest_files_are_deleted_when_the_limit_is_reached(folder: Path, make: Make) -> None:
    for days in (1, 2, 3):
        old_file(folder, f"2026111{days}T000000-0001.txt", days=days, size=400_000)
    old_file(folder, "holiday.wav", days=100, size=400_000)
    record = make(most_mb=1)
    record.write(ONE, "x" * 300_000)
    record.close()
    assert kept(folder) == {"20261111T000000-0001.txt", f"{ONE}.txt", "holiday.wav"}


def test_one_conversation_cannot_fill_the_disk(
    folder: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    record = make(most_mb=1)
    for second in range(60):
        record.sound(f"{ONE}-visitor", pcm.UPLINK_HZ, float(second), bytes(32_000))
    record.finish()
    record.write(TWO, "the next one\n")
    record.close()
    assert (folder / f"{TWO}.txt").exists()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1_000_100
    [warning] = warnings(caplog)
    assert "most_mb" in warning


def test_silence_counts_like_sound(folder: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    record = make(most_mb=1)
    record.sound(f"{ONE}-visitor", pcm.UPLINK_HZ, 3600.0, bytes(640))
    record.close()
    assert (folder / f"{ONE}-visitor.wav").stat().st_size < 1000
    assert len(warnings(caplog)) == 1


def test_a_failing_disk_costs_one_warning_and_is_retried_with_the_next_conversation(
    folder: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder.write_text("a file where the folder should be")
    record = make()
    for _ in range(5):
        record.write(ONE, "hello\n")
    record.finish()
    record.write(TWO, "hello\n")
    record.close()
    [warning] = caplog.records
    assert vars(warning)["message_id"] == journal_ids.RECORDS_FAILED
    assert "hello" not in warning.getMessage()

    folder.unlink()
    record = make()
    record.write(TWO, "hello\n")
    record.close()
    assert kept(folder) == {f"{TWO}.txt"}


def test_recovery_is_logged(folder: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    folder.mkdir(mode=0o755)
    record = make()
    record.write(ONE, "hello\n")
    record.finish()
    deadline = time.monotonic() + 5
    while not caplog.records:
        assert time.monotonic() < deadline
    folder.chmod(0o700)
    record.write(TWO, "hello\n")
    record.close()
    assert [line.getMessage().partition(":")[0] for line in caplog.records] == [
        "recordings cannot be stored, kioskd goes on without",
        "recordings are stored again",
    ]


def test_a_slow_disk_blocks_no_writer_and_the_newest_pieces_are_dropped(
    folder: Path, make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, reached = threading.Event(), threading.Event()
    write = os.pwrite

    def slow(descriptor: int, data: bytes, offset: int) -> int:
        reached.set()
        assert going.wait(10)
        return write(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    record = make()
    record.write(ONE, "0\n")
    assert reached.wait(10)
    began = time.monotonic()
    for number in range(1, QUEUE_PIECES + 50):
        record.write(ONE, f"{number}\n")
    assert time.monotonic() - began < 1.0
    assert len(warnings(caplog)) == 1
    going.set()
    record.close()
    lines = (folder / f"{ONE}.txt").read_text().split()
    assert lines == [str(number) for number in range(QUEUE_PIECES + 1)]


def test_closing_does_not_wait_for_a_disk_that_hangs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    going = threading.Event()

    def stuck(_descriptor: int, data: bytes, _offset: int) -> int:
        going.wait(10)
        return len(data)

    monkeypatch.setattr(os, "pwrite", stuck)
    monkeypatch.setattr(recordings, "CLOSE_S", 0.05)
    record = make()
    record.write(ONE, "hello\n")
    began = time.monotonic()
    record.close()
    assert time.monotonic() - began < 1.0
    going.set()


def test_an_existing_file_is_not_changed(folder: Path, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    folder.mkdir(mode=0o700)
    (folder / f"{ONE}.txt").symlink_to(folder / "elsewhere")
    record = make()
    record.write(ONE, "hello\n")
    record.close()
    assert not (folder / "elsewhere").exists()
    assert len(warnings(caplog)) == 1


def test_closing_ends_the_thread(make: Make) -> None:
    before = set(threading.enumerate())
    record = make()
    [thread] = set(threading.enumerate()) - before
    record.close()
    assert not thread.is_alive()
