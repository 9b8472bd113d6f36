"""What every button does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.support.gpio_sim import NO_SIM, MemoryLine, sim_chip, sim_is_possible

from kioskd.adapters.gpio import GpioButton
from kioskd.adapters.memory import MemoryButton
from kioskd.ports import Button


@dataclass(frozen=True)
class Rig:
    """A button, and the finger on it."""

    button: Button
    press: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", "gpio in memory", pytest.param("gpio-sim", marks=pytest.mark.hardware)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        button = MemoryButton()

        async def press() -> None:
            button.press()

        yield Rig(button, press)
    elif request.param == "gpio in memory":
        line = MemoryLine()

        async def press() -> None:
            line.press()

        yield Rig(GpioButton("memory", 3, open_line=line.open), press)
        line.close()
    elif not sim_is_possible():
        pytest.skip(NO_SIM)
    else:
        with sim_chip() as chip:
            yield Rig(GpioButton(chip.label, 3), lambda: chip.press(3))


@asynccontextmanager
async def watching(button: Button) -> AsyncIterator[asyncio.Queue[str]]:
    """Yield where presses are reported; `button` is being watched meanwhile."""
    reports: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(button.watch(lambda: reports.put_nowait("press")))
        # One turn of the loop is what a watch needs to take hold: no button waits for anything before.
        await asyncio.sleep(0)
        yield reports
        watch.cancel()
    assert watch.cancelled()


async def test_each_press_is_reported_once(rig: Rig) -> None:
    async with watching(rig.button) as reports:
        for _ in range(3):
            await rig.press()
            await reports.get()
        assert reports.empty()


async def test_watch_can_follow_a_watch(rig: Rig) -> None:
    for _ in range(2):
        async with watching(rig.button) as reports:
            await rig.press()
            await reports.get()
