"""A button and a lamp on GPIO lines, by the kernel's character device.

The only importer of gpiod. A chip is named as a person may know it: `gpiochip0`, `/dev/gpiochip0`, or by its label,
which says what the chip is and holds across kernels: `pinctrl-bcm2711` is a Raspberry Pi 4's, `pinctrl-rp1` a 5's.
"""

import asyncio
import contextlib
import errno
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from kioskd.errors import ConfigError, DeviceLost

if TYPE_CHECKING:
    from gpiod import LineSettings
    from gpiod.line import Value

STEADY: Final = (math.inf,)
DARK: Final = ()

PATTERNS: Final[Mapping[str, tuple[float, ...]]] = {
    "asleep": DARK,
    "starting": (1.0, 1.0),
    "waking": (0.2, 0.2),
    "listening": STEADY,
    "thinking": (0.15, 0.15, 0.15, 0.75),
    "speaking": (0.8, 0.2),
    "muted": (1.6, 0.15, 0.15, 0.15),
    "offline": (0.1, 1.9),
    "closed": (0.1, 4.9),
    "fault": (0.15, 0.2, 0.15, 0.2, 0.15, 1.65),
}
"""The rhythm of each state on a lamp that knows only on and off: seconds on, off, on, ... and again from the start.

Each can be told from the others within five seconds, by its flashes or by how much of the time it is lit:
a slow blink, a quick one, two flashes and a pause, long on and short off, lit with a double wink, one flash in two
seconds, one in five, three and a pause. Nothing flashes more than three times in any second, the bound that keeps
lights harmless to people with photosensitive epilepsy (WCAG 2.3.1).
"""


class Line(Protocol):
    """A line that was asked for and is ours now; `gpiod.LineRequest` is one."""

    @property
    def fd(self) -> int:
        """Readable when an edge waits."""

    def read_edge_events(self) -> Sequence[object]:
        """Return the edges that wait. OSError where the chip is gone."""

    def set_value(self, line: int, value: "Value", /) -> None:
        """Drive the line. OSError where the chip is gone."""

    def release(self) -> None:
        """Give the line back."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A GPIO chip of this machine. `label` and `line_count` are None where we may not open it."""

    path: str
    name: str
    label: str | None
    line_count: int | None

    def __str__(self) -> str:
        return f"{self.name} ({self.label or 'no permission'})"


def chips() -> list[Chip]:
    """Return the GPIO chips of this machine, in the order of their names."""
    import gpiod  # noqa: PLC0415 - only machines with a GPIO button or lamp need it

    found: dict[str, Chip] = {}
    for path in sorted(str(path) for path in Path("/dev").glob("gpiochip*")):
        name, label, line_count = Path(path).name, None, None
        with contextlib.suppress(PermissionError), gpiod.Chip(path) as chip:
            info = chip.get_info()
            name, label, line_count = info.name, info.label, info.num_lines
        # A Raspberry Pi 5 has a second name for one chip: /dev/gpiochip4 leads to gpiochip0.
        found.setdefault(name, Chip(path, name, label, line_count))
    return list(found.values())


def open_line(chip: str, line: int, settings: "LineSettings") -> Line:
    """Ask the kernel for `line` of `chip`, and return it configured.

    Raises:
        DeviceLost: no such chip or line, somebody else has it, or we may not.
    """
    import gpiod  # noqa: PLC0415 - as above

    try:
        with gpiod.Chip(_path_of(chip)) as found:
            return found.request_lines({line: settings}, consumer="kioskd")
    # ValueError and NotImplementedError are gpiod's names for EINVAL and EOPNOTSUPP.
    except (OSError, ValueError, NotImplementedError) as err:
        raise DeviceLost(
            f"{_name(chip, line)}: {_reason(err)}; `kioskd devices` lists what there is"
        ) from err


