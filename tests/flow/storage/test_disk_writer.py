"""The disk writer: writes come one at a time, faults are reported, failed writes are retried."""

import asyncio
import errno
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import Inbox, running, soon

from kioskd.adapters.storage import atomic_file
from kioskd.adapters.storage.state_files import PreferenceFile
from kioskd.core.events import Event, StorageFailed
from kioskd.flow.storage.disk_writer import LOOK_S, DiskWriter
from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.ports import Preferences

FULL: Final = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/state")
DYING: Final = OSError(errno.EIO, os.strerror(errno.EIO), "/state/file")
NO_SPACE: Final = StorageFailed("No space left on device")


class Disk:
    """A place with one file. A test can make both fail."""

    def __init__(self) -> None:
        self.place: OSError | None = None
        self.file: OSError | None = None
        self.wanted = ""
        self.written: list[str] = []
        self.tries = 0
        self.looks = 0

    def look(self) -> None:
        self.looks += 1
        if self.place is not None:
            raise self.place

    def write(self) -> None:
        self.tries += 1
        if trouble := self.place or self.file:
            raise trouble
        self.written.append(self.wanted)


class RestClock(ManualClock):
    """A clock that knows whether its user sleeps."""

    asleep = False

    async def sleep(self, seconds: float) -> None:
        self.asleep = seconds > 0
        await super().sleep(seconds)
        self.asleep = False


class Kept:
    """A `DiskWriter` with its surroundings."""

    def __init__(self) -> None:
        self.clock, self.inbox, self.disk = RestClock(), Inbox(), Disk()
        self.keeping = DiskWriter(self.clock, self.inbox.post, {"state": self.disk.look})

    async def save(self, wanted: str) -> bool:
        self.disk.wanted = wanted
        return await soon(self.keeping.save("file", self.disk.write))

    async def round(self) -> None:
        """Let a minute pass, and wait until the places were checked."""
        looks = self.disk.looks
        await self.clock.advance(LOOK_S)
        await self.looked(looks + 1)

    async def looked(self, times: int = 1) -> None:
        async with asyncio.timeout(60):
            while (
                self.disk.looks < times or not self.clock.asleep
            ):  # the check is over, and its result is reported
                await self.clock.advance(0)


@asynccontextmanager
async def kept(*, place: OSError | None = None) -> AsyncIterator[Kept]:
    it = Kept()
    it.disk.place = place
    async with running(it.keeping.run()):
        await it.looked()
        yield it


async def test_a_write_that_works_reports_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with kept() as it:
        assert await it.save("one")
        await it.round()
        assert (it.disk.written, it.inbox.events, caplog.messages) == (["one"], [], [])


async def test_a_full_disk_is_detected_before_a_write() -> None:
    async with kept(place=FULL) as it:
        assert it.inbox.events == [NO_SPACE]
        assert it.disk.tries == 0


async def test_a_mended_disk_is_detected_within_a_minute_without_a_write() -> None:
    async with kept(place=FULL) as it:
        it.disk.place = None
        await it.round()
        assert it.inbox.events == [NO_SPACE, StorageFailed()]


async def test_a_failed_write_is_reported_at_once() -> None:
    async with kept() as it:
        it.disk.place = FULL
        assert not await it.save("one")
        assert it.inbox.events == [NO_SPACE]


async def test_the_newest_data_is_written_when_the_disk_is_mended() -> None:
    async with kept(place=FULL) as it:
        for wanted in ("one", "two", "three"):
            assert not await it.save(wanted)
        it.disk.place = None
        await it.round()
        assert it.disk.written == ["three"]
        await it.round()
        assert it.disk.written == ["three"]
        assert it.inbox.events == [NO_SPACE, StorageFailed()]


async def test_a_write_that_works_again_ends_the_fault_at_once() -> None:
    async with kept(place=FULL) as it:
        await it.save("one")
        it.disk.place = None
        assert await it.save("two")
        assert it.inbox.events == [NO_SPACE, StorageFailed()]


