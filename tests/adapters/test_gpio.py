import asyncio
import math
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from gpiod import LineSettings
from gpiod.line import Bias, Direction, Edge, Value
from tests.support.gpio_sim import LINES, NO_SIM, MemoryLine, SimChip, sim_chip, sim_is_possible

from kioskd.adapters.gpio import DARK, PATTERNS, STEADY, Chip, GpioButton, GpioLamp, chips, open_line, phases
from kioskd.core.effects import Shown
from kioskd.errors import ConfigError, DeviceLost


@pytest.fixture
def line() -> Iterator[MemoryLine]:
    line = MemoryLine()
    yield line
    line.close()


@pytest.fixture
def chip() -> Iterator[SimChip]:
    if not sim_is_possible():
        pytest.skip(NO_SIM)
    with sim_chip() as chip:
        yield chip


# Rhythms


def test_every_state_shown_to_people_has_a_rhythm() -> None:
    assert set(PATTERNS) == {*Shown, "muted", "closed"}


def test_asleep_is_dark_and_listening_is_lit() -> None:
    assert phases(PATTERNS["asleep"]) == [(False, math.inf)]
    assert phases(PATTERNS["listening"]) == [(True, math.inf)]


@pytest.mark.parametrize("state", PATTERNS)
def test_rhythm_begins_lit_and_ends_dark_unless_it_is_steady(state: str) -> None:
    pattern = PATTERNS[state]
    assert pattern in (DARK, STEADY) or (len(pattern) % 2 == 0 and min(pattern) >= 0.1)


def switched_on(pattern: tuple[float, ...], until_s: float) -> list[float]:
    """Return when a lamp that shows `pattern` goes from dark to lit, in seconds from its start."""
    moments: list[float] = []
    now = 0.0
    while pattern not in (DARK, STEADY) and now < until_s:
        for lit, seconds in phases(pattern):
            moments += [now] if lit else []
            now += seconds
    return moments


@pytest.mark.parametrize("state", PATTERNS)
def test_nothing_flashes_more_than_three_times_a_second(state: str) -> None:
    moments = switched_on(PATTERNS[state], until_s=20)
    assert all(fourth - first > 1.0 for first, fourth in zip(moments, moments[3:], strict=False))


@pytest.mark.parametrize(("one", "other"), list(combinations(PATTERNS, 2)))
def test_states_can_be_told_apart_by_their_flashes_their_pace_or_their_light(one: str, other: str) -> None:
    def signature(pattern: tuple[float, ...]) -> tuple[int, float, float]:
        if pattern in (DARK, STEADY):
            return 0, 1.0, float(pattern == STEADY)
        return len(pattern) // 2, sum(pattern), sum(pattern[::2]) / sum(pattern)

    (flashes, period_s, share), (flashes_2, period_2_s, share_2) = map(
        signature, (PATTERNS[one], PATTERNS[other])
    )
    slower = max(period_s, period_2_s) / min(period_s, period_2_s)
    assert flashes != flashes_2 or slower >= 2 or abs(share - share_2) >= 0.25


# The lamp


async def shown_next(line: MemoryLine, count: int) -> list[bool]:
    async with asyncio.timeout(10):
        return [await line.levels.get() for _ in range(count)]


async def test_lamp_follows_the_rhythm_and_goes_out_at_the_end(line: MemoryLine) -> None:
    lamp = GpioLamp("gpiochip0", 25, open_line=line.open)
    lamp.show("waking")
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(lamp.run())
        began = loop.time()
        assert await shown_next(line, 4) == [True, False, True, False]
        # The loop's timers may be early by its clock's grain.
        assert loop.time() - began >= sum(PATTERNS["waking"]) + PATTERNS["waking"][0] - 0.01
        lamp.show("listening")
        assert await shown_next(line, 1) == [True]
        run.cancel()
    assert (line.lit, line.taken) == (False, False)
    assert line.settings is not None
    assert line.settings.direction is Direction.OUTPUT
    assert line.settings.output_value is Value.INACTIVE


async def test_new_state_does_not_wait_for_the_old_one_to_finish(line: MemoryLine) -> None:
    lamp = GpioLamp("gpiochip0", 25, open_line=line.open)
    lamp.show("asleep")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(lamp.run())
        assert await shown_next(line, 1) == [False]
        lamp.show("listening")
        assert await shown_next(line, 1) == [True]
        lamp.show("asleep")
        assert await shown_next(line, 1) == [False]
        run.cancel()


async def test_showing_the_same_state_again_does_not_begin_its_rhythm_anew(line: MemoryLine) -> None:
    lamp = GpioLamp("gpiochip0", 25, open_line=line.open)
    lamp.show("waking")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(lamp.run())
        levels = []
        for _ in range(4):
            levels += await shown_next(line, 1)
            lamp.show("waking")
        run.cancel()
    assert levels == [True, False, True, False]


async def test_lamp_that_is_unplugged_is_a_lost_device(line: MemoryLine) -> None:
    lamp = GpioLamp("pinctrl-rp1", 25, open_line=line.open)
    lamp.show("waking")
    line.unplug()
    with pytest.raises(DeviceLost, match=r"^gpio:pinctrl-rp1/25: went away"):
        await lamp.run()
    assert not line.taken


