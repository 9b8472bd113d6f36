"""A push button on a line: how the line is requested, and how bouncing is handled."""

import asyncio
import errno
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from gpiod import LineSettings
from gpiod.line import Bias, Direction
from gpiod.line import Edge as Detected
from tests.support.buttons import levels_into
from tests.support.gpio_sim import NO_SIM, MemoryLines, sim_chip, sim_is_possible
from tests.support.kiosk import running, soon

from kioskd.adapters.controls.gpio_button import GpioButton, Pull
from kioskd.adapters.controls.gpio_chips import ActiveLevel
from kioskd.errors import DeviceLost
from kioskd.ports import Edge


@pytest.fixture
def lines() -> Iterator[MemoryLines]:
    lines = MemoryLines()
    yield lines
    lines.close()


@pytest.mark.parametrize(
    ("pull", "bias"), [("up", Bias.PULL_UP), ("down", Bias.PULL_DOWN), ("none", Bias.DISABLED)]
)
@pytest.mark.parametrize(("active", "active_low"), [("low", True), ("high", False)])
async def test_the_line_is_requested_as_the_switch_is_wired(
    lines: MemoryLines, pull: Pull, bias: Bias, active: ActiveLevel, active_low: bool
) -> None:
    reports: asyncio.Queue[bool] = asyncio.Queue()
    button = GpioButton("pi", 17, pull=pull, active=active, debounce_ms=30, open_lines=lines.open)
    async with running(button.watch(levels_into(reports))):
        await soon(reports.get())
        assert lines.settings == LineSettings(
            direction=Direction.INPUT,
            edge_detection=Detected.BOTH,
            bias=bias,
            active_low=active_low,
            debounce_period=timedelta(milliseconds=30),
        )
        assert lines.taken
    assert not lines.taken


async def test_edges_that_arrive_together_are_all_reported_in_order(lines: MemoryLines) -> None:
    reports: asyncio.Queue[bool] = asyncio.Queue()
    async with running(GpioButton("pi", 17, open_lines=lines.open).watch(levels_into(reports))):
        assert await soon(reports.get()) is False
        for _ in range(40):
            lines.press()
            lines.let_go()
        assert [await soon(reports.get()) for _ in range(80)] == [True, False] * 40


async def test_an_edge_from_the_opening_of_the_line_is_not_reported_twice(lines: MemoryLines) -> None:
    reports: asyncio.Queue[bool] = asyncio.Queue()
    lines.press()
    async with running(GpioButton("pi", 17, open_lines=lines.open).watch(levels_into(reports))):
        assert await soon(reports.get()) is True
        lines.let_go()
        assert await soon(reports.get()) is False
        assert reports.empty()


async def test_the_line_is_never_read_when_nothing_waits(lines: MemoryLines) -> None:
    reports: asyncio.Queue[bool] = asyncio.Queue()
    async with running(GpioButton("pi", 17, open_lines=lines.open).watch(levels_into(reports))):
        await soon(reports.get())
        for _ in range(3):
            lines.press()
            await soon(reports.get())
            # By now the loop has seen the press twice. A second read would block here.
            for _ in range(5):
                await asyncio.sleep(0)
            lines.let_go()
            await soon(reports.get())


async def test_a_bug_in_the_callback_is_raised(lines: MemoryLines) -> None:
    def on_edge(_edge: Edge) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await GpioButton("pi", 17, open_lines=lines.open).watch(on_edge)
    assert not lines.taken


async def test_each_edge_has_the_kernels_time(lines: MemoryLines) -> None:
    edges: asyncio.Queue[Edge] = asyncio.Queue()
    async with running(GpioButton("pi", 17, open_lines=lines.open).watch(edges.put_nowait)):
        assert await soon(edges.get()) == Edge(down=False)
        lines.press(at_s=70.25)
        lines.let_go(at_s=70.5)
        assert [await soon(edges.get()) for _ in range(2)] == [Edge(True, 70.25), Edge(False, 70.5)]


# Lines that the kernel does not debounce.


async def test_bouncing_is_judged_by_the_edges_times_and_not_by_the_time_of_reading(
    lines: MemoryLines,
) -> None:
    lines.debounces = False
    edges: asyncio.Queue[Edge] = asyncio.Queue()
    async with running(GpioButton("pi", 17, open_lines=lines.open).watch(edges.put_nowait)):
        await soon(edges.get())
        for at_s in (70.0, 70.4):
            lines.press(at_s=at_s)
            lines.let_go(at_s=at_s + 0.004)
            lines.press(at_s=at_s + 0.008)
            lines.let_go(at_s=at_s + 0.2)
        assert [await soon(edges.get()) for _ in range(4)] == [
            Edge(True, 70.0),
            Edge(False, 70.2),
            Edge(True, 70.4),
            Edge(False, 70.6),
        ]


