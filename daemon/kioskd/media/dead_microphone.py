"""Microphones that are switched off, or dead: sound without any sound in it."""

import enum
from typing import Final

from kioskd.media import pcm

BEGIN_FRAMES: Final = 3000 // pcm.FRAME_MS
"""3 s: even a quiet room moves the last bit of a live microphone within that."""

END_FRAMES: Final = 100 // pcm.FRAME_MS
"""100 ms in a row: the click of a plug or a switch is no life yet."""


class SilentFault(enum.Enum):
    """What has changed."""

    BEGAN = enum.auto()
    """Nothing but one and the same sample has come for 3 s."""
    ENDED = enum.auto()
    """The microphone hears again."""


class DeadMicrophoneDetector:
    """Tells a microphone that gives nothing (all zeros, or no variation) from one in a quiet room.

    Costs a comparison of bytes a frame (about 0.3 us), for all frames, asleep too.
    """

    def __init__(self) -> None:
        """Start with a microphone that is believed to live."""
        self.flat = False
        """Whether the microphone gives nothing."""
        self._level = b"\0" * pcm.SAMPLE_BYTES
        self._nothing = bytes(pcm.FRAME_BYTES)
        self._run = 0

    def feed(self, frame: bytes) -> SilentFault | None:
        """Take a frame (any length, 16-bit samples) as it came from the device, and say what changes with it."""
        dead = frame == self._nothing or self._constant(frame)
        if dead is self.flat:
            self._run = 0
            return None
        self._run += 1
        if self._run < (END_FRAMES if self.flat else BEGIN_FRAMES):
            return None
        self._run = 0
        self.flat = dead
        return SilentFault.BEGAN if dead else SilentFault.ENDED

    def _constant(self, frame: bytes) -> bool:
        """Whether all samples are alike; a level that changes from frame to frame begins the count again."""
        level = frame[: pcm.SAMPLE_BYTES]
        nothing = level * (len(frame) // pcm.SAMPLE_BYTES)
        if frame != nothing:
            return False
        if level != self._level:
            self._level, self._run = level, 0
        self._nothing = nothing
        return True
