"""What every lamp does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.support.gpio_sim import NO_SIM, MemoryLine, sim_chip, sim_is_possible

from kioskd.adapters.gpio import PATTERNS, GpioLamp
from kioskd.adapters.memory import MemoryLamp
from kioskd.ports import Lamp


@dataclass(frozen=True)
class Rig:
    """A lamp, and an eye on it."""

    lamp: Lamp
    lit: Callable[[], bool]


@pytest.fixture(params=["memory", "gpio in memory", pytest.param("gpio-sim", marks=pytest.mark.hardware)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        lamp = MemoryLamp()
        yield Rig(lamp, lambda: lamp.lit)
    elif request.param == "gpio in memory":
        line = MemoryLine()
        yield Rig(GpioLamp("memory", 5, open_line=line.open), lambda: line.lit)
        line.close()
    elif not sim_is_possible():
        pytest.skip(NO_SIM)
    else:
        with sim_chip() as chip:
            yield Rig(GpioLamp(chip.label, 5), lambda: chip.lit(5))


@asynccontextmanager
async def burning(lamp: Lamp) -> AsyncIterator[None]:
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(lamp.run())
        # One turn of the loop is what a lamp needs to light up.
        await asyncio.sleep(0)
        yield
        run.cancel()
    assert run.cancelled()


async def test_state_can_be_shown_before_the_lamp_runs(rig: Rig) -> None:
    rig.lamp.show("listening")
    async with burning(rig.lamp):
        assert rig.lit()


async def test_lamp_is_out_when_it_has_run(rig: Rig) -> None:
    rig.lamp.show("listening")
    async with burning(rig.lamp):
        pass
    assert not rig.lit()


@pytest.mark.parametrize("state", PATTERNS)
async def test_every_state_can_be_shown_and_left(rig: Rig, state: str) -> None:
    async with burning(rig.lamp):
        rig.lamp.show(state)
        await asyncio.sleep(0)
        rig.lamp.show("asleep")
    assert not rig.lit()


async def test_lamp_can_run_again(rig: Rig) -> None:
    rig.lamp.show("listening")
    for _ in range(2):
        async with burning(rig.lamp):
            assert rig.lit()