def test_state_without_a_rhythm_is_refused(line: MemoryLine) -> None:
    with pytest.raises(ValueError, match=r"^lamp state 'dancing': must be one of asleep"):
        GpioLamp("gpiochip0", 25, open_line=line.open).show("dancing")


# The button


async def pressed(line: MemoryLine, button: GpioButton, count: int) -> None:
    """Return when `button` has reported `count` presses."""
    presses = asyncio.Semaphore(0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(button.watch(presses.release))
        for _ in range(count):
            await presses.acquire()
        watch.cancel()


@pytest.mark.parametrize(("active_low", "bias"), [(True, Bias.PULL_UP), (False, Bias.PULL_DOWN)])
async def test_line_is_asked_for_as_the_switch_is_wired(
    line: MemoryLine, active_low: bool, bias: Bias
) -> None:
    line.press()
    button = GpioButton("gpiochip0", 17, active_low=active_low, debounce_s=0.02, open_line=line.open)
    await pressed(line, button, 1)
    assert line.settings == LineSettings(
        direction=Direction.INPUT,
        edge_detection=Edge.RISING,
        bias=bias,
        active_low=active_low,
        debounce_period=timedelta(milliseconds=20),
    )
    assert not line.taken


async def test_presses_that_came_together_are_all_reported(line: MemoryLine) -> None:
    for _ in range(40):
        line.press()
    await pressed(line, GpioButton("gpiochip0", 17, open_line=line.open), 40)


async def test_line_is_never_read_when_nothing_waits(line: MemoryLine) -> None:
    presses = asyncio.Semaphore(0)
    button = GpioButton("gpiochip0", 17, open_line=line.open)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(button.watch(presses.release))
        for _ in range(3):
            line.press()
            await presses.acquire()
            # The loop has seen the press twice by now. A read for the second time that blocked would end here.
            for _ in range(5):
                await asyncio.sleep(0)
        watch.cancel()


async def test_button_that_is_unplugged_is_a_lost_device(line: MemoryLine) -> None:
    line.unplug()
    with pytest.raises(DeviceLost, match=r"^gpio:gpiochip0/17: went away"):
        await GpioButton("gpiochip0", 17, open_line=line.open).watch(lambda: None)
    assert not line.taken


async def test_bug_in_the_callback_is_not_swallowed(line: MemoryLine) -> None:
    def on_press() -> None:
        raise ZeroDivisionError

    line.press()
    with pytest.raises(ZeroDivisionError):
        await GpioButton("gpiochip0", 17, open_line=line.open).watch(on_press)
    assert not line.taken


# Finding a chip


async def test_missing_chip_names_those_that_are_here_and_where_to_look() -> None:
    here = ", ".join(map(str, chips())) or "none"
    with pytest.raises(DeviceLost) as caught:
        await GpioButton("pinctrl-none", 17).watch(lambda: None)
    assert str(caught.value) == (
        f"gpio:pinctrl-none/17: no such chip (here: {here}); `kioskd devices` lists what there is"
    )


async def test_missing_chip_is_a_lost_device_for_a_lamp_too() -> None:
    with pytest.raises(DeviceLost, match=r"^gpio:/dev/gpiochip-none/25: no such chip"):
        await GpioLamp("/dev/gpiochip-none", 25).run()


def test_chip_that_may_not_be_opened_is_listed_as_such() -> None:
    assert str(Chip("/dev/gpiochip0", "gpiochip0", None, None)) == "gpiochip0 (no permission)"
    assert str(Chip("/dev/gpiochip0", "gpiochip0", "pinctrl-rp1", 54)) == "gpiochip0 (pinctrl-rp1)"


@pytest.mark.parametrize("missing", ["gpiod", "one of an old major version"])
def test_missing_library_is_the_owners_to_mend(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python takes None for "cannot be imported"; any other module has no LineSettings, as gpiod 1 had none.
    library: Any = None if missing == "gpiod" else math
    monkeypatch.setitem(sys.modules, "gpiod", library)
    with pytest.raises(ConfigError, match=r"^gpio:gpiochip0/17: the Python package gpiod 2 cannot"):
        GpioButton("gpiochip0", 17)
    with pytest.raises(ConfigError, match=r"^gpio:gpiochip0/25: the Python package gpiod 2 cannot"):
        GpioLamp("gpiochip0", 25)


@pytest.mark.hardware
def test_chip_answers_to_its_name_its_path_and_its_label(chip: SimChip) -> None:
    assert Chip(f"/dev/{chip.name}", chip.name, chip.label, LINES) in chips()
    for name in (chip.name, f"/dev/{chip.name}", chip.label):
        open_line(name, 0, LineSettings()).release()


@pytest.mark.hardware
def test_line_that_is_taken_or_missing_says_which(chip: SimChip) -> None:
    taken = open_line(chip.label, 0, LineSettings())
    with pytest.raises(DeviceLost, match="/0: in use by something else"):
        open_line(chip.label, 0, LineSettings())
    taken.release()
    with pytest.raises(DeviceLost, match=f"/{LINES}: "):
        open_line(chip.label, LINES, LineSettings())
