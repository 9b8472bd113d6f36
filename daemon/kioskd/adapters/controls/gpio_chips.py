"""GPIO chips and their lines, by the kernel's character device.

A chip has three kinds of names: its name in /dev (`gpiochip0`), its label, and `pi`. A label describes the
chip, and is the same on all kernels (`pinctrl-rp1` on a Raspberry Pi 5). `pi` is a Raspberry Pi's pin header.
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
"""Labels of the header's chip on a Raspberry Pi 5, a 4, and older. Newest first, as a 5 has two chips."""

NOT_OURS: Final = frozenset({errno.EBUSY, errno.EACCES, errno.EPERM})
"""Errors for a line that exists, but is in use or not permitted."""


class RequestedLines(Protocol):
    """Requested GPIO lines, as in `gpiod.LineRequest`."""

    @property
    def fd(self) -> int:
        """File descriptor: readable when an edge waits, and when the chip is gone."""

    def get_value(self, line: int, /) -> "Value":
        """Return the line's logical level. OSError: the chip is gone."""

    def read_edge_events(self) -> "Sequence[EdgeEvent]":
        """Return the waiting edges. OSError: the chip is gone."""

    def set_value(self, line: int, value: "Value", /) -> None:
        """Drive a line. OSError: the chip is gone."""

    def release(self) -> None:
        """Release the lines."""


RequestLines = Callable[[str, Sequence[int], "LineSettings"], RequestedLines]
"""Type of `open_lines`, for tests that replace it: takes the chip's name, the lines, their settings."""


@dataclass(frozen=True, slots=True)
class Chip:
    """GPIO chip of this machine. `label` and `line_count` are None if kioskd may not open it."""

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
        # A chip that is unplugged during the listing is left out.
        with contextlib.suppress(FileNotFoundError):
            with contextlib.suppress(PermissionError), gpiod.Chip(path) as chip:
                info = chip.get_info()
                name, label, line_count = info.name, info.label, info.num_lines
            # A Raspberry Pi 5 has a second name for one chip: /dev/gpiochip4 leads to gpiochip0.
            found.setdefault(name, Chip(path, name, label, line_count))
    return list(found.values())


def described(path: Path) -> dict[str, Any]:
    """Return a chip's entry in `kioskd devices --json`, with the reason if it cannot be opened. Blocks."""
    import gpiod  # noqa: PLC0415 - as above

    try:
        with gpiod.Chip(str(path)) as chip:
            info = chip.get_info()
    except OSError as error:
        return {"name": path.name, "label": None, "lines": None, "fault": error.strerror or str(error)}
    return {"name": info.name, "label": info.label, "lines": info.num_lines, "fault": None}


def pick(name: str, here: Iterable[Chip]) -> Chip | None:
    """Return the chip of `here` with the label `name`; for `pi`, the pin header's chip; None if missing."""
    by_label: dict[str | None, Chip] = {}
    for chip in here:
        by_label.setdefault(chip.label, chip)
    labels = PI_LABELS if name == PI else (name,)
    return next((by_label[label] for label in labels if label in by_label), None)


def chip_path(name: str, here: Callable[[], Sequence[Chip]] = chips) -> str:
    """Return the path of the chip called `name`: a name or path in /dev, a label, or `pi`.

    DeviceLost: no chip has that name; the message lists the chips that `here` returns.
    """
    from gpiod import is_gpiochip_device  # noqa: PLC0415 - as above

    path = str(Path("/dev") / name)  # an absolute path stays as it is
    if is_gpiochip_device(path):
        return path
    present = here()
    chip = pick(name, present)
    if chip is not None:
        return chip.path
    what = "kioskd does not know this board's pin header" if name == PI else "no GPIO chip has this name"
    names = ", ".join(str(one) for one in present) or "none"
    raise DeviceLost(
        f"gpio:{name}: {what} (chips here: {names}); plug it in, or name another one "
        "(`kioskd devices` lists them), "
        "or remove the button or lamp from the configuration"
    )


def open_lines(chip: str, lines: Sequence[int], settings: "LineSettings") -> RequestedLines:
    """Ask the kernel for `lines` of `chip` (a name, a label or `pi`), and return them configured.

    DeviceLost: no chip has that name. `REFUSALS`: the kernel refuses the lines; see `refused`.
    """
    import gpiod  # noqa: PLC0415 - as above

    with gpiod.Chip(chip_path(chip)) as found:
        return found.request_lines({tuple(lines): settings}, consumer="kioskd")


REFUSALS: Final = (OSError, ValueError, NotImplementedError)
"""Exceptions for a refusal by the kernel. gpiod uses the last two for EINVAL and EOPNOTSUPP."""


def refused(name: str, err: Exception) -> DeviceLost:
    """Return the error for a line that the kernel refused. `name`: the line's source in the YAML."""
    match getattr(err, "errno", None):
        case errno.EBUSY:
            why = (
                "another program is using it (`gpioinfo` names it); stop that program, or choose another line"
            )
        case errno.EACCES | errno.EPERM:
            why = "kioskd has no permission; add the user that kioskd runs as to the group gpio"
        case _:
            why = f"{getattr(err, 'strerror', None) or err}; see the chips' lines with `kioskd devices`"
    return DeviceLost(f"{name}: {why}", listed=True, device=name)


def gone(name: str, err: Exception) -> DeviceLost:
    """Return the error for a line that was lost while in use."""
    return DeviceLost(f"{name}: its GPIO chip is gone ({err}); connect it again", device=name)


def require_gpiod(name: str) -> None:
    """Check that the library is installed, for the button or lamp `name`.

    ConfigError: the Python package gpiod is missing, or is older than 2.
    """
    try:
        # gpiod 2 introduced LineSettings. Debian 12's python3-libgpiod is version 1.6, under the same module
        # name.
        from gpiod import LineSettings  # noqa: F401, PLC0415 - imported as a check only
    except ImportError as err:
        raise ConfigError(
            f"{name}: the Python package gpiod 2 cannot be imported ({err}); "
            "run `pip install 'gpiod>=2.2'`, or remove this button or lamp from the configuration"
        ) from err
