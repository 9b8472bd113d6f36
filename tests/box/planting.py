"""Tools that plant faults in an installed kiosk, and the table of these faults."""

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
"""Share of the speaker's sound at the microphone, in a well-made case."""


@dataclass(slots=True)
class Bench:
    """The kiosk, while faults are planted in it."""

    it: Site
    settings: dict[str, Any]
    """The owner's YAML without faults; faults change it."""
    then: list[str] = field(default_factory=list)
    """Scripts that run after the settings are written."""

    @property
    def sh(self) -> Callable[..., str]:
        """Run a script in the machine."""
        return self.it.box.sh

    @contextlib.contextmanager
    def drop_in(self, *lines: str) -> Iterator[None]:
        """Write these lines to the owner's drop-in of the unit."""
        self.it.box.write(DROP_IN, "\n".join(("[Service]", *lines, "")))
        self.sh("systemctl daemon-reload")
        yield
        self.sh(f"rm {DROP_IN}; systemctl daemon-reload")

    @contextlib.contextmanager
    def instead(self, folder: str, **files: str) -> Iterator[None]:
        """Replace a folder of the kernel by these files: `a/b` is written `a__b`, and `:` `_C_`."""
        self.sh(f"mount -t tmpfs fault {folder}")
        for name, text in files.items():
            self.it.box.write(f"{folder}/{name.replace('__', '/').replace('_C_', ':')}", text)
        yield
        self.sh(f"umount {folder}")

    @contextlib.contextmanager
    def state_on(self, options: str) -> Iterator[None]:
        """Mount another disk for the daemon's state."""
        self.sh(f"mount -t tmpfs -o mode=700,uid=$(id -u kioskd),gid=$(id -g kioskd),{options} fault {STATE}")
        yield
        self.sh(f"umount {STATE}")

    @contextlib.contextmanager
    def without(self, path: str) -> Iterator[None]:
        """Remove a file during the block."""
        self.sh(f"mv {path} {path}.gone")
        yield
        self.sh(f"mv {path}.gone {path}")

    @contextlib.contextmanager
    def file(self, path: str, text: str, mode: str = "644") -> Iterator[None]:
        """Give a file to root during the block."""
        self.it.box.write(path, text, mode)
        yield
        self.sh(f"rm {path}")

    def look_at(self, picture: bytes) -> None:
        """Put a picture in front of the camera."""
        self.sh(f"base64 -d > {PICTURES}/one.jpg", given=base64.b64encode(picture).decode())

    def service_does(self, fault: ScriptedFault) -> None:
        """Add a fault for the next connection."""
        self.it.service.add(fault)


Plant = Callable[[Bench], Iterator[None]]


@dataclass(frozen=True, slots=True)
class Row:
    """A planted fault: the check that finds it, its name, and words of its line or its remedy."""

    check: str
    fault: str
    words: str
    plant: Plant

    def told(self, findings: list[Finding]) -> Finding:
        """Return the finding of doctor about this fault."""
        [found] = [one for one in findings if (one["check"], one["fault"]) == (self.check, self.fault)]
        return found


class Table:
    """Faults in the rounds in which they are planted."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[Row]] = {}

    def plants(self, at: str, check: str, fault: str, words: str) -> Callable[[Plant], Plant]:
        """Mark a function that plants a fault in round `at`, and undoes it after its `yield`; see `Row`."""

        def mark(plant: Plant) -> Plant:
            self.rounds.setdefault(at, []).append(Row(check, fault, words, plant))
            return plant

        return mark
