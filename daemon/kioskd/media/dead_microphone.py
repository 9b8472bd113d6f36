"""Detects a microphone that is switched off or dead: it gives frames without any sound."""

import enum
from typing import Final

from kioskd.media import pcm

BEGIN_FRAMES: Final = 3000 // pcm.FRAME_MS
"""3 s: within that time even a quiet room moves the last bit of a live microphone."""

END_FRAMES: Final = 100 // pcm.FRAME_MS
"""100 ms in a row: the click of a plug or switch proves no live microphone."""


class SilentFault(enum.Enum):
    """Change of the microphone's condition."""

    BEGAN = enum.auto()
    """For 3 s all samples have had the same value."""
    ENDED = enum.auto()
    """The microphone gives sound again."""


class DeadMicrophoneDetector:
    """Detector that tells a microphone without signal (all zeros, or no variation) from one in a quiet room.

    It compares the bytes of each frame, also while the kiosk is asleep, which costs about 0.3 us.
    """

    def __init__(self) -> None:
        """Start with a microphone that is taken to be alive."""
        self.flat = False
        """Whether the microphone gives no signal."""
        self._level = b"\0" * pcm.SAMPLE_BYTES
        self._nothing = bytes(pcm.FRAME_BYTES)
        self._run = 0

    def feed(self, frame: bytes) -> SilentFault | None:
        """Take a frame (any length, 16-bit samples) as the device gave it; return the change, if any."""
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
        """Return whether all samples are equal; a level that has changed starts the count again."""
        level = frame[: pcm.SAMPLE_BYTES]
        nothing = level * (len(frame) // pcm.SAMPLE_BYTES)
        if frame != nothing:
            return False
        if level != self._level:
            self._level, self._run = level, 0
        self._nothing = nothing
        return True
