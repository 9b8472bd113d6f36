"""Reloading: settings are read in a thread when asked for, and bad ones change nothing."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import pytest
from tests.support.fakes_devices import ManualClock, MemoryNotifier
from tests.support.kiosk import running
from tests.support.until import until

from kioskd.core.events import SettingsRefused
from kioskd.errors import ConfigError
from kioskd.flow.runtime.reload import LOOK_S, Reload

PATIENCE_S = 5.0


class Applied:
    """The settings that were handed over so far."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._more = asyncio.Event()

    def apply(self, new: str) -> None:
        self.all.append(new)
        self._more.set()

    async def until(self, *expected: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.all != list(expected):
                self._more.clear()
                await self._more.wait()


class File:
    """Settings that a test can edit, and whose reading a test can delay."""

    def __init__(self, content: str | ConfigError) -> None:
        self.content = content
        self.reads = 0
        self.read_by: list[threading.Thread] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.begun = threading.Event()

    def read(self) -> str:
        self.reads += 1
        content = self.content
        self.read_by.append(threading.current_thread())
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        if isinstance(content, ConfigError):
            raise content
        return content


async def begins(file: File) -> None:
    assert await asyncio.to_thread(file.begun.wait, PATIENCE_S)
    file.begun.clear()


async def test_settings_are_read_and_applied_only_when_asked_for() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())):
        await asyncio.sleep(0)
        assert file.reads == 0

        reload.ask()
        await applied.until("new")
        file.content = "newer"
        reload.ask()
        await applied.until("new", "newer")


async def test_a_request_before_the_worker_runs_counts() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    reload.ask()
    async with running(reload.run(applied.apply, MemoryNotifier())):
        await applied.until("new")


async def test_the_file_is_read_in_a_thread_of_its_own() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())):
        reload.ask()
        await applied.until("new")
    assert threading.main_thread() not in file.read_by


async def test_an_edit_during_a_reading_is_read_if_asked_again() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())):
        file.may_end.clear()
        reload.ask()
        await begins(file)
        file.content = "newest"
        for _ in range(5):
            reload.ask()
        file.may_end.set()
        await applied.until("new", "newest")
    assert file.reads == 2, "five requests at once are one reading"


async def test_bad_settings_are_one_warning_and_the_next_good_ones_are_applied(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    file, applied = File(ConfigError("kioskd.yaml:3:5 speaker.volum: unknown key")), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())):
        reload.ask()
        await begins(file)
        file.content = "mended"
        reload.ask()
        await applied.until("mended")

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "kioskd.yaml:3:5 speaker.volum: unknown key" in record.getMessage()
    assert "the old ones stay" in record.getMessage()


async def test_a_caller_who_waits_gets_the_new_settings() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())), asyncio.timeout(PATIENCE_S):
        assert await reload.now() == "new"
    assert applied.all == ["new"]


async def test_a_caller_who_waits_gets_every_fault_and_the_journal_has_a_line_for_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = "kioskd.yaml:3:5 speaker.volum: unknown key\nkioskd.yaml:4:9 speaker.cues: is no cue"
    reload = Reload(File(ConfigError(faults)).read)
    async with running(reload.run(Applied().apply, MemoryNotifier())), asyncio.timeout(PATIENCE_S):
        with pytest.raises(ConfigError, match=r"speaker\.cues: is no cue"):
            await reload.now()
    assert [line.split(": ", 1)[1] for line in caplog.messages] == faults.splitlines()


async def test_the_result_is_about_the_settings_at_the_time_of_the_request() -> None:
    file = File("old")
    reload = Reload(file.read)
    async with running(reload.run(Applied().apply, MemoryNotifier())), asyncio.timeout(PATIENCE_S):
        file.may_end.clear()
        reload.ask()
        await begins(file)
        file.content = "new"
        verdict = asyncio.create_task(reload.now())
        await asyncio.sleep(0)
        file.may_end.set()
        assert await verdict == "new"


async def test_a_caller_that_is_cancelled_does_not_disturb_the_reload() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())):
        file.may_end.clear()
        leaving = asyncio.create_task(reload.now())
        await begins(file)
        leaving.cancel()
        file.may_end.set()
        await applied.until("new")


async def test_an_error_that_is_not_the_owners_is_a_bug_and_is_raised() -> None:
    def broken() -> str:
        raise ZeroDivisionError

    reload = Reload(broken)
    reload.ask()
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(PATIENCE_S):
            await reload.run(Applied().apply, MemoryNotifier())


