"""A sound card with two ends: what is played at one is recorded at the other. The kernel's snd-aloop, as root.

The cards are called Mic and Spk, and have one stream each. See tests/support/vm_image.py.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Final, Literal

Name = Literal["Mic", "Spk"]

_DRIVER: Final = Path("/sys/bus/platform/drivers/snd_aloop")
_DEVICES: Final[dict[Name, str]] = {"Mic": "snd_aloop.0", "Spk": "snd_aloop.1"}
_GONE_S: Final = 30.0


def is_here() -> bool:
    """Whether this machine has both cards, and we may pull them."""
    cards = Path("/sys/class/sound")
    ids = {path.read_text().strip() for path in cards.glob("card*/id")}
    return ids >= set(_DEVICES) and os.access(_DRIVER / "unbind", os.W_OK)


def play(sound: bytes, rate_hz: int) -> None:
    """Play into the microphone; return when all was played."""
    subprocess.run(
        ["aplay", "-q", "-D", "plughw:CARD=Mic,DEV=0", "-t", "raw", "-f", "S16_LE", "-r", str(rate_hz), "-c", "1"],
        input=sound, check=True,
    )  # fmt: skip


def unplug(name: Name) -> None:
    """Pull the card; nothing may have it open, or this waits for it."""
    (_DRIVER / "unbind").write_text(_DEVICES[name])


def replug(name: Name) -> None:
    """Put the card back."""
    until = time.monotonic() + _GONE_S
    while (_DRIVER / _DEVICES[name]).exists():
        assert time.monotonic() < until, f"{name} is still here"
        time.sleep(0.05)
    (_DRIVER / "bind").write_text(_DEVICES[name])
