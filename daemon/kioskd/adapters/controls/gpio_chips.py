"""GPIO chips and their lines, by the kernel's character device.

A chip is named as a person may know it: `gpiochip0` or `/dev/gpiochip0`; by its label, which says what the chip is
and holds across kernels (`pinctrl-rp1` is a Raspberry Pi 5's); or `pi`, the chip behind the pin header of whatever
Raspberry Pi this is.
"""

import contextlib
import errno
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from kioskd.errors import ConfigError, DeviceLost

if TYPE_CHECKING:
    from gpiod import EdgeEvent, LineSettings
    from gpiod.line import Value

ActiveLevel = Literal["low", "high"]
"""The level of the line at which a button counts as pressed, or a lamp is lit."""

PI: Final = "pi"

PI_LABELS: Final = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""The header's chip of a Raspberry Pi 5; of a 4; of all before. In this order: a 5 has an inner chip as well."""

NOT_OURS: Final = frozenset({errno.EBUSY, errno.EACCES, errno.EPERM})
"""The line is there, and is kept from us."""


class RequestedLines(Protocol):
    """Lines that were asked for and are ours now; `gpiod.LineRequest` is one."""

    @property
    def fd(self) -> int:
        """Readable when an edge waits, and when the chip is gone."""

    def get_value(self, line: int, /) -> "Value":
        """Return the line's logical level. OSError where the chip is gone."""

    def read_edge_events(self) -> "Sequence[EdgeEvent]":
        """Return the edges that wait. OSError where the chip is gone."""

    def set_value(self, line: int, value: "Value", /) -> None:
        """Drive a line. OSError where the chip is gone."""

    def release(self) -> None:
        """Give the lines back."""


RequestLines = Callable[[str, Sequence[int], "LineSettings"], RequestedLines]
"""`open_lines`, or what takes its place where there is no chip: of which chip, which lines, set how."""


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
        # One that goes away while we look was not here.
        with contextlib.suppress(FileNotFoundError):
            with contextlib.suppress(PermissionError), gpiod.Chip(path) as chip:
                info = chip.get_info()
                name, label, line_count = info.name, info.label, info.num_lines
            # A Raspberry Pi 5 has a second name for one chip: /dev/gpiochip4 leads to gpiochip0.
            found.setdefault(name, Chip(path, name, label, line_count))
    return list(found.values())


def described(path: Path) -> dict[str, Any]:
    """Return a chip as `kioskd devices --json` describes it, or why it cannot be opened. Blocks."""
    import gpiod  # noqa: PLC0415 - as above

    try:
        with gpiod.Chip(str(path)) as chip:
            info = chip.get_info()
    except OSError as error:
        return {"name": path.name, "label": None, "lines": None, "fault": error.strerror or str(error)}
    return {"name": info.name, "label": info.label, "lines": info.num_lines, "fault": None}


def pick(name: str, here: Iterable[Chip]) -> Chip | None:
    """Return the chip of `here` that has `name`: its label, or `pi`."""
    by_label: dict[str | None, Chip] = {}
    for chip in here:
        by_label.setdefault(chip.label, chip)
    labels = PI_LABELS if name == PI else (name,)
    return next((by_label[label] for label in labels if label in by_label), None)


def chip_path(name: str, here: Callable[[], Sequence[Chip]] = chips) -> str:
    """Return the path of the chip called `name`: a name or path in /dev, a label, or `pi`.

    DeviceLost: no such chip; the message names those that `here` returns.
    """
    from gpiod import is_gpiochip_device  # noqa: PLC0415 - as above

    path = str(Path("/dev") / name)  # a chip that is a path already stays as it is
    if is_gpiochip_device(path):
        return path
    present = here()
    chip = pick(name, present)
    if chip is not None:
        return chip.path
    what = "this is no Raspberry Pi that kioskd knows" if name == PI else "no such chip"
    names = ", ".join(str(one) for one in present) or "none"
    raise DeviceLost(
        f"gpio:{name}: {what} (chips here: {names}); plug it in or name another (`kioskd devices` lists them), "
        "or remove the button or lamp from the configuration"
    )


def open_lines(chip: str, lines: Sequence[int], settings: "LineSettings") -> RequestedLines:
    """Ask the kernel for `lines` of `chip` (a name, a label or `pi`), and return them configured.
    DeviceLost: no such chip. `REFUSALS`: the kernel refuses; see `refused`.
    """
    import gpiod  # noqa: PLC0415 - as above

    with gpiod.Chip(chip_path(chip)) as found:
        return found.request_lines({tuple(lines): settings}, consumer="kioskd")


REFUSALS: Final = (OSError, ValueError, NotImplementedError)
"""What the kernel's no looks like: ValueError and NotImplementedError are gpiod's names for EINVAL and EOPNOTSUPP."""


def refused(name: str, err: Exception) -> DeviceLost:
    """Return what to raise where the kernel does not give us the line called `name` in the YAML."""
    match getattr(err, "errno", None):
        case errno.EBUSY:
            why = "in use by something else (`gpioinfo` names it); stop that, or choose another line"
        case errno.EACCES | errno.EPERM:
            why = "no permission; add the user that kioskd runs as to the group gpio"
        case _:
            why = f"{getattr(err, 'strerror', None) or err}; `kioskd devices` lists what there is"
    return DeviceLost(f"{name}: {why}", listed=True, device=name)


def gone(name: str, err: Exception) -> DeviceLost:
    """Return what to raise where a line that was ours went away."""
    return DeviceLost(f"{name}: went away ({err})", device=name)


def require_gpiod(name: str) -> None:
    """Make sure of the library, for the button or lamp `name`.

    ConfigError: the Python package gpiod is missing, or is older than 2.
    """
    try:
        # LineSettings came with gpiod 2; Debian 12's python3-libgpiod is 1.6, under the same name.
        from gpiod import LineSettings  # noqa: F401, PLC0415 - only to see whether it is there
    except ImportError as err:
        raise ConfigError(
            f"{name}: the Python package gpiod 2 cannot be imported ({err}); "
            "install it (pip install 'gpiod>=2.2'), or take this source out of the configuration"
        ) from err
