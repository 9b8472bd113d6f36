"""Whether ALSA could open a device that PortAudio's list does not have: then the list is out of date.

PortAudio lists, once, what could be opened at that moment. A card that was busy then, or a device of a sound server
that was started later, is missing from it for as long as any stream is in use; and the kernel's cards do not change.
"""

import ctypes
import re
from pathlib import Path
from typing import Final

from kioskd.adapters.portaudio_devices import PROC, Direction, alsa_id, is_numbered

_ALSA: Final = "libasound.so.2"
_NONBLOCK: Final = 1
_STREAM: Final = {Direction.OUT: 0, Direction.IN: 1}

_CARD: Final = re.compile(r"^ *(?P<number>\d+) \[(?P<id>[^\]]*)\]: (?P<words>.*)$", re.MULTILINE)


def can_be_opened(wanted: str, direction: Direction, proc: Path | None = None) -> bool:
    """Try to open the device that `wanted` may mean (see `portaudio_devices.find`), and close it again.

    Blocks as long as its driver or sound server does; mostly for milliseconds.
    """
    try:
        alsa = ctypes.CDLL(_ALSA)
    except OSError:
        # A PortAudio without ALSA: nothing is known better than PortAudio does.
        return False
    return any(_opens(alsa, name, direction) for name in _alsa_names(wanted, proc or PROC))


def _alsa_names(wanted: str, proc: Path) -> list[str]:
    if is_numbered(wanted):
        # Not to be found in any list.
        return []
    try:
        cards = (proc / "cards").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cards = ""
    if (asked := alsa_id(wanted)) is not None:
        # ALSA itself tells capital from small letters.
        card_id, pcm = asked
        numbers = [
            card["number"] for card in _CARD.finditer(cards) if card["id"].strip().casefold() == card_id
        ]
        return [f"hw:{number},{pcm or 0}" for number in numbers]
    found = [f"hw:{card['number']}" for card in _CARD.finditer(cards) if _is_part(wanted, card["words"])]
    return [wanted, *found]


def _is_part(wanted: str, words: str) -> bool:
    # "USB-Audio - USB PnP Sound Device" is "USB PnP Sound Device: Audio" with PortAudio.
    return wanted.partition(":")[0].casefold() in words.casefold()


def _opens(alsa: ctypes.CDLL, name: str, direction: Direction) -> bool:
    handle = ctypes.c_void_p()
    if alsa.snd_pcm_open(ctypes.byref(handle), name.encode(), _STREAM[direction], _NONBLOCK) < 0:
        return False
    alsa.snd_pcm_close(handle)
    return True