class Disk:
    """The file's bytes, and the events about it."""

    def __init__(self) -> None:
        self.file = File("good")
        self.held = b"good"
        self.applied = Applied()
        self.said: list[SettingsRefused] = []
        self.clock = ManualClock(0.0)
        self.looks = 0
        self.reload = Reload(self.file.read, self.content)

    def content(self) -> bytes:
        self.looks += 1
        return self.held

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        def wall() -> datetime:
            start = datetime(2026, 11, 30, 17, 52)  # noqa: DTZ001 - local
            return start + timedelta(seconds=self.clock.now())

        run = self.reload.run(self.applied.apply, MemoryNotifier(), post=self.said.append, wall=wall)
        async with running(run, self.reload.watch(self.clock, self.said.append)):
            yield

    async def write(self, held: bytes, content: str | ConfigError) -> None:
        """Change the file, and have it reloaded."""
        self.held, self.file.content = held, content
        with contextlib.suppress(ConfigError):
            async with asyncio.timeout(PATIENCE_S):
                await self.reload.now()

    async def look(self) -> None:
        """Let time pass until the file was checked once more."""
        looks = self.looks
        async with asyncio.timeout(PATIENCE_S):
            while self.looks == looks:
                await self.clock.advance(LOOK_S)
                await asyncio.sleep(0.001)  # a thread reads


FAULT: Final = SettingsRefused("kioskd.yaml:3:5 speaker.volum: unknown key")


async def test_a_rejected_file_is_reported_with_its_place_until_a_reload_accepts_it() -> None:
    it = Disk()
    async with it.running():
        await it.write(b"bad", ConfigError(FAULT.why))
        assert [(one, one.since) for one in it.said] == [(FAULT, "2026-11-30 17:52")]
        await it.look()
        await it.write(b"worse", ConfigError(f"{FAULT.why}\nkioskd.yaml:4:9 speaker.cues: is no cue"))
        assert it.said[1:] == [SettingsRefused(f"{FAULT.why}; and 1 more")]
        assert it.said[1].since == "2026-11-30 17:52", "since then the kiosk could not start"
        await it.write(b"mended", "mended")
        assert it.said[2:] == [SettingsRefused()]


async def test_a_rejected_file_that_gets_its_old_content_back_needs_no_reload() -> None:
    it = Disk()
    async with it.running():
        await it.write(b"bad", ConfigError(FAULT.why))
        it.held = b"good"
        await it.look()
        await until(lambda: it.said == [FAULT, SettingsRefused()])
        assert it.applied.all == []

        await it.write(b"bad", ConfigError(FAULT.why))
        assert it.said[2:] == [FAULT]


async def test_the_old_content_of_a_file_is_that_of_the_last_good_reload() -> None:
    it = Disk()
    async with it.running():
        await it.write(b"better", "better")
        await it.write(b"bad", ConfigError(FAULT.why))
        it.held = b"good"
        await it.look()
        await it.look()
        assert it.said == [SettingsRefused(), FAULT]
        it.held = b"better"
        await it.look()
        await until(lambda: it.said == [SettingsRefused(), FAULT, SettingsRefused()])


async def test_an_unchanged_file_that_is_rejected_stays_rejected() -> None:
    it = Disk()
    async with it.running():
        await it.write(b"good", ConfigError("kioskd.yaml:1:1 microphone.echo: the library is gone"))
        for _ in range(3):
            await it.look()
        assert len(it.said) == 1


@pytest.mark.parametrize("moment", ["waiting", "reading"])
async def test_cancelling_ends_the_worker_at_any_moment(moment: str) -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    stop: Callable[[], None] = file.may_end.set
    task = asyncio.create_task(reload.run(applied.apply, MemoryNotifier()))
    await asyncio.sleep(0)
    if moment == "reading":
        file.may_end.clear()
        reload.ask()
        await begins(file)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(PATIENCE_S):
            await task
    stop()
    assert applied.all == []


@pytest.mark.parametrize("content", ["new", ConfigError("kioskd.yaml:3:5 speaker.volum: unknown key")])
async def test_the_service_manager_is_told_when_a_reload_begins_and_ends(
    content: str | ConfigError,
) -> None:
    file, notifier = File(content), MemoryNotifier()
    reload = Reload(file.read)
    async with running(reload.run(lambda _new: notifier.told.append("applied"), notifier)):
        reload.ask()
        await until(lambda: "ready" in notifier.told)
    assert notifier.told == (
        ["reloading", "applied", "ready"] if content == "new" else ["reloading", "ready"]
    )
