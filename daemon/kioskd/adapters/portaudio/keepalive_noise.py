"""Quiet noise for a speaker in place of silence: the last bit, 90 dB below full scale.

Some amplifiers and USB speakers go to sleep on digital silence. They wake up at the next sound, and lose its
first syllable. People do not hear this noise, but the amplifier counts it as sound.
"""

import array
import random
import sys
from typing import Final

from kioskd.adapters.portaudio.formats import SampleType, SoundFormat

FRAMES: Final = 4_800
"""Frames before the noise repeats: ten times a second at 48 kHz, which cannot be heard."""


def noise_period(form: SoundFormat) -> bytes:
    """Return `FRAMES` frames of noise in a device's format, the same in all channels."""
    chance = random.Random(1)  # noqa: S311 - the same each time, so that recordings can be compared
    steps = [chance.choice((-1, 0, 1)) for _ in range(FRAMES)]
    return b"".join(_written(step, form.samples) * form.channels for step in steps)


def _written(step: int, samples: SampleType) -> bytes:
    """Return one sample of the value `step`, counted in 16-bit steps."""
    if samples == "float32":
        return array.array("f", [step / 32768]).tobytes()
    size = {"int16": 2, "int24": 3, "int32": 4}[samples]
    return (step << 8 * (size - 2)).to_bytes(size, sys.byteorder, signed=True)


class KeepaliveNoise:
    """Filter that replaces silence by noise only. Costs a comparison and a copy of one period."""

    def __init__(self, form: SoundFormat) -> None:
        self._noise = noise_period(form)
        self._frame_bytes = len(self._noise) // FRAMES
        self._at = 0
        self._nothing = b""

    def fill(self, sound: bytes) -> bytes:
        """Return `sound`, or the same length of noise if it is all zeros."""
        if len(self._nothing) != len(sound):
            self._nothing = bytes(len(sound))
        if sound != self._nothing:
            return sound
        start = self._at
        self._at = (start + len(sound)) % len(self._noise)
        filled = self._noise[start : start + len(sound)]
        while len(filled) < len(sound):
            filled += self._noise[: len(sound) - len(filled)]
        return filled
