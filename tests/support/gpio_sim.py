"""GPIO lines without hardware: the kernel's gpio-sim chip, and a line in memory for machines without it."""

import asyncio
import collections
import contextlib
import errno
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gpiod import EdgeEvent, LineSettings
from gpiod.line import Value

CONFIGFS = Path("/sys/kernel/config/gpio-sim")
LABEL = f"kioskd-test-{os.getpid()}"
LINES = 8

TELLS_LOSS = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 6)
"""Whether this kernel wakes a process that waits for an edge of a removed chip: true since 6.6."""

NO_SIM = f"no {CONFIGFS}: needs `modprobe gpio-sim`, configfs mounted on /sys/kernel/config, and root"


def sim_is_possible() -> bool:
    """Return whether this machine can create a simulated chip."""
    return os.access(CONFIGFS, os.W_OK)


class SimChip:
    """Simulated GPIO chip. `label`: its name for the adapters; `wires`: the folder of its wires."""

    label = LABEL

    def __init__(self, wires: Path, name: str, live: Path) -> None:
        self.name = name
        self._wires = wires
        self._live = live

    def pull(self, line: int, *, up: bool) -> None:
        """Pull `line` high or low from outside, as a switch would."""
        (self._wires / f"sim_gpio{line}" / "pull").write_text("pull-up" if up else "pull-down")

    def pulled(self, line: int) -> str:
        """Return which resistor is on: pull-up or pull-down."""
        return (self._wires / f"sim_gpio{line}" / "pull").read_text().strip()

    def unplug(self) -> None:
        """Remove the chip, even if it is in use."""
        self._live.write_text("0")

    def lit(self, line: int) -> bool:
        """Return whether `line` is driven high."""
        return (self._wires / f"sim_gpio{line}" / "value").read_text().strip() == "1"


@contextlib.contextmanager
def sim_chip() -> Iterator[SimChip]:
    """Create a chip of `LINES` lines, and remove it afterwards, even if it is in use."""
    device = CONFIGFS / LABEL
    bank = device / "bank0"
    bank.mkdir(parents=True)
    try:
        (bank / "num_lines").write_text(str(LINES))
        (bank / "label").write_text(LABEL)
        (device / "live").write_text("1")
        try:
            name = (bank / "chip_name").read_text().strip()
            platform = (device / "dev_name").read_text().strip()
            yield SimChip(Path("/sys/devices/platform") / platform / name, name, device / "live")
        finally:
            # The kernel rejects a second removal.
            if (device / "live").read_text().strip() == "1":
                (device / "live").write_text("0")
    finally:
        bank.rmdir()
        device.rmdir()


class MemoryLines:
    """Lines in memory with a real file descriptor. `press` adds edges; `levels` holds levels.

    `open` replaces `kioskd.adapters.controls.gpio_chips.open_lines`.
    """

    def __init__(self) -> None:
        self.settings: LineSettings | None = None
        self.asked: list[LineSettings] = []
        """All settings that were requested, also those that were refused."""
        self.levels: asyncio.Queue[dict[int, bool]] = asyncio.Queue()
        """The levels of all lines after each change."""
        self.lit: dict[int, bool] = {}
        self.taken = False
        self.debounces = True
        """Whether the kernel can debounce these lines."""
        self.refusal: Exception | None = None
        """The kernel's error when these lines are requested; None if it grants them."""
        self.down = False
        self._gone = False
        self._stamps_ns: collections.deque[int] = collections.deque()
        self._reader, self._writer = os.pipe()

    @property
    def fd(self) -> int:
        return self._reader

    def open(self, chip: str, lines: Sequence[int], settings: LineSettings) -> "MemoryLines":
        assert not self.taken, f"gpio:{chip}/{lines} is in use"
        self.asked.append(settings)
        if self.refusal is not None:
            raise self.refusal
        if settings.debounce_period and not self.debounces:
            raise OSError(errno.ENXIO, "No such device or address")
        self.settings = settings
        self.lit = {line: bool(settings.output_value) for line in lines}
        self.taken = True
        return self

    def press(self, at_s: float | None = None) -> None:
        """Close the switch: now, or at a past time of CLOCK_MONOTONIC."""
        self.down = True
        self._stamp(at_s)
        os.write(self._writer, b"+")

    def release(self) -> None:
        """Release the request of the lines. (`let_go` opens the switch.)"""
        self.taken = False

    def let_go(self, at_s: float | None = None) -> None:
        """Open the switch; see `press`."""
        self.down = False
        self._stamp(at_s)
        os.write(self._writer, b"-")

    def lose_edges(self) -> None:
        """Drop the waiting edges, as a kernel does with the oldest ones when its buffer overflows."""
        os.read(self._reader, 4096)
        self._stamps_ns.clear()

    def unplug(self) -> None:
        self._gone = True
        os.write(self._writer, b".")

    def read_edge_events(self) -> Sequence[EdgeEvent]:
        self._raise_if_gone()
        types = {ord("+"): EdgeEvent.Type.RISING_EDGE, ord("-"): EdgeEvent.Type.FALLING_EDGE}
        edges = os.read(self._reader, 16)
        return [EdgeEvent(types[edge].value, self._stamps_ns.popleft(), 0, 0, 0) for edge in edges]

    def get_value(self, line: int, /) -> Value:
        self._raise_if_gone()
        return Value.ACTIVE if self.down else Value.INACTIVE

    def set_value(self, line: int, value: Value, /) -> None:
        self._raise_if_gone()
        assert line in self.lit, f"line {line} was not asked for"
        self.lit[line] = bool(value)
        self.levels.put_nowait(dict(self.lit))

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def _stamp(self, at_s: float | None) -> None:
        self._stamps_ns.append(time.monotonic_ns() if at_s is None else round(at_s * 1e9))

    def _raise_if_gone(self) -> None:
        if self._gone:
            raise OSError(errno.ENODEV, "No such device")
