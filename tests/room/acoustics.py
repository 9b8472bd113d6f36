"""The acoustics: a shoe-box room by the image source method, and a loudspeaker that is not ideal."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyroomacoustics as pra
import soxr
from tests.room.sounds import Samples

from kioskd.media import pcm

SIZE_M: Final = (5.0, 4.0, 2.8)
MICROPHONE_M: Final = (2.0, 1.5, 1.1)
LOUDSPEAKER_M: Final = (2.2, 1.5, 1.0)
VISITOR_M: Final = (2.6, 2.1, 1.5)
"""Places in metres: a kiosk at a wall with loudspeaker and microphone in one case, and a visitor a step
away."""

REFLECTIONS: Final = 40
CLIPPING: Final = 0.8
"""Part of full scale that a loudspeaker gives at most. The peaks of speech lose a tenth by it."""

_BEFORE_DIRECT: Final = 20
"""Number of samples before the response's peak that belong to it."""


@dataclass(frozen=True, slots=True)
class Acoustics:
    """A room, and the devices in it."""

    coupling_db: float = -10.0
    """Level of the echo at the microphone, in dB against the loudspeaker's signal."""
    delay_s: float = 0.06
    """Seconds from a sample that the speaker device pulls to its first arrival at the microphone device."""
    drift: float = 0.0
    """Part by which the playback clock runs faster than the capture clock: 50e-6 is 50 ppm."""
    ringing_s: float = 0.4
    """Seconds until a sound in the room has fallen by 60 dB."""
    noise: str = "pink"
    noise_db: float = -75.0
    """Level of the noise at the microphone, in dB of full scale."""
    seed: int = 1

    def __str__(self) -> str:
        return (
            f"{self.coupling_db:+.0f} dB, {self.delay_s * 1000:.0f} ms, {self.drift * 1e6:+.0f} ppm, "
            f"ringing {self.ringing_s:g} s, {self.noise} {self.noise_db:.0f} dB"
        )


def responses(acoustics: Acoustics) -> tuple[Samples, Samples]:
    """Return the impulse responses (16 kHz) from the loudspeaker and from the visitor to the microphone.

    The loudspeaker's response has the energy of the coupling. The visitor's has that of a wire, since a
    visitor's level is that at the microphone.
    """
    absorption, order = pra.inverse_sabine(acoustics.ringing_s, SIZE_M)
    room = pra.ShoeBox(
        SIZE_M, fs=pcm.UPLINK_HZ, materials=pra.Material(absorption), max_order=min(order, REFLECTIONS)
    )
    room.add_source(LOUDSPEAKER_M)
    room.add_source(VISITOR_M)
    room.add_microphone(MICROPHONE_M)
    room.compute_rir()
    loudspeaker, visitor = (_trimmed(response) for response in room.rir[0])
    return loudspeaker * 10 ** (acoustics.coupling_db / 20), visitor


def _trimmed(response: Samples) -> Samples:
    start = max(0, int(np.argmax(np.abs(response))) - _BEFORE_DIRECT)
    response = response[start:]
    return np.asarray(response / np.sqrt(np.sum(np.square(response))))


class Convolution:
    """Passes a stream through an impulse response, in blocks of one size."""

    def __init__(self, response: Samples, block: int) -> None:
        self._block = block
        need = block + len(response) - 1
        # The transform is quick for a power of two, and for three times one.
        self._size = min(1 << (need - 1).bit_length(), 3 << max(0, (-(-need // 3) - 1).bit_length()))
        self._spectrum = np.fft.rfft(response, self._size)
        self._tail = np.zeros(self._size)

    def process(self, samples: Samples) -> Samples:
        """Return the next block."""
        self._tail += np.fft.irfft(np.fft.rfft(samples, self._size) * self._spectrum, self._size)
        out = self._tail[: self._block].copy()
        self._tail[: -self._block] = self._tail[self._block :]
        self._tail[-self._block :] = 0.0
        return out


class Air:
    """Turns the sound that the speaker device pulled into its echo at the microphone, block by block."""

    def __init__(self, acoustics: Acoustics, response: Samples, block: int) -> None:
        self._block = block
        # The engine for variable rates returns its share at once; the other one returns lumps of 80 ms.
        self._resampler = soxr.ResampleStream(
            pcm.DOWNLINK_HZ * (1 + acoustics.drift), pcm.UPLINK_HZ, 1, dtype="float32", quality="HQ", vr=True
        )
        self._response = Convolution(response, block)
        self._waiting = np.zeros(round(acoustics.delay_s * pcm.UPLINK_HZ))

    def delay(self, by_s: float) -> None:
        """Have each sound arrive later by this time from now on, or sooner if it is negative."""
        by = round(by_s * pcm.UPLINK_HZ)
        self._waiting = np.concatenate([np.zeros(max(0, by)), self._waiting[max(0, -by) :]])

    def carry(self, pulled: Samples) -> Samples:
        """Take the pulled sound (24 kHz, playback clock), and return the next block of the echo (16 kHz)."""
        heard = CLIPPING * np.tanh(pulled / CLIPPING)
        self._waiting = np.concatenate(
            [self._waiting, self._resampler.resample_chunk(heard.astype(np.float32))]
        )
        if len(self._waiting) < self._block:
            raise RuntimeError("delay_s is too short: nothing is there to be heard yet")
        block, self._waiting = self._waiting[: self._block], self._waiting[self._block :]
        return self._response.process(block)
