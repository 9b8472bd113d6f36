"""Sound devices by name: what the YAML says -> the one device that is meant. No sound library here."""

import dataclasses
import enum
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kioskd.errors import DeviceLost

SYSFS: Final = Path("/sys/class/sound")
"""Where the kernel lists its sound cards. Not /proc/asound: the unit hides it from the daemon."""

DEFAULT: Final = "default"

# PortAudio names a kernel device "CARD: PCM (hw:1,0)". The number depends on the order of plugging in.
_NUMBERED: Final = re.compile(r"^(?P<name>.*?)\s*\(hw:(?P<card>\d+),(?P<pcm>\d+)\)$")
_ALSA_ID: Final = re.compile(
    r"^(?:plug)?hw:(?:CARD=)?(?P<card>[\w-]+)(?:,(?:DEV=)?(?P<pcm>\d+))?$", re.IGNORECASE
)
# No card's id begins with a digit: the kernel sees to that.
_BY_NUMBER: Final = re.compile(r"^\d+$|hw:(?:CARD=)?\d", re.IGNORECASE)


class Direction(enum.Enum):
    """Which way the sound goes."""

    IN = "microphone"
    OUT = "speaker"


@dataclasses.dataclass(frozen=True, slots=True)
class SoundDevice:
    """One device as PortAudio lists it; a device may be both microphone and speaker."""

    index: int
    full_name: str
    inputs: int
    outputs: int
    rate_hz: int
    default_for: frozenset[Direction] = frozenset()

    @property
    def is_card(self) -> bool:
        """Whether it is the card itself, which takes only what it can do: nothing of ALSA's converts in between."""
        return self.address is not None

    @property
    def address(self) -> tuple[int, int] | None:
        """The numbers of its card and of its device on it; None where it is no card."""
        numbered = _NUMBERED.match(self.full_name)
        return None if numbered is None else (int(numbered["card"]), int(numbered["pcm"]))

    @property
    def alsa_name(self) -> str:
        """Return what ALSA calls it."""
        address = self.address
        return self.full_name if address is None else f"hw:{address[0]},{address[1]}"

    def channels(self, direction: Direction) -> int:
        """Return how many channels it has that way; 0: none."""
        return self.inputs if direction is Direction.IN else self.outputs


def is_numbered(wanted: str) -> bool:
    """Return whether `wanted` means a card by its number, which is another card's after a reboot."""
    return _BY_NUMBER.search(wanted) is not None


def alsa_id(wanted: str) -> tuple[str, str | None] | None:
    """Return the card's id in lower case and the number of its device, if given, where `wanted` is an ALSA id."""
    asked = _ALSA_ID.match(wanted)
    return (asked["card"].casefold(), asked["pcm"]) if asked is not None else None


def capable(devices: Sequence[SoundDevice], direction: Direction) -> list[SoundDevice]:
    """Return the devices that can do `direction`."""
    return [device for device in devices if device.channels(direction) > 0]


def stable_name(device: SoundDevice, devices: Sequence[SoundDevice], sysfs: Path = SYSFS) -> str:
    """Return the name to write into the YAML: one that stays the same when cards are numbered in another order.

    The device's name without its number; its card's ALSA id where two devices share that name.
    """
    numbered = _NUMBERED.match(device.full_name)
    if numbered is None:
        return device.full_name
    name = numbered["name"]
    if sum(name.casefold() in _name(other) for other in devices) == 1:
        return name
    return f"hw:CARD={_card_id(numbered['card'], sysfs)},DEV={numbered['pcm']}"


def find(
    devices: Sequence[SoundDevice], wanted: str, direction: Direction, sysfs: Path = SYSFS
) -> SoundDevice:
    """Return the device that `wanted` means.

    `default`, a full name, an ALSA id (`hw:CARD=Device,DEV=0`, `hw:Device`) or a part of one device's name alone; capital
    or small letters alike. A card's number is no part of its name.
    DeviceLost: none or more than one is meant, or it is asked for by its number; says which there are.
    """
    able = capable(devices, direction)
    if is_numbered(wanted):
        raise DeviceLost(
            f"{direction.value} {wanted!r}: cards are numbered anew at each start, and this may be another one then; "
            f"set {direction.value}.device to a name that stays: {_names(able, sysfs) or 'none is there now'}",
            device=wanted,
        )
    for matching in (
        [device for device in able if wanted == DEFAULT and direction in device.default_for],
        [device for device in able if _name(device) == wanted.casefold()],
        [device for device in able if _is_alsa_id(device, wanted, sysfs)],
        [device for device in able if wanted.casefold() in _name(device)],
    ):
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise DeviceLost(
                f"{direction.value} {wanted!r}: more than one device is meant: {_names(matching, sysfs)}; "
                f"set {direction.value}.device to one of them",
                device=wanted,
            )
    raise DeviceLost(
        f"{direction.value} {wanted!r}: no such device; there is {_names(able, sysfs) or 'none at all'}; "
        f"plug it in, or set {direction.value}.device to one that is there",
        device=wanted,
    )


def _is_alsa_id(device: SoundDevice, wanted: str, sysfs: Path) -> bool:
    asked = alsa_id(wanted)
    numbered = _NUMBERED.match(device.full_name)
    if asked is None or numbered is None:
        return False
    card, pcm = asked
    return card == _card_id(numbered["card"], sysfs).casefold() and pcm in (None, numbered["pcm"])


def _name(device: SoundDevice) -> str:
    """What it is called, but for the number, to be compared."""
    numbered = _NUMBERED.match(device.full_name)
    return (device.full_name if numbered is None else numbered["name"]).casefold()


def _card_id(number: str, sysfs: Path) -> str:
    """The kernel's name of a card, which stays with the card; its number where the kernel gives none."""
    try:
        return (sysfs / f"card{number}" / "id").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return number


def _names(devices: Sequence[SoundDevice], sysfs: Path) -> str:
    return ", ".join(repr(stable_name(device, devices, sysfs)) for device in devices)
