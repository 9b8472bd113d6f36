"""GPIO lines without a soldering iron: the kernel's gpio-sim chip, and a line in memory for machines without it."""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpiod import LineSettings
    from gpiod.line import Value

CONFIGFS = Path("/sys/kernel/config/gpio-sim")
LABEL = f"kioskd-test-{os.getpid()}"
LINES = 8

NO_SIM = f"no {CONFIGFS}: needs `modprobe gpio-sim`, configfs mounted on /sys/kernel/config, and root"


def sim_is_possible() -> bool:
    """Whether this machine can make a simulated chip."""
    return os.access(CONFIGFS, os.W_OK)


class SimChip:
    """A chip of the kernel's own making; `label` names it to the adapters, its wires are files below `wires`."""

    label = LABEL

    def __init__(self, wires: Path, name: str) -> None:
        self.name = name
        self._wires = wires

    def pull(self, line: int, *, up: bool) -> None:
        """Put a wire on `line` high or low, as a switch would."""
        (self._wires / f"sim_gpio{line}" / "pull").write_text("pull-up" if up else "pull-down")

    async def press(self, line: int) -> None:
        """Press and let go of a switch to ground, as slowly as a quick finger: longer than any debouncing."""
        for up in (False, True):
            self.pull(line, up=up)
            await asyncio.sleep(0.05)

    def lit(self, line: int) -> bool:
        """Whether `line` is driven high."""
        return (self._wires / f"sim_gpio{line}" / "value").read_text().strip() == "1"


@contextlib.contextmanager
def sim_chip() -> Iterator[SimChip]:
    """Make a chip of `LINES` lines, and take it away afterwards, be it in use or not."""
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
            yield SimChip(Path("/sys/devices/platform") / platform / name, name)
        finally:
            (device / "live").write_text("0")
    finally:
        bank.rmdir()
        device.rmdir()


class MemoryLine:
    """A line in memory, behind a real file descriptor: edges go in by `press`, levels come out of `levels`.

    `open` takes the place of `kioskd.adapters.gpio.open_line`.
    """

    def __init__(self) -> None:
        self.settings: LineSettings | None = None
        self.levels: asyncio.Queue[bool] = asyncio.Queue()
        self.lit = False
        self.taken = False
        self._gone = False
        self._reader, self._writer = os.pipe()

    @property
    def fd(self) -> int:
        return self._reader

    def open(self, chip: str, line: int, settings: "LineSettings") -> "MemoryLine":
        assert not self.taken, f"gpio:{chip}/{line} is in use"
        self.settings = settings
        self.taken = True
        return self

    def press(self) -> None:
        os.write(self._writer, b".")

    def unplug(self) -> None:
        self._gone = True
        self.press()

    def read_edge_events(self) -> Sequence[object]:
        self._raise_if_gone()
        return os.read(self._reader, 16)

    def set_value(self, line: int, value: "Value", /) -> None:
        self._raise_if_gone()
        self.lit = bool(value)
        self.levels.put_nowait(self.lit)

    def release(self) -> None:
        self.taken = False

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)

    def _raise_if_gone(self) -> None:
        if self._gone:
            raise OSError(19, "No such device")