class GpioButton:
    """A switch between a line and ground, or between a line and 3.3 V where `active_low` is false.

    The line's own pull resistor is switched on, so no other is needed. A press is the moment it closes;
    the kernel passes over what is shorter than `debounce_s`. One that is held while `watch` begins is no press.

    Raises:
        ConfigError: the Python package gpiod is missing, or is older than 2.
    """

    def __init__(
        self,
        chip: str,
        line: int,
        *,
        active_low: bool = True,
        debounce_s: float = 0.01,
        open_line: Callable[[str, int, "LineSettings"], Line] = open_line,
    ) -> None:
        _require_gpiod(chip, line)
        self._chip = chip
        self._line = line
        self._active_low = active_low
        self._debounce_s = debounce_s
        self._open_line = open_line

    async def watch(self, on_press: Callable[[], None]) -> NoReturn:
        """Call `on_press` at each press until cancelled; then the line is free again.

        Raises:
            DeviceLost: the line is not there, is taken, or went away.
        """
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        line = self._open_line(self._chip, self._line, self._settings())
        try:
            # The loop may find the line readable once more before we have read it.
            os.set_blocking(line.fd, False)
            loop.add_reader(line.fd, readable.set)
            try:
                while True:
                    await readable.wait()
                    readable.clear()
                    for _ in self._edges(line):
                        on_press()
            finally:
                loop.remove_reader(line.fd)
        finally:
            line.release()

    def _settings(self) -> "LineSettings":
        from gpiod import LineSettings  # noqa: PLC0415 - as above
        from gpiod.line import Bias, Direction, Edge  # noqa: PLC0415 - as above

        return LineSettings(
            direction=Direction.INPUT,
            # Of the logical level: with active_low the kernel turns it into a falling edge of the wire.
            edge_detection=Edge.RISING,
            bias=Bias.PULL_UP if self._active_low else Bias.PULL_DOWN,
            active_low=self._active_low,
            debounce_period=timedelta(seconds=self._debounce_s),
        )

    def _edges(self, line: Line) -> Sequence[object]:
        try:
            return line.read_edge_events()
        except BlockingIOError:
            return ()
        except OSError as err:
            raise DeviceLost(f"{_name(self._chip, self._line)}: went away ({err})") from err


class GpioLamp:
    """An LED or a relay on one line, lit while the line is high; shows a state by its rhythm in `PATTERNS`.

    Raises:
        ConfigError: the Python package gpiod is missing, or is older than 2.
    """

    def __init__(
        self,
        chip: str,
        line: int,
        *,
        open_line: Callable[[str, int, "LineSettings"], Line] = open_line,
    ) -> None:
        _require_gpiod(chip, line)
        self._chip = chip
        self._line = line
        self._open_line = open_line
        self._state = "starting"
        self._changed = asyncio.Event()

    def show(self, state: str) -> None:
        """Show `state`, a key of `PATTERNS`, from its beginning; one that is shown already goes on undisturbed."""
        if state not in PATTERNS:
            raise ValueError(f"lamp state {state!r}: must be one of {', '.join(PATTERNS)}")
        if state != self._state:
            self._state = state
            self._changed.set()

    async def run(self) -> NoReturn:
        """Drive the line until cancelled, then put the light out.

        Raises:
            DeviceLost: the line is not there, is taken, or went away.
        """
        from gpiod import LineSettings  # noqa: PLC0415 - as above
        from gpiod.line import Direction, Value  # noqa: PLC0415 - as above

        settings = LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE)
        line = self._open_line(self._chip, self._line, settings)
        try:
            while True:
                self._changed.clear()
                for lit, seconds in phases(PATTERNS[self._state]):
                    self._light(line, Value.ACTIVE if lit else Value.INACTIVE)
                    if await self._changed_within(seconds):
                        break
        finally:
            # A line that went away is dark already, and its DeviceLost is on the way up.
            with contextlib.suppress(DeviceLost):
                self._light(line, Value.INACTIVE)
            line.release()

    def _light(self, line: Line, value: "Value") -> None:
        try:
            line.set_value(self._line, value)
        except OSError as err:
            raise DeviceLost(f"{_name(self._chip, self._line)}: went away ({err})") from err

    async def _changed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True


def phases(pattern: tuple[float, ...]) -> list[tuple[bool, float]]:
    """Return a pattern as pairs: whether it is lit, and for how many seconds (`math.inf`: until told otherwise)."""
    if pattern == DARK:
        return [(False, math.inf)]
    return [(number % 2 == 0, seconds) for number, seconds in enumerate(pattern)]


def _name(chip: str, line: int) -> str:
    # As the YAML has it.
    return f"gpio:{chip}/{line}"


def _require_gpiod(chip: str, line: int) -> None:
    try:
        # LineSettings came with gpiod 2; Debian 12's python3-libgpiod is 1.6, under the same name.
        from gpiod import LineSettings  # noqa: F401, PLC0415 - only to see whether it is there
    except ImportError as err:
        raise ConfigError(
            f"{_name(chip, line)}: the Python package gpiod 2 cannot be imported ({err}); "
            "install it (pip install 'gpiod>=2.2'), or take this source out of the configuration"
        ) from err


def _path_of(chip: str) -> str:
    from gpiod import is_gpiochip_device  # noqa: PLC0415 - as above

    path = str(Path("/dev") / chip)  # a chip that is a path already stays as it is
    if is_gpiochip_device(path):
        return path
    here = chips()
    for candidate in here:
        if candidate.label == chip:
            return candidate.path
    names = ", ".join(str(candidate) for candidate in here) or "none"
    raise OSError(errno.ENODEV, f"no such chip (here: {names})")


def _reason(err: Exception) -> str:
    match getattr(err, "errno", None):
        case errno.EBUSY:
            return "in use by something else (`gpioinfo` names it); stop that, or choose another line"
        case errno.EACCES | errno.EPERM:
            return "no permission; add the user that kioskd runs as to the group gpio"
        case _:
            return getattr(err, "strerror", None) or str(err)
