"""Lamps on lines that are on or off."""

import errno
from collections.abc import Callable, Iterator

import pytest
from gpiod import LineSettings
from gpiod.line import Direction, Value
from tests.support.gpio_sim import MemoryLines
from tests.support.kiosk import running, soon

from kioskd.adapters.controls.gpio_chips import ActiveLevel, RequestLines
from kioskd.adapters.controls.gpio_lamp import GpioLamp
from kioskd.errors import DeviceLost
from kioskd.media import lamp_patterns
from kioskd.ports import Lamp, Light


@pytest.fixture
def lines() -> Iterator[MemoryLines]:
    lines = MemoryLines()
    yield lines
    lines.close()


@pytest.mark.parametrize(("active", "active_low"), [("high", False), ("low", True)])
async def test_the_line_is_requested_dark_and_as_the_lamp_is_wired(
    lines: MemoryLines, active: ActiveLevel, active_low: bool
) -> None:
    async with running(GpioLamp("pi", [25], active=active, open_lines=lines.open).run()):
        await soon(lines.levels.get())
        assert lines.settings == LineSettings(
            direction=Direction.OUTPUT, active_low=active_low, output_value=Value.INACTIVE
        )
        assert list(lines.lit) == [25]
    assert not lines.taken


async def test_a_dim_light_is_on_for_a_lamp_without_dimming(lines: MemoryLines) -> None:
    lamp = GpioLamp("pi", [25], open_lines=lines.open)
    async with running(lamp.run()):
        assert await soon(lines.levels.get()) == {25: False}
        lamp.shine(Light("waking", 0.0, 0.001, 0.0))
        assert await soon(lines.levels.get()) == {25: True}


@pytest.mark.parametrize("state", sorted(lamp_patterns.STATES))
async def test_three_lines_show_the_colour_of_each_state(lines: MemoryLines, state: str) -> None:
    lamp = GpioLamp("pi", (17, 27, 22), open_lines=lines.open)
    lamp.shine(Light(state, *lamp_patterns.STATES[state].colour))
    async with running(lamp.run()):
        levels = [await soon(lines.levels.get()) for _ in range(3)]
    assert levels[-1] == dict(
        zip((17, 27, 22), (part > 0 for part in lamp_patterns.STATES[state].colour), strict=True)
    )
    assert set(lines.lit.values()) == {False}


async def test_an_equal_light_is_not_written_again(lines: MemoryLines) -> None:
    lamp = GpioLamp("pi", [25], open_lines=lines.open)
    async with running(lamp.run()):
        await soon(lines.levels.get())
        for level in (0.0, 1.0):
            for _ in range(3):
                lamp.shine(Light("starting", level, level, level))
        assert await soon(lines.levels.get()) == {25: True}
        assert lines.levels.empty()


@pytest.mark.parametrize(
    ("lamp", "name"),
    [
        (lambda opened: GpioLamp("pi", [25], open_lines=opened), "gpio:pi/25"),
        (lambda opened: GpioLamp("pi", (1, 2, 3), open_lines=opened), "rgb:pi/1,2,3"),
    ],
)
async def test_a_lamp_that_is_unplugged_or_in_use_is_a_lost_device(
    lines: MemoryLines, lamp: Callable[[RequestLines], Lamp], name: str
) -> None:
    made = lamp(lines.open)
    lines.unplug()
    with pytest.raises(DeviceLost, match=f"^{name}: its GPIO chip is gone"):
        await soon(made.run())
    assert not lines.taken
    lines.refusal = OSError(errno.EBUSY, "Device or resource busy")
    with pytest.raises(DeviceLost, match=f"^{name}: another program is using it"):
        await soon(made.run())


async def test_a_lamp_on_a_missing_chip_is_a_lost_device() -> None:
    with pytest.raises(DeviceLost, match="no GPIO chip has this name"):
        await GpioLamp("pinctrl-none", [25]).run()
