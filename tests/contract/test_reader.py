"""The behaviour that all readers share."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from evdev import ecodes
from tests.support.kiosk import running, soon
from tests.support.pedals import NO_UINPUT, KernelPedal, MemoryPedal, uinput_is_possible
from tests.support.until import until

from kioskd.adapters.controls.evdev import EvdevReader, InputDevices
from kioskd.adapters.fakes.devices import MemoryReader
from kioskd.errors import DeviceLost
from kioskd.ports import LineReader

KEYS = tuple(range(ecodes.KEY_ESC, ecodes.KEY_KPDOT + 1))


@dataclass(frozen=True)
class Rig:
    """A reader, and functions that type a line of small letters and unplug it."""

    reader: LineReader
    scan: Callable[[str], object]
    unplug: Callable[[], object]


def typing(pedal: MemoryPedal | KernelPedal) -> Callable[[str], None]:
    """Return a function that types a line with the keys of a device."""

    def scan(line: str) -> None:
        for name in (*line.upper(), "ENTER"):
            pedal.press(ecodes.ecodes[f"KEY_{name}"])
            pedal.let_go(ecodes.ecodes[f"KEY_{name}"])

    return scan


@pytest.fixture(params=["memory", "evdev in memory", pytest.param("uinput", marks=pytest.mark.hardware)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    match request.param:
        case "memory":
            memory = MemoryReader()
            yield Rig(memory, memory.scan, memory.unplug)
        case "uinput":
            if not uinput_is_possible():
                pytest.skip(NO_UINPUT)
            made = KernelPedal(f"kioskd test reader {os.getpid()}", KEYS)
            yield Rig(EvdevReader(made.name, "us"), typing(made), made.unplug)
            made.close()
        case _:
            pedal = MemoryPedal("Scanner", KEYS)
            reader = EvdevReader("Scanner", "us", InputDevices(pedal.here, pedal.open))
            yield Rig(reader, typing(pedal), pedal.unplug)
            pedal.close()


async def scanned(rig: Rig, lines: list[str]) -> None:
    """Type `sync` until the reader, which may open its device in a thread, reports it."""

    def heard() -> bool:
        rig.scan("sync")
        return "sync" in lines

    await until(heard)


async def lines_of_a_watch(rig: Rig) -> set[str]:
    """Watch the reader while it types two lines, and return all lines once these came in order."""
    lines: list[str] = []
    async with running(rig.reader.watch(lines.append)):
        await scanned(rig, lines)
        rig.scan("one")
        rig.scan("two2")
        await until(lambda: lines[-2:] == ["one", "two2"])
    return set(lines)


async def test_lines_are_reported_in_order_by_each_watch(rig: Rig) -> None:
    for _ in range(2):
        assert await lines_of_a_watch(rig) == {"sync", "one", "two2"}


async def test_an_unplugged_reader_is_a_lost_device(rig: Rig) -> None:
    lines: list[str] = []

    async def unplug() -> None:
        await scanned(rig, lines)
        rig.unplug()
        await asyncio.Event().wait()

    async with running(unplug()):
        with pytest.raises(DeviceLost):
            await soon(rig.reader.watch(lines.append))
