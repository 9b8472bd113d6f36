"""The input devices of this machine, by their names in the kernel. Lists them without opening any."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SYSFS: Final = Path("/sys/class/input")
DEV: Final = Path("/dev/input")


@dataclass(frozen=True, slots=True)
class ListedInput:
    """Input device of this machine, by its name in the kernel."""

    path: str
    name: str


def inputs(sysfs: Path = SYSFS, dev: Path = DEV) -> list[ListedInput]:
    """Return the input devices of this machine. Needs no permission, as it opens none of them."""
    found = []
    for entry in sorted(sysfs.glob("event*")):
        # A device that is unplugged during the listing is left out.
        with contextlib.suppress(OSError):
            # The maker chose the name, and the kernel may cut it in the middle of a character.
            name = (entry / "device" / "name").read_text(encoding="utf-8", errors="replace").strip()
            found.append(ListedInput(str(dev / entry.name), name))
    return found


def pick(wanted: str, here: Iterable[ListedInput]) -> list[ListedInput]:
    """Return the devices named `wanted`; if there are none, those whose name contains it in any case."""
    here = list(here)
    exact = [one for one in here if one.name == wanted]
    return exact or [one for one in here if wanted.casefold() in one.name.casefold()]
