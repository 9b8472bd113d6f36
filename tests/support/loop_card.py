"""Sound cards with two ends, where one records the sound of the other: snd-aloop of the kernel, as root.

The cards are called Mic and Spk, with one stream each; tests/support/vm_image.py creates them.
"""

import contextlib
import fcntl
import os
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Final, Literal

Name = Literal["Mic", "Spk"]

MICROPHONE: Final = "hw:CARD=Mic,DEV=1"
SPEAKER: Final = "hw:CARD=Spk,DEV=0"
"""The speaker's device. `default` would change if one card is unplugged, as each can record and play."""

_DRIVER: Final = Path("/sys/bus/platform/drivers/snd_aloop")
_DEVICES: Final[dict[Name, str]] = {"Mic": "snd_aloop.0", "Spk": "snd_aloop.1"}
_STATUS: Final = Path("/proc/asound/Mic/pcm0p/sub0/status")
_GONE_S: Final = 30.0
_PIPE_BYTES: Final = 4096
"""Size of the pipe in bytes: one page, which is the smallest."""


def is_here() -> bool:
    """Return whether this machine has both cards, and this user may unplug them."""
    cards = Path("/sys/class/sound")
    ids = {path.read_text().strip() for path in cards.glob("card*/id")}
    return ids >= set(_DEVICES) and os.access(_DRIVER / "unbind", os.W_OK)


class Room:
    """The room in front of the microphone: it is silent, or plays a sound.

    It plays all the time. Without that, PortAudio would use a buffer of 20 ms, which is too short for the
    kernel's clock of 4 ms: half of the sound would be lost.
    """

    def __init__(self, rate_hz: int) -> None:
        self._silence = bytes(rate_hz * 2 // 50)
        self._sounds: queue.SimpleQueue[tuple[bytes, threading.Event]] = queue.SimpleQueue()
        self._player = subprocess.Popen(
            ["aplay", "-q", "-D", "plughw:CARD=Mic,DEV=0", "-t", "raw", "-f", "S16_LE", "-r", str(rate_hz),
             "-c", "1", "--buffer-time=80000"],
            stdin=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert self._player.stdin
        # In a pipe of the default size, sound would wait for two seconds.
        fcntl.fcntl(self._player.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._thread = threading.Thread(target=self._play, name="room")
        self._thread.start()
        until = time.monotonic() + _GONE_S
        while "RUNNING" not in _STATUS.read_text():
            assert time.monotonic() < until, "nothing plays into the microphone"
            time.sleep(0.05)

    def play(self, sound: bytes) -> None:
        """Play into the microphone; return when the player has taken the sound."""
        taken = threading.Event()
        self._sounds.put((sound, taken))
        assert taken.wait(_GONE_S)

    def close(self) -> None:
        """Stop playing."""
        self._player.kill()
        self._player.wait()
        self._thread.join()
        assert self._player.stdin
        self._player.stdin.close()

    def _play(self) -> None:
        assert self._player.stdin
        with contextlib.suppress(BrokenPipeError):
            while True:
                sound, taken = self._silence, None
                with contextlib.suppress(queue.Empty):
                    sound, taken = self._sounds.get_nowait()
                while sound:
                    sound = sound[self._player.stdin.write(sound) :]
                if taken:
                    taken.set()


def unplug(name: Name) -> None:
    """Unplug the card. Blocks while a program has it open."""
    (_DRIVER / "unbind").write_text(_DEVICES[name])


def replug(name: Name) -> None:
    """Plug the card in again."""
    until = time.monotonic() + _GONE_S
    while (_DRIVER / _DEVICES[name]).exists():
        assert time.monotonic() < until, f"{name} is still here"
        time.sleep(0.05)
    (_DRIVER / "bind").write_text(_DEVICES[name])
