"""ALSA's reason why a device is missing from PortAudio's list, or could not be opened.

PortAudio makes its list once, of the devices that can be opened at that moment. Other devices stay missing
while any stream is in use: a card that was busy, or a device of a sound server that started later. The
kernel's list of cards does not change in these cases. PortAudio's error codes do not tell a busy device from
a missing one, but ALSA's do.
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
from kioskd.adapters.portaudio.sound_cards import Output, Pcm

_MISSING: Final = (errno.ENODEV, errno.ENOENT, errno.ENXIO)
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class AlsaProbe:
    """Way to ask ALSA and the kernel. The defaults ask this machine; tests supply files and functions."""

    sysfs: Path = SYSFS
    root: Path = sound_cards.ROOT
    open_error: Callable[[str, Direction], int | None] = alsa.open_error
    card_name: Callable[[int], str] = alsa.card_name
    playback_route: Callable[[str], tuple[int | None, str]] = alsa.playback_route

    def can_be_opened(self, wanted: str, direction: Direction) -> bool:
        """Return whether one of the devices that `wanted` means can be opened. Blocks; see `alsa`."""
        if is_numbered(wanted):
            # Numbers are not accepted as names.
            return False
        names = [pcm.alsa_name for pcm in self._matching_pcms(wanted, direction)]
        if alsa_id(wanted) is None:
            names.insert(0, wanted)
        return any(self.open_error(name, direction) == 0 for name in names)

    def output(self, device: SoundDevice) -> Output | None:
        """Return where a speaker's sound goes, without opening a card; None if that is unknown. Blocks."""
        try:
            number, pcm_id = (
                (device.address[0], "") if device.address else self.playback_route(device.alsa_name)
            )
        except OSError:
            return None
        if number is None:
            return Output(None, device.full_name)
        card = sound_cards.cards(self.sysfs).get(number)
        names = (device.full_name, pcm_id, self.card_name(number), *sound_cards.makers(number, self.sysfs))
        return None if card is None else Output((number, card), " ".join(names))

    def is_there(self, output: Output) -> bool:
        """Return whether the card that the sound goes to is still plugged in. Costs a look at two files."""
        return output.card is None or sound_cards.card(output.card[0], self.sysfs) == output.card[1]

    def why_closed(self, device: SoundDevice, direction: Direction) -> str | None:
        """Return why a listed device cannot be opened now, and what to do; None if no fault is found."""
        error_number = self.open_error(device.alsa_name, direction)
        if not error_number:
            return None
        address = device.address
        return self._reason(error_number, None if address is None else Pcm(*address, direction))

    def why_pcm_closed(self, pcm: Pcm) -> str | None:
        """Return why a kernel device cannot be opened now, and what to do; None if no fault is found."""
        error_number = self.open_error(pcm.alsa_name, pcm.direction)
        return self._reason(error_number, pcm) if error_number else None

    def why_unlisted(self, wanted: str, direction: Direction) -> str | None:
        """Return why no list contains `wanted`, and what to do; None if it is simply not connected."""
        asked = alsa_id(wanted)
        if not sound_cards.cards(self.sysfs):
            return None if asked is None else "this machine has no sound card; plug one in"
        matching = self._matching_pcms(wanted, direction)
        if wanted == DEFAULT:
            # `default` may be any of them.
            matching = [pcm for pcm in sound_cards.pcms(self.sysfs) if pcm.direction is direction]
        errors = [self.open_error(pcm.alsa_name, direction) for pcm in matching]
        if matching and all(errors):
            return self._reason(errors[0] or 0, matching[0])
        other = Direction.OUT if direction is Direction.IN else Direction.IN
        if not matching and asked is not None and self._matching_pcms(wanted, other):
            return f"{wanted!r} is not a {direction.value}; set {direction.value}.device to another card"
        return None

    def remark(self, wanted: str, direction: Direction) -> str | None:
        """Return why `wanted` cannot be used now, without opening it; None if no reason is visible."""
        matching = self._matching_pcms(wanted, direction)
        if not matching:
            return (
                None
                if alsa_id(wanted) is None
                else "no card of this name is here now; `kioskd devices` lists the cards"
            )
        by = sound_cards.holder(matching[0], self.root)
        return None if by is None or by.program == "kioskd" else f"{by} is using it; end that program"

    def _reason(self, error_number: int, pcm: Pcm | None) -> str:
        if error_number == errno.EBUSY:
            return self._busy_reason(pcm)
        if error_number in _FORBIDDEN:
            node = "/dev/snd" if pcm is None else pcm.node
            return (
                f"{_user()} may not open {node}; run `sudo usermod -aG audio {_user()}`, or add "
                "DeviceAllow=char-alsa rw to the unit"
            )
        if error_number == errno.ENOENT and pcm is not None and not (self.root / pcm.node[1:]).exists():
            return (
                f"the kernel has the card, but {pcm.node} is missing; start udev, and run `udevadm trigger`"
            )
        if error_number in _MISSING:
            return "it was unplugged just now, or is not ready yet; plug it in"
        return f"{os.strerror(error_number)}; unplug it and plug it in again"

    def _busy_reason(self, pcm: Pcm | None) -> str:
        holder = None if pcm is None else sound_cards.holder(pcm, self.root)
        if holder is None:
            return (
                "another program is using it; "
                f"`sudo fuser -v {'/dev/snd/*' if pcm is None else pcm.node}` names it: end that program"
            )
        if holder.pid == os.getpid():
            return "kioskd itself has it open; restart kioskd"
        return f"{holder} is using it; end that program, and keep it from starting again"

    def _matching_pcms(self, wanted: str, direction: Direction) -> list[Pcm]:
        """Return the kernel's devices that `wanted` means now."""
        if is_numbered(wanted):
            return []
        able = [one for one in sound_cards.pcms(self.sysfs) if one.direction is direction]
        if (asked := alsa_id(wanted)) is not None:
            # ALSA tells upper case from lower case here.
            ids = {number: card.id.casefold() for number, card in sound_cards.cards(self.sysfs).items()}
            return [one for one in able if ids.get(one.card) == asked[0] and asked[1] in (None, str(one.pcm))]
        # ALSA calls the card of "USB PnP Sound Device: Audio" by the name "USB PnP Sound Device".
        part = wanted.partition(":")[0].casefold()
        named = {number for number in {one.card for one in able} if part in self.card_name(number).casefold()}
        return [one for one in able if one.card in named]


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"