async def test_a_write_to_another_place_does_not_end_the_fault() -> None:
    async with kept(place=FULL) as it:
        assert await it.keeping.save("other disk", lambda: None)
        assert it.inbox.events == [NO_SPACE]


async def test_a_disk_that_passes_its_check_but_fails_writes_is_tried_once_a_minute() -> None:
    async with kept() as it:
        it.disk.file = DYING
        assert not await it.save("one")
        for minute in range(1, 6):
            await it.round()
            assert it.disk.tries == 1 + minute
        assert it.inbox.events == [StorageFailed("Input/output error")]
        it.disk.file = None
        await it.round()
        assert (it.disk.written, it.inbox.events[1:]) == (["one"], [StorageFailed()])


async def test_a_write_that_failed_just_now_is_not_retried() -> None:
    async with kept() as it:
        it.disk.file = DYING
        await it.clock.advance(LOOK_S / 2)
        await it.save("one")
        await it.looked(2)
        await it.clock.advance(LOOK_S / 2)
        await it.looked(3)
        assert it.disk.tries == 1
        await it.round()
        assert it.disk.tries == 2


async def test_a_changed_reason_is_reported() -> None:
    async with kept(place=FULL) as it:
        it.disk.place = OSError(errno.EROFS, os.strerror(errno.EROFS), "/state")
        await it.round()
        it.disk.place = None
        await it.round()
        assert it.inbox.events == [NO_SPACE, StorageFailed("Read-only file system"), StorageFailed()]


async def test_the_beginning_and_the_end_of_a_fault_are_each_reported_once() -> None:
    async with kept(place=FULL) as it:
        for wanted in ("one", "two"):
            await it.save(wanted)
            await it.round()
        it.disk.place = None
        await it.round()
    began, over = it.inbox.events
    assert isinstance(began, StorageFailed)
    assert (began, began.where, over) == (NO_SPACE, "/state", StorageFailed())


async def test_writes_come_one_after_the_other_and_cancelling_waits_for_the_present_one() -> None:
    it = Kept()
    going, begun = threading.Event(), threading.Event()
    order: list[str] = []

    def slow() -> None:
        begun.set()
        assert going.wait(5)
        order.append("slow")

    async with running(it.keeping.save("slow", slow)):
        assert await asyncio.to_thread(begun.wait, 5)
        async with asyncio.TaskGroup() as group:
            group.create_task(it.keeping.save("next", lambda: order.append("next")))
            await it.clock.advance(0)
            assert order == []
            asyncio.get_running_loop().call_soon(going.set)
    assert order == ["slow", "next"]

    going.clear()
    begun.clear()
    saving = asyncio.create_task(it.keeping.save("slow", slow))
    assert await asyncio.to_thread(begun.wait, 5)
    saving.cancel()
    await it.clock.advance(0)
    assert not saving.done()
    going.set()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):
            await saving
    assert order == ["slow", "next", "slow"]


async def test_a_bug_in_a_write_is_not_reported_as_a_disk_fault() -> None:
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Kept().keeping.save("file", broken)


async def test_preferences_set_during_a_disk_fault_are_on_the_disk_after_it(tmp_path: Path) -> None:
    clock, inbox, state = ManualClock(), Inbox(), tmp_path / "state"
    state.write_text("a file where the directory should be")
    keeping = DiskWriter(clock, inbox.post, {"state": partial(atomic_file.check_folder, state)})
    keeper = PreferenceKeeper(PreferenceFile(state), keeping, volume=70)
    async with running(keeping.run(), keeper.run()):
        assert await inbox.take() == [StorageFailed(os.strerror(errno.ENOTDIR))]
        keeper.volume = 30
        keeper.muted = True
        await clock.advance(0)
        state.unlink()
        said: list[Event] = []
        while StorageFailed() not in said:  # a write at that moment may have found neither file nor directory
            await clock.advance(LOOK_S)
            said += await inbox.take()
    assert PreferenceFile(state).load() == Preferences(30, muted=True)
