"""The kernel's sound cards, read from files. Uses no sound library.

The unit hides /proc/asound from the daemon (ProcSubset=pid), but not /sys/class/sound. So cards and their ids
come from sysfs. The program that uses a card is named in /proc/asound only: `kioskd doctor` can see it, the
daemon cannot.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd.adapters.portaudio.devices import SYSFS, Direction

ROOT: Final = Path("/")

_CARD: Final = re.compile(r"card(\d+)")
_PCM: Final = re.compile(r"pcmC(?P<card>\d+)D(?P<pcm>\d+)(?P<letter>[cp])")
_NEEDS_SIGNAL: Final = re.compile(r"hdmi|displayport|spdif|s/pdif|iec958|\busb\b|blue", re.IGNORECASE)
_OWNER: Final = re.compile(r"^owner_pid\s*:\s*(\d+)", re.MULTILINE)
_LETTERS: Final = {Direction.IN: "c", Direction.OUT: "p"}
_DIRECTIONS: Final = {letter: direction for direction, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True)
class Card:
    """Sound card of the kernel."""

    id: str
    """The kernel's id of the card, which stays with the card."""
    made: int
    """Inode number, which changes each time the card is plugged in."""


@dataclass(frozen=True, slots=True)
class Output:
    """Place that a speaker's sound goes to."""

    card: tuple[int, Card] | None
    """The card and its number; None if there is none, as the sound goes to a sound server."""
    names: str
    """All names by which its kind can be known."""

    @property
    def needs_signal(self) -> bool:
        """Whether it may fall asleep without a signal, and lose the first syllable then.

        A screen, a receiver, or a USB or Bluetooth speaker may do so.
        """
        return _NEEDS_SIGNAL.search(self.names) is not None


@dataclass(frozen=True, slots=True)
class Pcm:
    """One direction of one device of a card, which a program can open."""

    card: int
    pcm: int
    direction: Direction

    @property
    def alsa_name(self) -> str:
        """ALSA's name of the hardware device."""
        return f"hw:{self.card},{self.pcm}"

    @property
    def node(self) -> str:
        """Path of the device file."""
        return f"/dev/snd/pcmC{self.card}D{self.pcm}{_LETTERS[self.direction]}"


@dataclass(frozen=True, slots=True)
class Holder:
    """Program that has a device of a card open."""

    program: str
    pid: int

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})"


def cards(sysfs: Path = SYSFS) -> dict[int, Card]:
    """Return the cards by number. The result changes whenever a card is plugged in or unplugged."""
    numbers = [int(match[1]) for path in _listed(sysfs) if (match := _CARD.fullmatch(path.name))]
    return {number: found for number in numbers if (found := card(number, sysfs)) is not None}


def card(number: int, sysfs: Path = SYSFS) -> Card | None:
    """Return the card with this number; None if there is none."""
    path = sysfs / f"card{number}"
    try:
        name = (path / "id").read_text(encoding="utf-8", errors="replace").strip()
        return Card(name, path.stat().st_ino)
    except OSError:  # perhaps it is being unplugged
        return None


def makers(number: int, sysfs: Path = SYSFS) -> tuple[str, str]:
    """Return the names of the bus and the driver of a card, for example `usb` and `snd-usb-audio`.

    A name that the kernel does not tell is empty.
    """
    device = sysfs / f"card{number}" / "device"
    bus, driver = (device / link for link in ("subsystem", "driver"))
    return bus.resolve().name if bus.exists() else "", driver.resolve().name if driver.exists() else ""


def pcms(sysfs: Path = SYSFS) -> list[Pcm]:
    """Return all devices that programs can open, in the order of the cards."""
    found = (pcm for path in _listed(sysfs) if (pcm := of_node(path.name)) is not None)
    return sorted(found, key=lambda one: (one.card, one.pcm, one.direction.value))


def of_node(node: str) -> Pcm | None:
    """Return the sound device of a device file; None for other files."""
    match = _PCM.fullmatch(node.removeprefix("/dev/snd/"))
    return None if match is None else Pcm(int(match["card"]), int(match["pcm"]), _DIRECTIONS[match["letter"]])


def holder(pcm: Pcm, root: Path = ROOT) -> Holder | None:
    """Return the program that has it open; None if there is none, or if /proc does not show it."""
    folder = root / f"proc/asound/card{pcm.card}/pcm{pcm.pcm}{_LETTERS[pcm.direction]}"
    for status in sorted(folder.glob("sub*/status")):
        if (found := _OWNER.search(_text(status))) is not None:
            pid = _process(int(found[1]), root)
            return Holder(_text(root / f"proc/{pid}/comm") or "a program", pid)
    return None


def _process(thread: int, root: Path) -> int:
    """Return the process of a thread: the kernel names the thread that opened a stream."""
    for line in _text(root / f"proc/{thread}/status").splitlines():
        if line.startswith("Tgid:"):
            return int(line.split()[1])
    return thread


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
