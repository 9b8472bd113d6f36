"""The input devices of this machine, as the kernel names them; nothing is opened for it."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SYSFS: Final = Path("/sys/class/input")
DEV: Final = Path("/dev/input")


@dataclass(frozen=True, slots=True)
class ListedInput:
    """An input device of this machine, as the kernel names it."""

    path: str
    name: str


def inputs(sysfs: Path = SYSFS, dev: Path = DEV) -> list[ListedInput]:
    """Return the input devices of this machine; opens none of them, and so needs no permission."""
    found = []
    for entry in sorted(sysfs.glob("event*")):
        # One that goes away while we look was not here.
        with contextlib.suppress(OSError):
            # The device itself has chosen its name, and the kernel may have cut it in the middle of a character.
            name = (entry / "device" / "name").read_text(encoding="utf-8", errors="replace").strip()
            found.append(ListedInput(str(dev / entry.name), name))
    return found


def pick(wanted: str, here: Iterable[ListedInput]) -> list[ListedInput]:
    """Return the devices that `wanted` may mean: those of that name, else those with that in their name."""
    here = list(here)
    exact = [one for one in here if one.name == wanted]
    return exact or [one for one in here if wanted.casefold() in one.name.casefold()]
