"""What a speaker is fed in place of silence: noise at the last bit, 90 dB below full scale.

Amplifiers and USB speakers that go to sleep on digital silence wake up for the first sound, and eat its first syllable.
People do not hear this noise; the amplifier takes it for sound.
"""

import array
import random
import sys
from typing import Final

from kioskd.adapters.portaudio.formats import SampleType, SoundFormat

FRAMES: Final = 4_800
"""Before it repeats: at 48 kHz ten times a second, far below what could be heard of it."""


def noise_period(form: SoundFormat) -> bytes:
    """Return `FRAMES` frames of it, as a device of this format takes them, the same in all channels."""
    chance = random.Random(1)  # noqa: S311 - the same each time, so that a recording can be compared
    steps = [chance.choice((-1, 0, 1)) for _ in range(FRAMES)]
    return b"".join(_written(step, form.samples) * form.channels for step in steps)


def _written(step: int, samples: SampleType) -> bytes:
    """Return one sample of so many 16-bit steps."""
    if samples == "float32":
        return array.array("f", [step / 32768]).tobytes()
    size = {"int16": 2, "int24": 3, "int32": 4}[samples]
    return (step << 8 * (size - 2)).to_bytes(size, sys.byteorder, signed=True)


class KeepaliveNoise:
    """Puts it in place of silence, and touches nothing else. Costs a comparison of bytes a period."""

    def __init__(self, form: SoundFormat) -> None:
        self._noise = noise_period(form)
        self._frame_bytes = len(self._noise) // FRAMES
        self._at = 0
        self._nothing = b""

    def fill(self, sound: bytes) -> bytes:
        """Return `sound`, or as much of the noise where it is all zeros."""
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
