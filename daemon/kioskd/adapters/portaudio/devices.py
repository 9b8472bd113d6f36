"""Sound devices by name: finds the device that a name in the YAML means. Uses no sound library."""

import dataclasses
import enum
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kioskd.errors import DeviceLost

SYSFS: Final = Path("/sys/class/sound")
"""The kernel's list of sound cards. /proc/asound does not serve: the unit hides it from the daemon."""

DEFAULT: Final = "default"

# PortAudio names a kernel device "CARD: PCM (hw:1,0)". The card number depends on the order of plugging in.
_NUMBERED: Final = re.compile(r"^(?P<name>.*?)\s*\(hw:(?P<card>\d+),(?P<pcm>\d+)\)$")
_ALSA_ID: Final = re.compile(
    r"^(?:plug)?hw:(?:CARD=)?(?P<card>[\w-]+)(?:,(?:DEV=)?(?P<pcm>\d+))?$", re.IGNORECASE
)
# The kernel never gives a card an id that begins with a digit.
_BY_NUMBER: Final = re.compile(r"^\d+$|hw:(?:CARD=)?\d", re.IGNORECASE)


class Direction(enum.Enum):
    """Direction of the sound."""

    IN = "microphone"
    OUT = "speaker"


@dataclasses.dataclass(frozen=True, slots=True)
class SoundDevice:
    """Device in PortAudio's list; it may be both microphone and speaker."""

    index: int
    full_name: str
    inputs: int
    outputs: int
    rate_hz: int
    default_for: frozenset[Direction] = frozenset()

    @property
    def is_card(self) -> bool:
        """Whether it is the card itself, for which ALSA converts nothing: it takes its own formats only."""
        return self.address is not None

    @property
    def address(self) -> tuple[int, int] | None:
        """The numbers of its card and of its device on the card; None if the device is not a card."""
        numbered = _NUMBERED.match(self.full_name)
        return None if numbered is None else (int(numbered["card"]), int(numbered["pcm"]))

    @property
    def alsa_name(self) -> str:
        """ALSA's name of the device."""
        address = self.address
        return self.full_name if address is None else f"hw:{address[0]},{address[1]}"

    def channels(self, direction: Direction) -> int:
        """Return the number of channels in that direction; 0 if it has none."""
        return self.inputs if direction is Direction.IN else self.outputs


def is_numbered(wanted: str) -> bool:
    """Return whether `wanted` names a card by its number, which may belong to another card after a reboot."""
    return _BY_NUMBER.search(wanted) is not None


def alsa_id(wanted: str) -> tuple[str, str | None] | None:
    """Return an ALSA id's card in lower case, and its device number or None; None for other texts."""
    asked = _ALSA_ID.match(wanted)
    return (asked["card"].casefold(), asked["pcm"]) if asked is not None else None


def capable(devices: Sequence[SoundDevice], direction: Direction) -> list[SoundDevice]:
    """Return the devices that have channels in `direction`."""
    return [device for device in devices if device.channels(direction) > 0]


def stable_name(device: SoundDevice, devices: Sequence[SoundDevice], sysfs: Path = SYSFS) -> str:
    """Return the name to write into the YAML, which stays the same if cards are numbered in another order.

    It is the device's name without its number, or its card's ALSA id if two devices have that name.
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

    `wanted` is `default`, a full name, an ALSA id (`hw:CARD=Device,DEV=0`, `hw:Device`), or a part of one
    device's name only. Upper and lower case are the same. A card's number is not part of its name.
    DeviceLost: no device or several devices fit, or `wanted` is a number; the message lists the devices.
    """
    able = capable(devices, direction)
    if is_numbered(wanted):
        raise DeviceLost(
            f"{direction.value} {wanted!r}: card numbers may change at each boot; "
            f"set {direction.value}.device to a name that stays: "
            f"{_names(able, sysfs) or 'no device is here now'}",
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
                f"{direction.value} {wanted!r}: several devices have this name: {_names(matching, sysfs)}; "
                f"set {direction.value}.device to one of them",
                device=wanted,
            )
    raise DeviceLost(
        f"{direction.value} {wanted!r}: no device has this name "
        f"(devices here: {_names(able, sysfs) or 'none'}); "
        f"plug it in, or set {direction.value}.device to one that is here",
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
    """Return a device's name for comparing, in lower case and without its number."""
    numbered = _NUMBERED.match(device.full_name)
    return (device.full_name if numbered is None else numbered["name"]).casefold()


def _card_id(number: str, sysfs: Path) -> str:
    """Return the kernel's id of a card, which stays with the card; its number if the kernel has no id."""
    try:
        return (sysfs / f"card{number}" / "id").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return number


def _names(devices: Sequence[SoundDevice], sysfs: Path) -> str:
    return ", ".join(repr(stable_name(device, devices, sysfs)) for device in devices)
