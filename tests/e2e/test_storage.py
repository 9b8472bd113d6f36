"""A kiosk whose disk cannot be written serves, reports the fault, and writes all when the disk is mended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tests.support.kiosk import QUIET, Kiosk, running

from kioskd.adapters.storage import atomic_file
from kioskd.adapters.storage.state_files import PreferenceFile
from kioskd.core.effects import KioskStatus, Prompt
from kioskd.errors import Code
from kioskd.flow.storage.disk_writer import LOOK_S
from kioskd.media import lamp_patterns
from kioskd.ports import Preferences

IN_WORDS = (
    "but volume, mute and the day's budget cannot be stored and would be lost at the next restart; "
    "check the disk: {}: Not a directory (code S1)"
)


@asynccontextmanager
async def without_a_disk(state: Path) -> AsyncIterator[Kiosk]:
    """Run a kiosk that finds a file where its state directory should be."""
    await asyncio.to_thread(state.touch)
    it = Kiosk(QUIET, watchdog_s=None)
    it.disk = PreferenceFile(state)
    it.places = {"state directory": partial(atomic_file.check_folder, state)}
    async with running(it.serve()):
        await it.start()
        await it.until(lambda: it.state.unkept)
        yield it


def status(it: Kiosk) -> str:
    return [said for said in it.notifier.told if said.startswith("status: ")][-1].removeprefix("status: ")


async def flashes(it: Kiosk) -> bool:
    """Return whether the lamp of a kiosk that sleeps is lit at all within one round of the code."""
    levels = []
    for _ in range(100):
        await it.clock.advance(0.1)
        levels.append(it.lamp.light.level)
    assert it.shown is KioskStatus.ASLEEP
    return any(levels)


async def test_a_kiosk_with_a_full_disk_shows_it_serves_and_tells_a_visitor_at_the_end(
    tmp_path: Path,
) -> None:
    async with without_a_disk(tmp_path / "state") as it:
        assert status(it) == f"Asleep, ready for the next visitor; {IN_WORDS.format(tmp_path / 'state')}"
        assert await flashes(it)

        await it.wake()
        await it.shows(KioskStatus.LISTENING)
        assert it.lamp.light.level == lamp_patterns.STATES["listening"].steps[0][1], (
            "the visitor's own rhythm"
        )
        assert Prompt(Code.STORAGE) not in it.effects
        it.button.press()
        await it.until(lambda: Prompt(Code.STORAGE) in it.effects)
        assert it.shown is KioskStatus.ASLEEP


async def test_changes_are_stored_within_a_minute_after_the_disk_is_mended(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with without_a_disk(state) as it:
        it.button.hold()
        await it.clock.advance(2.5)
        it.button.release()
        await it.shows(KioskStatus.MUTED)
        state.unlink()
        await it.clock.advance(LOOK_S)
        await it.until(lambda: not it.state.unkept)
        assert status(it).startswith("Muted")
        assert "S1" not in status(it)
        assert PreferenceFile(state).load() == Preferences(muted=True)


async def test_a_kiosk_without_a_state_directory_reports_no_fault(tmp_path: Path) -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    async with running(it.serve()):
        await it.start()
        await it.clock.advance(10 * LOOK_S)
        assert not it.state.unkept
        assert not await flashes(it)
