"""The room before the microphone: a little noise, and the words of a person on each SIGUSR1.

`room.py WORDS` takes speech as raw 16-bit samples at 16 kHz, mono. It plays to the other end of the card Mic,
and begins again when that card goes and comes.
"""

import array
import fcntl
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

RATE_HZ = 16_000
CHUNK_BYTES = RATE_HZ * 2 // 10
NOISE_LSB = 40
PIPE_BYTES = 4096
PLAYER = (
    "aplay", "-q", "-D", "plughw:CARD=Mic,DEV=0", "-t", "raw", "-f", "S16_LE", "-r", str(RATE_HZ), "-c", "1",
    "--buffer-time=400000",
)  # fmt: skip


class Room:
    """Sound that is played next."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._left = b""
        noise = random.Random(7)
        self._noise = array.array(
            "h", (noise.randint(-NOISE_LSB, NOISE_LSB) for _ in range(RATE_HZ))
        ).tobytes()
        self._at = 0

    def speak(self, _number: int, _frame: FrameType | None) -> None:
        """Have the person say the words."""
        self._left = self._words

    def chunk(self) -> bytes:
        """Return the next tenth of a second."""
        if self._left:
            piece, self._left = self._left[:CHUNK_BYTES], self._left[CHUNK_BYTES:]
            return piece.ljust(CHUNK_BYTES, b"\0")
        self._at = (self._at + CHUNK_BYTES) % (len(self._noise) - CHUNK_BYTES)
        return self._noise[self._at : self._at + CHUNK_BYTES]


def main() -> None:
    """Play for ever."""
    room = Room(Path(sys.argv[1]).read_bytes())
    signal.signal(signal.SIGUSR1, room.speak)
    while True:
        with subprocess.Popen(PLAYER, stdin=subprocess.PIPE, bufsize=0) as player:
            assert player.stdin
            # Sound would wait for two seconds in a pipe of the usual size.
            fcntl.fcntl(player.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            try:
                while True:
                    player.stdin.write(room.chunk())
            except BrokenPipeError:  # the card was pulled
                player.kill()
        time.sleep(0.5)


if __name__ == "__main__":
    main()
