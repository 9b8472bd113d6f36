"""Hands to plant faults with in an installed kiosk, and the table of those that are planted."""

import base64
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.box.site import Site

from kioskd.simulator import ScriptedFault

Finding = dict[str, Any]

UNIT: Final = "/usr/local/lib/systemd/system/kioskd.service"
DROP_IN: Final = "/etc/systemd/system/kioskd.service.d/zz-fault.conf"
STATE: Final = "/var/lib/kioskd"
PICTURES: Final = "/etc/kioskd/pictures"
PLAIN: Final = "/etc/credstore/gemini-api-key"
QUIET: Final = 0.25
"""How much of its speaker the microphone hears, in a case that is well made."""


@dataclass(slots=True)
class Bench:
    """The kiosk, while faults are planted in it."""

    it: Site
    settings: dict[str, Any]
    """To be changed: the owner's YAML, at its best."""
    then: list[str] = field(default_factory=list)
    """Scripts to be run once the settings are written."""

    @property
    def sh(self) -> Callable[..., str]:
        """Run a script in the machine."""
        return self.it.box.sh

    @contextlib.contextmanager
    def drop_in(self, *lines: str) -> Iterator[None]:
        """Have the owner's changes of the unit say these lines."""
        self.it.box.write(DROP_IN, "\n".join(("[Service]", *lines, "")))
        self.sh("systemctl daemon-reload")
        yield
        self.sh(f"rm {DROP_IN}; systemctl daemon-reload")

    @contextlib.contextmanager
    def instead(self, folder: str, **files: str) -> Iterator[None]:
        """Have a folder of the kernel's hold these files: `a/b` is written `a__b`, and `:` `_C_`."""
        self.sh(f"mount -t tmpfs fault {folder}")
        for name, text in files.items():
            self.it.box.write(f"{folder}/{name.replace('__', '/').replace('_C_', ':')}", text)
        yield
        self.sh(f"umount {folder}")

    @contextlib.contextmanager
    def state_on(self, options: str) -> Iterator[None]:
        """Have another disk for what outlives a restart."""
        self.sh(f"mount -t tmpfs -o mode=700,uid=$(id -u kioskd),gid=$(id -g kioskd),{options} fault {STATE}")
        yield
        self.sh(f"umount {STATE}")

    @contextlib.contextmanager
    def without(self, path: str) -> Iterator[None]:
        """Have a file gone."""
        self.sh(f"mv {path} {path}.gone")
        yield
        self.sh(f"mv {path}.gone {path}")

    @contextlib.contextmanager
    def file(self, path: str, text: str, mode: str = "644") -> Iterator[None]:
        """Have a file of root's."""
        self.it.box.write(path, text, mode)
        yield
        self.sh(f"rm {path}")

    def look_at(self, picture: bytes) -> None:
        """Put a picture before the camera."""
        self.sh(f"base64 -d > {PICTURES}/one.jpg", given=base64.b64encode(picture).decode())

    def service_does(self, fault: ScriptedFault) -> None:
        """Have something go wrong with the next connection."""
        self.it.service.add(fault)


Plant = Callable[[Bench], Iterator[None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: who finds it, what it is called, and words of what is said of it or to be done."""

    check: str
    fault: str
    words: str
    plant: Plant

    def told(self, findings: list[Finding]) -> Finding:
        """Return how the doctor told of it."""
        [found] = [one for one in findings if (one["check"], one["fault"]) == (self.check, self.fault)]
        return found


class Table:
    """Faults in the rounds in which they are planted."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[Row]] = {}

    def plants(self, at: str, check: str, fault: str, words: str) -> Callable[[Plant], Plant]:
        """Mark a function that plants a fault in the round `at`, and mends it after its `yield`; see `Row`."""

        def mark(plant: Plant) -> Plant:
            self.rounds.setdefault(at, []).append(Row(check, fault, words, plant))
            return plant

        return mark
