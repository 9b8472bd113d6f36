"""Preferences: changes by hand outlive the process. One save runs at a time, and the newest wins."""

import asyncio
import errno
import logging
import threading

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import Inbox, running, soon

from kioskd.adapters.absent import NoPreferences
from kioskd.core.events import StorageFailed
from kioskd.flow.storage.disk_writer import DiskWriter
from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.ports import Preferences, PreferenceStore


class Disk:
    """Stores preferences as slowly as a test sets; a `ports.PreferenceStore`."""

    def __init__(self, kept: Preferences | None = None) -> None:
        self.saved: list[Preferences] = []
        self.threads: set[int] = set()
        self.free = threading.Event()
        self.free.set()
        self._kept = kept or Preferences()
        self._loop = asyncio.get_running_loop()
        self._began, self._ended = asyncio.Event(), asyncio.Event()

    def load(self) -> Preferences:
        return self._kept

    def save(self, preferences: Preferences) -> None:
        self.threads.add(threading.get_ident())
        self._loop.call_soon_threadsafe(self._began.set)
        assert self.free.wait(5.0)
        self.saved.append(preferences)
        self._loop.call_soon_threadsafe(self._ended.set)

    async def begun(self) -> None:
        """Wait until a save begins."""
        await soon(self._began.wait())
        self._began.clear()

    async def done(self) -> None:
        """Wait until a save has ended."""
        await soon(self._ended.wait())
        self._ended.clear()


def keeper_of(disk: PreferenceStore) -> PreferenceKeeper:
    return PreferenceKeeper(disk, DiskWriter(ManualClock(), Inbox().post), volume=70)


async def test_without_a_volume_set_by_hand_the_owners_is_used() -> None:
    keeper = keeper_of(Disk())
    assert (keeper.volume, keeper.muted) == (70, False)


@pytest.mark.parametrize(("kept", "heard"), [(100, 60), (0, 30), (50, 50)])
async def test_a_stored_volume_stays_within_the_owners_bounds(kept: int, heard: int) -> None:
    keeping = DiskWriter(ManualClock(), Inbox().post)
    disk = Disk(Preferences(volume=kept))
    keeper = PreferenceKeeper(disk, keeping, volume=70, volume_floor=30, volume_ceiling=60)
    assert keeper.volume == heard


async def test_preferences_set_by_hand_have_precedence_over_the_settings() -> None:
    keeper = keeper_of(Disk(Preferences(volume=0, muted=True)))
    assert (keeper.volume, keeper.muted) == (0, True)


async def test_an_unused_volume_setting_is_logged_with_the_remedy(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    keeper = keeper_of(Disk(Preferences(volume=60)))
    keeper.use_default(40)
    assert keeper.volume == 60
    assert caplog.messages == [
        "the volume set by hand stays: volume=60 speaker.volume=70; to use the setting, run kioskd volume 70",
        "the volume set by hand stays: volume=60 speaker.volume=40; to use the setting, run kioskd volume 40",
    ]


@pytest.mark.parametrize("kept", [None, 40])
async def test_a_volume_setting_in_use_is_not_logged(
    caplog: pytest.LogCaptureFixture, kept: int | None
) -> None:
    caplog.set_level(logging.INFO)
    keeper = PreferenceKeeper(
        Disk(Preferences(volume=kept)), DiskWriter(ManualClock(), Inbox().post), volume=50, volume_ceiling=40
    )
    keeper.use_default(80 if kept else 30)
    assert keeper.volume == (kept or 30)
    assert caplog.messages == []


async def test_without_a_store_preferences_last_as_long_as_the_process() -> None:
    keeper = keeper_of(NoPreferences())
    async with running(keeper.run()):
        keeper.volume = 30
        keeper.muted = True
        await asyncio.sleep(0)
        assert (keeper.volume, keeper.muted) == (30, True)


async def test_a_change_is_saved_off_the_loop_and_leaves_the_rest_as_it_was() -> None:
    disk = Disk(Preferences(volume=40))
    keeper = keeper_of(disk)
    async with running(keeper.run()):
        keeper.muted = True
        await disk.done()

    assert disk.saved == [Preferences(volume=40, muted=True)]
    assert threading.get_ident() not in disk.threads


async def test_while_one_save_takes_long_only_the_newest_of_many_waits() -> None:
    disk = Disk()
    keeper = keeper_of(disk)
    disk.free.clear()
    async with running(keeper.run()):
        keeper.volume = 10
        await disk.begun()
        for volume in (20, 30, 40):
            keeper.volume = volume
        disk.free.set()
        await disk.done()
        await disk.done()

    assert disk.saved == [Preferences(volume=10), Preferences(volume=40)]


async def test_unchanged_preferences_are_not_saved_again() -> None:
    disk = Disk(Preferences(volume=40))
    keeper = keeper_of(disk)
    async with running(keeper.run()):
        keeper.volume = 40
        keeper.muted = False
        await asyncio.sleep(0)
        keeper.volume = 50
        await disk.done()

    assert disk.saved == [Preferences(volume=50)]


async def test_preferences_set_just_before_the_end_are_saved_too() -> None:
    disk = Disk()
    keeper = keeper_of(disk)
    async with running(keeper.run()):
        disk.free.clear()
        keeper.volume = 10
        await disk.begun()
        keeper.volume = 20
        asyncio.get_running_loop().call_soon(disk.free.set)
    assert disk.saved == [Preferences(volume=10), Preferences(volume=20)]


async def test_a_failing_disk_does_not_prevent_changes() -> None:
    class Broken(Disk):
        def save(self, preferences: Preferences) -> None:
            super().save(preferences)
            raise OSError(errno.EIO, "Input/output error", "preferences.json")

    disk, inbox = Broken(), Inbox()
    keeper = PreferenceKeeper(disk, DiskWriter(ManualClock(), inbox.post), volume=70)
    async with running(keeper.run()):
        keeper.volume = 10
        assert await inbox.take() == [StorageFailed("Input/output error")]
        keeper.volume = 20
        assert keeper.volume == 20
    assert disk.saved == [Preferences(volume=10)], "a failed write is not retried at once"