async def test_a_release_within_the_bouncing_is_kept_when_it_is_read_with_the_next_press(
    lines: MemoryLines,
) -> None:
    lines.debounces = False
    edges: asyncio.Queue[Edge] = asyncio.Queue()
    async with running(GpioButton("pi", 17, open_lines=lines.open).watch(edges.put_nowait)):
        await soon(edges.get())
        for at_s in (70.0, 70.3):
            lines.press(at_s=at_s)
            lines.let_go(at_s=at_s + 0.015)
        assert [(await soon(edges.get())).down for _ in range(4)] == [True, False, True, False]


async def test_a_kernel_that_cannot_debounce_gives_plain_edges(
    lines: MemoryLines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    lines.debounces = False
    reports: asyncio.Queue[bool] = asyncio.Queue()
    async with running(GpioButton("pi", 17, open_lines=lines.open).watch(levels_into(reports))):
        await soon(reports.get())
    assert [asked.debounce_period for asked in lines.asked] == [timedelta(milliseconds=20), timedelta()]
    (said,) = caplog.messages
    assert said.startswith("button debounced by kioskd, as the kernel cannot: line=gpio:pi/17 error=")


async def test_the_first_edge_counts_at_once_and_later_bounces_do_not(lines: MemoryLines) -> None:
    lines.debounces = False
    reports: asyncio.Queue[bool] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    button = GpioButton("pi", 17, debounce_ms=50, open_lines=lines.open)
    async with running(button.watch(levels_into(reports))):
        assert await soon(reports.get()) is False
        pressed_at = loop.time()
        for _ in range(5):
            lines.press()
            lines.let_go()
        lines.press()
        assert await soon(reports.get()) is True
        lines.let_go()
        assert await soon(reports.get()) is False
        # The release came at once, and counted when the bouncing was over. The loop's timers may be early by
        # the grain of its clock.
        assert loop.time() - pressed_at >= 0.049
        assert reports.empty()


async def test_a_line_with_lost_edges_is_read_again_after_the_bouncing(
    lines: MemoryLines,
) -> None:
    lines.debounces = False
    reports: asyncio.Queue[bool] = asyncio.Queue()
    button = GpioButton("pi", 17, debounce_ms=50, open_lines=lines.open)
    async with running(button.watch(levels_into(reports))):
        assert await soon(reports.get()) is False
        lines.press()
        assert await soon(reports.get()) is True
        lines.let_go()
        lines.lose_edges()
        assert await soon(reports.get()) is False


async def test_a_line_in_use_is_requested_once_and_reported(lines: MemoryLines) -> None:
    lines.refusal = OSError(errno.EBUSY, "Device or resource busy")
    with pytest.raises(DeviceLost, match=r"^gpio:pi/17: another program is using it"):
        await GpioButton("pi", 17, open_lines=lines.open).watch(lambda _pressed: None)
    assert len(lines.asked) == 1


async def test_a_missing_line_is_reported(lines: MemoryLines) -> None:
    lines.refusal = ValueError("line offset of out range")
    with pytest.raises(
        DeviceLost, match=r"^gpio:pi/99: line offset of out range; see the chips' lines with `kioskd devices`"
    ):
        await GpioButton("pi", 99, open_lines=lines.open).watch(lambda _pressed: None)


@pytest.mark.skipif(bool(list(Path("/dev").glob("gpiochip*"))), reason="this machine has GPIO chips")
async def test_the_default_configuration_on_a_machine_without_gpio_names_both_remedies() -> None:
    source = yaml.safe_load((Path(__file__).parents[3] / "config/kioskd.yaml").read_text())["controls"][
        "button"
    ]["source"]
    assert source == "gpio:pi/17"
    with pytest.raises(DeviceLost, match=r"here: none\); plug it in, .*or remove the button or lamp from"):
        await GpioButton("pi", 17).watch(lambda _edge: None)


@pytest.mark.hardware
@pytest.mark.parametrize(("pull", "on"), [("up", "pull-up"), ("down", "pull-down")])
async def test_the_kernel_switches_the_resistor_on(pull: Pull, on: str) -> None:
    if not sim_is_possible():
        pytest.skip(NO_SIM)
    reports: asyncio.Queue[bool] = asyncio.Queue()
    with sim_chip() as chip:
        chip.pull(3, up=pull == "down")
        async with running(GpioButton(chip.label, 3, pull=pull).watch(levels_into(reports))):
            await soon(reports.get())
            assert chip.pulled(3) == on
