"""New settings are read when asked for, off the loop; bad ones change nothing."""

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
    """What was handed over so far."""

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
    """Settings that can be edited, and whose reading can be held up."""

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


async def test_nothing_is_read_unasked_and_what_is_asked_for_is_applied() -> None:
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


async def test_asking_before_it_runs_counts() -> None:
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


async def test_who_edits_while_it_is_read_and_asks_again_gets_the_last_edit() -> None:
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
    assert file.reads == 2, "five askings at once are one"


async def test_bad_settings_are_one_warning_and_the_next_good_ones_are_taken(
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


async def test_who_waits_for_the_verdict_gets_what_was_taken_over() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())), asyncio.timeout(PATIENCE_S):
        assert await reload.now() == "new"
    assert applied.all == ["new"]


async def test_who_waits_for_the_verdict_is_told_every_fault_and_the_journal_a_line_for_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = "kioskd.yaml:3:5 speaker.volum: unknown key\nkioskd.yaml:4:9 speaker.cues: is no cue"
    reload = Reload(File(ConfigError(faults)).read)
    async with running(reload.run(Applied().apply, MemoryNotifier())), asyncio.timeout(PATIENCE_S):
        with pytest.raises(ConfigError, match=r"speaker\.cues: is no cue"):
            await reload.now()
    assert [line.split(": ", 1)[1] for line in caplog.messages] == faults.splitlines()


async def test_a_verdict_is_on_the_settings_as_they_are_when_it_is_asked_for() -> None:
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


async def test_who_waits_no_more_for_the_verdict_disturbs_nobody() -> None:
    file, applied = File("new"), Applied()
    reload = Reload(file.read)
    async with running(reload.run(applied.apply, MemoryNotifier())):
        file.may_end.clear()
        leaving = asyncio.create_task(reload.now())
        await begins(file)
        leaving.cancel()
        file.may_end.set()
        await applied.until("new")


async def test_what_is_no_fault_of_the_owners_is_a_bug_and_is_raised() -> None:
    def broken() -> str:
        raise ZeroDivisionError

    reload = Reload(broken)
    reload.ask()
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(PATIENCE_S):
            await reload.run(Applied().apply, MemoryNotifier())


class Disk:
    """The file's bytes, and what was said of it."""

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
            return datetime(2026, 11, 30, 17, 52) + timedelta(seconds=self.clock.now())  # noqa: DTZ001 - local

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
        """Let time pass until the file was looked at once more."""
        looks = self.looks
        async with asyncio.timeout(PATIENCE_S):
            while self.looks == looks:
                await self.clock.advance(LOOK_S)
                await asyncio.sleep(0.001)  # a thread looks


FAULT: Final = SettingsRefused("kioskd.yaml:3:5 speaker.volum: unknown key")


async def test_a_refused_file_is_told_with_its_place_until_a_reload_takes_it_over() -> None:
    it = Disk()
    async with it.running():
        await it.write(b"bad", ConfigError(FAULT.why))
        assert [(one, one.since) for one in it.said] == [(FAULT, "2026-11-30 17:52")]
        await it.look()
        await it.write(b"worse", ConfigError(f"{FAULT.why}\nkioskd.yaml:4:9 speaker.cues: is no cue"))
        assert it.said[1:] == [SettingsRefused(f"{FAULT.why}; and 1 more")]
        assert it.said[1].since == "2026-11-30 17:52", "the kiosk could not be started since then"
        await it.write(b"mended", "mended")
        assert it.said[2:] == [SettingsRefused()]


async def test_a_refused_file_that_is_put_back_as_it_was_needs_no_reload() -> None:
    it = Disk()
    async with it.running():
        await it.write(b"bad", ConfigError(FAULT.why))
        it.held = b"good"
        await it.look()
        await until(lambda: it.said == [FAULT, SettingsRefused()])
        assert it.applied.all == []

        await it.write(b"bad", ConfigError(FAULT.why))
        assert it.said[2:] == [FAULT]


async def test_the_file_as_it_was_is_that_of_the_last_good_reload() -> None:
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


async def test_a_file_that_was_not_changed_and_is_refused_all_the_same_stays_refused() -> None:
    it = Disk()
    async with it.running():
        await it.write(b"good", ConfigError("kioskd.yaml:1:1 microphone.echo: the library is gone"))
        for _ in range(3):
            await it.look()
        assert len(it.said) == 1


@pytest.mark.parametrize("moment", ["waiting", "reading"])
async def test_cancelling_ends_it_at_any_moment(moment: str) -> None:
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
async def test_the_service_manager_is_told_when_it_begins_and_ends_whatever_came_of_it(
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
