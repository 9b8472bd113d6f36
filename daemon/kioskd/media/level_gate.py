"""Tells cheaply whether a frame may hold anything new: it is louder than the steady sound of the room.

    frame ─┬─► level ────────────────► above the usual? ─┐
           └─► level of its changes ─► above the usual? ─┴─► open for a while

A detector behind the gate looks at frames while the gate is open. It also looks at others, to learn the
room's noise: at a few of them, and at all for half a second after the room has become quieter. Hiss hides a
voice from the second level, and rumble hides it from the first.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import pcm
from kioskd.media.noise_level import NoiseLevel

SPREADS: Final = 3.3
"""Distance from the usual level, in spreads of the noise, at which the gate opens."""

SPREAD_DB: Final = (0.33, 1.0)
"""The least and the greatest spread in dB. A voice 5 dB below a steady noise raises its level by 1 dB.

Speech from the first frame on has a spread of 10 dB, and must not shut the gate.
"""

FALL_DB: Final = 6.0
"""Fall below the usual level in dB that makes a new usual level at once."""

HOLD: Final = 15
"""Frames (300 ms) for which the gate stays open: most gaps between words are shorter."""

SAMPLE: Final = 10
"""While the gate is shut, a detector looks at one frame of this number, to learn the noise."""

KNOWN: Final = 25
"""Frames (500 ms) after which the usual level is known. The gate is open until then."""

_SILENCE: Final = bytes(pcm.FRAME_BYTES)
_SAMPLES: Final = pcm.FRAME_BYTES // pcm.SAMPLE_BYTES
_DARK: Final = 10.0
"""Power added to each frame, like noise at -80 dBFS: no softer sound can be understood."""
_DARK_DB: Final = 10 * math.log10(_DARK)
_LEARN: Final = 0.02
"""Weight of a frame in the usual level: a time constant of 1 s."""
_LEARN_LOUD: Final = 0.01
"""The same for a frame at which the gate opens, because it is seldom noise."""


class LevelGate:
    """Gate for one stream of frames."""

    def __init__(self) -> None:
        """Start open, in an unknown room."""
        self._whole = NoiseLevel(*SPREAD_DB)
        self._changes = NoiseLevel(*SPREAD_DB)
        self._known = 0
        self._open_for = 0
        self._shut_for = 0
        self._learn_for = 0
        """Frames of a quieter room that a detector should still look at."""
        self.level = _DARK_DB
        """Level of the newest frame in dB."""
        self._samples: npt.NDArray[np.float32] = np.zeros(_SAMPLES, np.float32)
        self._steps: npt.NDArray[np.float32] = np.zeros(_SAMPLES - 1, np.float32)

    @property
    def loud(self) -> bool:
        """Whether the newest frame itself is louder than the room."""
        return self._open_for == HOLD

    @property
    def open(self) -> bool:
        """Whether the newest frame may hold a new sound."""
        return self._open_for > 0

    def feed(self, frame: bytes) -> bool:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return whether a detector should look at it.

        That is so while the gate is open, and for `KNOWN` frames after a fall of the level. Otherwise it is
        so for one of `SAMPLE` frames.
        """
        if frame == _SILENCE:
            whole = changes = _DARK_DB
        else:
            whole, changes = self._levels(frame)
        self.level = whole
        # Both levels must be learnt, whether or not the first is exceeded.
        loud = [self._exceeded(self._whole, whole), self._exceeded(self._changes, changes)]
        if self._known < KNOWN:
            self._known += 1
            self._open_for = HOLD
        elif any(loud):
            self._open_for = HOLD
        elif self._open_for:
            self._open_for -= 1
        if self._open_for or self._learn_for:
            self._shut_for = 0
            self._learn_for = max(0, self._learn_for - 1)
            return True
        self._shut_for = (self._shut_for + 1) % SAMPLE
        return not self._shut_for

    def _exceeded(self, usual: NoiseLevel, level: float) -> bool:
        """Learn the level of a frame, and return whether it exceeds the usual."""
        if self._known < KNOWN:
            usual.learn(level, 1 / (self._known + 1))
            return False
        above = usual.above(level)
        if above > SPREADS:
            usual.learn(level, _LEARN_LOUD)
            return True
        if level > usual.level - FALL_DB:
            usual.learn(level, _LEARN)
        else:
            # Once a machine has stopped, the next voice may be softer than it was.
            usual.learn(level, 1.0)
            self._learn_for = KNOWN
        return False

    def _levels(self, frame: bytes) -> tuple[float, float]:
        samples, steps = self._samples, self._steps
        samples[:] = np.frombuffer(frame, "<i2")
        np.subtract(samples[1:], samples[:-1], out=steps)
        whole, changes = float(samples.dot(samples)), float(steps.dot(steps))
        return 10 * math.log10(whole / _SAMPLES + _DARK), 10 * math.log10(changes / _SAMPLES + _DARK)
