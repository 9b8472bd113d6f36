"""What ALSA says of a device that PortAudio's list does not have, or could not open.

PortAudio lists, once, what could be opened at that moment. A card that was busy then, or a device of a sound server
that was started later, is missing from it for as long as any stream is in use; and the kernel's cards do not change.
PortAudio's own error codes say neither that a device is busy nor that it is gone: ALSA's do.
"""

import errno
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd.adapters.portaudio import alsa, sound_cards
from kioskd.adapters.portaudio.devices import DEFAULT, SYSFS, Direction, SoundDevice, alsa_id, is_numbered
from kioskd.adapters.portaudio.sound_cards import Pcm

_MISSING: Final = (errno.ENODEV, errno.ENOENT, errno.ENXIO)
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class AlsaProbe:
    """How to ask. The defaults ask this machine; tests ask files and functions of their own."""

    sysfs: Path = SYSFS
    root: Path = sound_cards.ROOT
    open_error: Callable[[str, Direction], int | None] = alsa.open_error
    card_name: Callable[[int], str] = alsa.card_name

    def can_be_opened(self, wanted: str, direction: Direction) -> bool:
        """Try to open the device that `wanted` may mean (see `devices.find`), and close it again. Blocks: see `alsa`."""
        if is_numbered(wanted):
            # Not to be found in any list.
            return False
        names = [pcm.alsa_name for pcm in self._matching_pcms(wanted, direction)]
        if alsa_id(wanted) is None:
            names.insert(0, wanted)
        return any(self.open_error(name, direction) == 0 for name in names)

    def why_closed(self, device: SoundDevice, direction: Direction) -> str | None:
        """Return why a listed device cannot be opened now, and what to do; None where it can be, or ALSA is silent."""
        error_number = self.open_error(device.alsa_name, direction)
        if not error_number:
            return None
        address = device.address
        return self._reason(error_number, None if address is None else Pcm(*address, direction))

    def why_pcm_closed(self, pcm: Pcm) -> str | None:
        """Return why what the kernel has cannot be opened now, and what to do; None where it can be, or ALSA is silent."""
        error_number = self.open_error(pcm.alsa_name, pcm.direction)
        return self._reason(error_number, pcm) if error_number else None

    def why_unlisted(self, wanted: str, direction: Direction) -> str | None:
        """Return why no list has `wanted`, and what to do; None where it is just not there."""
        asked = alsa_id(wanted)
        if not sound_cards.cards(self.sysfs):
            return None if asked is None else "this machine has no sound card; plug one in"
        matching = self._matching_pcms(wanted, direction)
        if wanted == DEFAULT:
            # It may be any of them.
            matching = [pcm for pcm in sound_cards.pcms(self.sysfs) if pcm.direction is direction]
        errors = [self.open_error(pcm.alsa_name, direction) for pcm in matching]
        if matching and all(errors):
            return self._reason(errors[0] or 0, matching[0])
        other = Direction.OUT if direction is Direction.IN else Direction.IN
        if not matching and asked is not None and self._matching_pcms(wanted, other):
            return f"{wanted!r} is no {direction.value}; set {direction.value}.device to another card"
        return None

    def remark(self, wanted: str, direction: Direction) -> str | None:
        """Return what is in the way of `wanted` now, as far as it can be told without opening anything; None else."""
        matching = self._matching_pcms(wanted, direction)
        if not matching:
            return (
                None
                if alsa_id(wanted) is None
                else "no such card is here now; `kioskd devices` lists what is"
            )
        by = sound_cards.holder(matching[0], self.root)
        return None if by is None or by.program == "kioskd" else f"in use by {by}; end that program"

    def _reason(self, error_number: int, pcm: Pcm | None) -> str:
        if error_number == errno.EBUSY:
            return self._busy_reason(pcm)
        if error_number in _FORBIDDEN:
            node = "/dev/snd" if pcm is None else pcm.node
            return (
                f"{_user()} may not open {node}; sudo usermod -aG audio {_user()}, or give the unit "
                "DeviceAllow=char-alsa rw"
            )
        if error_number == errno.ENOENT and pcm is not None and not (self.root / pcm.node[1:]).exists():
            return f"the kernel has the card, and there is no {pcm.node}; see that udev runs: udevadm trigger"
        if error_number in _MISSING:
            return "it has just gone, or is not ready yet; plug it in"
        return f"{os.strerror(error_number)}; unplug it and plug it in again"

    def _busy_reason(self, pcm: Pcm | None) -> str:
        holder = None if pcm is None else sound_cards.holder(pcm, self.root)
        if holder is None:
            return f"in use by another program; `sudo fuser -v {'/dev/snd/*' if pcm is None else pcm.node}` names it"
        if holder.pid == os.getpid():
            return "in use by this process; restart kioskd"
        return f"in use by {holder}; end that program, and see what starts it"

    def _matching_pcms(self, wanted: str, direction: Direction) -> list[Pcm]:
        """Return what `wanted` means on the cards that the kernel has now."""
        if is_numbered(wanted):
            return []
        able = [one for one in sound_cards.pcms(self.sysfs) if one.direction is direction]
        if (asked := alsa_id(wanted)) is not None:
            # ALSA itself tells capital from small letters.
            ids = {number: card.id.casefold() for number, card in sound_cards.cards(self.sysfs).items()}
            return [one for one in able if ids.get(one.card) == asked[0] and asked[1] in (None, str(one.pcm))]
        # "USB PnP Sound Device: Audio" is the card "USB PnP Sound Device" to ALSA.
        part = wanted.partition(":")[0].casefold()
        named = {number for number in {one.card for one in able} if part in self.card_name(number).casefold()}
        return [one for one in able if one.card in named]


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"
