"""The behaviour that all buttons share."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from tests.support.buttons import levels_into
from tests.support.gpio_sim import NO_SIM, TELLS_LOSS, MemoryLines, sim_chip, sim_is_possible
from tests.support.kiosk import running, soon
from tests.support.pedals import NO_UINPUT, KernelPedal, MemoryPedal, uinput_is_possible

from kioskd.adapters.controls.evdev import EvdevButton, InputDevices
from kioskd.adapters.controls.gpio_button import GpioButton
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.errors import DeviceLost
from kioskd.ports import Button, Edge


@dataclass(frozen=True)
class Rig:
    """A button, and functions that press and unplug it."""

    button: Button
    press: Callable[[], object]
    let_go: Callable[[], object]
    unplug: Callable[[], object]


@pytest.fixture(
    params=[
        "memory",
        "gpio in memory",
        "gpio in memory, not debounced by the kernel",
        "evdev in memory",
        pytest.param("gpio-sim", marks=pytest.mark.hardware),
        pytest.param("gpio-sim, active high", marks=pytest.mark.hardware),
        pytest.param("uinput", marks=pytest.mark.hardware),
    ]
)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    match request.param.split()[0], request.param:
        case "memory", _:
            button = MemoryButton()
            yield Rig(button, button.hold, button.release, button.unplug)
        case "gpio", name:
            lines = MemoryLines()
            lines.debounces = "not" not in name
            yield Rig(
                GpioButton("memory", 3, open_lines=lines.open, debounce_ms=5),
                lines.press,
                lines.let_go,
                lines.unplug,
            )
            lines.close()
        case "evdev", _:
            pedal = MemoryPedal("Foot Pedal")
            yield Rig(
                EvdevButton("Foot Pedal", "KEY_ENTER", InputDevices(pedal.here, pedal.open)),
                pedal.press,
                pedal.let_go,
                pedal.unplug,
            )
            pedal.close()
        case "uinput", _:
            if not uinput_is_possible():
                pytest.skip(NO_UINPUT)
            made = KernelPedal(f"kioskd test pedal {os.getpid()}")
            yield Rig(EvdevButton(made.name, "KEY_ENTER"), made.press, made.let_go, made.unplug)
            made.close()
        case _, name:
            if not sim_is_possible():
                pytest.skip(NO_SIM)
            with sim_chip() as chip:
                high = "high" in name
                # A simulated switch and its resistor are one file, so the last write decides.
                sim = GpioButton(chip.label, 3, pull="none", active="high" if high else "low")
                chip.pull(3, up=not high)
                yield Rig(
                    sim,
                    partial(chip.pull, 3, up=high),
                    partial(chip.pull, 3, up=not high),
                    chip.unplug,
                )


@asynccontextmanager
async def watching(button: Button) -> AsyncIterator[asyncio.Queue[bool]]:
    """Watch `button` during the block, and yield the queue of its reports."""
    reports: asyncio.Queue[bool] = asyncio.Queue()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(button.watch(levels_into(reports)))
        yield reports
        watch.cancel()
    assert watch.cancelled()


async def test_the_button_reports_its_state_first(rig: Rig) -> None:
    async with watching(rig.button) as reports:
        assert await reports.get() is False
        assert reports.empty()


async def test_each_press_and_each_release_is_reported_once(rig: Rig) -> None:
    async with watching(rig.button) as reports:
        assert await reports.get() is False
        for _ in range(3):
            rig.press()
            assert await reports.get() is True
            rig.let_go()
            assert await reports.get() is False
        assert reports.empty()


async def test_watch_can_follow_a_watch(rig: Rig) -> None:
    for _ in range(3):
        async with watching(rig.button) as reports:
            assert await reports.get() is False
            rig.press()
            assert await reports.get() is True
            rig.let_go()
            assert await reports.get() is False


async def test_a_button_held_at_the_opening_is_reported_as_pressed(rig: Rig) -> None:
    async with watching(rig.button) as reports:
        assert await reports.get() is False
        rig.press()
        assert await reports.get() is True
    async with watching(rig.button) as reports:
        assert await reports.get() is True
        rig.let_go()
        assert await reports.get() is False


async def test_an_edge_has_its_time_by_the_daemons_clock(rig: Rig) -> None:
    edges: asyncio.Queue[Edge] = asyncio.Queue()
    async with running(rig.button.watch(edges.put_nowait)):
        assert (await soon(edges.get())).at_s is None, "the first report has no time"
        before_s = time.monotonic()
        rig.press()
        edge = await soon(edges.get())
        assert edge.at_s is None or before_s - 0.001 <= edge.at_s <= time.monotonic()


async def test_a_waiting_edge_is_reported_before_catch_up_returns(rig: Rig) -> None:
    edges: asyncio.Queue[Edge] = asyncio.Queue()
    rig.button.catch_up()  # without a watch nothing is reported
    async with running(rig.button.watch(edges.put_nowait)):
        await soon(edges.get())
        rig.press()
        while edges.empty():  # a kernel that debounces reports later
            rig.button.catch_up()
        assert edges.get_nowait().down


async def test_catch_up_leaves_the_loss_of_a_button_to_its_watch(rig: Rig) -> None:
    edges: asyncio.Queue[Edge] = asyncio.Queue()

    async def unplug_when_it_is_watched() -> None:
        await edges.get()
        rig.unplug()
        rig.button.catch_up()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(unplug_when_it_is_watched())
        with pytest.raises(DeviceLost):
            await rig.button.watch(edges.put_nowait)


async def test_an_unplugged_button_is_a_lost_device(rig: Rig, request: pytest.FixtureRequest) -> None:
    if "gpio-sim" in request.node.name and not TELLS_LOSS:
        pytest.skip("kernels before 6.6 do not report a removed chip")
    reports: asyncio.Queue[bool] = asyncio.Queue()

    async def unplug_when_it_is_watched() -> None:
        assert await reports.get() is False
        rig.unplug()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(unplug_when_it_is_watched())
        with pytest.raises(DeviceLost):
            await rig.button.watch(levels_into(reports))
