"""The behaviour that all lamps share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.fakes_devices import MemoryLamp
from tests.support.gpio_sim import NO_SIM, MemoryLines, sim_chip, sim_is_possible
from tests.support.sysfs_lights import PwmChip, make_led

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.controls.command_lamp import CommandLamp
from kioskd.adapters.controls.gpio_lamp import GpioLamp
from kioskd.adapters.controls.sysfs_light import LedLamp, PwmLamp
from kioskd.core.effects import KioskStatus
from kioskd.ports import Lamp, Light

BRIGHT = Light("listening", 1.0, 1.0, 1.0)
DIM = Light("listening", 0.001, 0.001, 0.001)
OUT = Light("asleep", 0.0, 0.0, 0.0)

KEEP_THE_STATE = 'printf %s "$2" > "$1.new" && mv "$1.new" "$1"'
"""Command of a lamp: it writes the state to a file."""


@dataclass(frozen=True)
class Rig:
    """A lamp, and a function that tells whether it is lit."""

    lamp: Lamp
    lit: Callable[[], bool]

    async def shows(self, *, lit: bool) -> None:
        """Wait until the lamp is lit or out: one round of the loop, or as many as a process takes."""
        clock = SystemClock()
        async with asyncio.timeout(60):
            while self.lit() is not lit:
                await clock.sleep(0)


SIM = pytest.mark.hardware


@pytest.fixture(
    params=[
        "memory",
        "gpio in memory",
        "rgb in memory",
        "led",
        "pwm",
        "command",
        pytest.param("sim gpio", marks=SIM),
        pytest.param("sim gpio, active low", marks=SIM),
        pytest.param("sim rgb", marks=SIM),
    ]
)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    match request.param.split()[0], request.param:
        case "memory", _:
            lamp = MemoryLamp()
            yield Rig(lamp, lambda: lamp.lit and lamp.light.level > 0)
        case "gpio" | "rgb" as kind, _:
            lines = MemoryLines()
            line_lamp: Lamp = (
                GpioLamp("memory", [5], open_lines=lines.open)
                if kind == "gpio"
                else GpioLamp("memory", (5, 6, 7), open_lines=lines.open)
            )
            yield Rig(line_lamp, lambda: bool(lines.lit) and all(lines.lit.values()))
            lines.close()
        case "led", _:
            led = make_led(tmp_path, "ACT")
            yield Rig(LedLamp("ACT", root=tmp_path), lambda: int((led / "brightness").read_text() or "0") > 0)
        case "pwm", _:
            chip = PwmChip(tmp_path / "pwm")
            yield Rig(PwmLamp("pwmchip0", 1, root=tmp_path / "pwm", write=chip.write), lambda: chip.lit(1))
        case "command", _:
            shown = tmp_path / "shown"
            yield Rig(
                CommandLamp(["sh", "-c", KEEP_THE_STATE, "lamp", str(shown)]),
                lambda: shown.is_file() and shown.read_text() not in {"asleep", "off"},
            )
        case _, name:
            if not sim_is_possible():
                pytest.skip(NO_SIM)
            with sim_chip() as sim:
                if "rgb" in name:
                    yield Rig(GpioLamp(sim.label, (5, 6, 7)), lambda: all(map(sim.lit, (5, 6, 7))))
                elif "low" in name:
                    # An undriven wire is high here, as with an LED to 3.3 V.
                    sim.pull(5, up=True)
                    yield Rig(GpioLamp(sim.label, [5], active="low"), lambda: not sim.lit(5))
                else:
                    yield Rig(GpioLamp(sim.label, [5]), lambda: sim.lit(5))


@asynccontextmanager
async def burning(lamp: Lamp) -> AsyncIterator[None]:
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        run = tasks.create_task(lamp.run())
        yield
        run.cancel()
    assert run.cancelled()


async def test_a_light_from_before_the_run_is_shown(rig: Rig) -> None:
    rig.lamp.shine(BRIGHT)
    async with burning(rig.lamp):
        await rig.shows(lit=True)


async def test_the_lamp_follows_each_light(rig: Rig) -> None:
    async with burning(rig.lamp):
        for light in (BRIGHT, OUT, DIM, OUT):
            rig.lamp.shine(light)
            await rig.shows(lit=light is not OUT)


async def test_the_lamp_is_out_after_the_run(rig: Rig) -> None:
    rig.lamp.shine(BRIGHT)
    async with burning(rig.lamp):
        await rig.shows(lit=True)
    assert not rig.lit()


async def test_after_many_lights_the_last_is_shown(rig: Rig) -> None:
    async with burning(rig.lamp):
        rig.lamp.shine(OUT)
        for _ in range(50):
            for shown in KioskStatus:
                rig.lamp.shine(Light(shown.value, 0.0, 0.0, 0.0))
        rig.lamp.shine(BRIGHT)
        await rig.shows(lit=True)


async def test_the_lamp_can_run_again(rig: Rig) -> None:
    rig.lamp.shine(BRIGHT)
    for _ in range(2):
        async with burning(rig.lamp):
            await rig.shows(lit=True)
        assert not rig.lit()


async def test_a_run_can_be_cancelled_at_once(rig: Rig) -> None:
    rig.lamp.shine(BRIGHT)
    async with burning(rig.lamp):
        pass
    assert not rig.lit()
