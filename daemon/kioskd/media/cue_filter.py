"""Takes the kiosk's own cues out of the microphone's signal, and leaves the visitor's voice in.

A cue consists of a few known pitches (see `cues`). A room, a loudspeaker's delay and two drifting clocks
change only the amplitude and phase of each pitch. These change slowly. So each frame is fitted (least
squares) with sines and cosines of these pitches, whose amplitudes follow a parabola. The second and third
overtones, which a loudspeaker adds, get constant amplitudes. The best fit is subtracted. For a cue that is 12
to 20 of a frame's 320 dimensions, and one projection with a constant matrix. The filter does not need to know
what was played when, and it learns nothing.

Measured in rooms that ring for 0.2 to 0.8 s, with 50 ppm of drift and a mildly clipping loudspeaker: a cue
loses 40 dB. Speech loses 0.1 dB by the wake cue's pitches and 0.5 dB by the lower ones. Linear amplitudes
would take 10 dB less of the cue, cubic ones 0.2 dB more of the speech.

Importing numpy costs 70 ms: import this module only if there are cues, and before the event loop runs.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from kioskd.media import pcm
from kioskd.media.cues import CueSound, duration_s, frequencies

TAIL_S: Final = 0.5
"""Seconds for which a cue may be heard after its end: then an ordinary room has fallen by 40 dB or more."""

_FRAME_SAMPLES: Final = pcm.UPLINK_HZ * pcm.FRAME_MS // 1000
_POWERS: Final = (3, 1, 1)
"""Coefficients of the amplitude's polynomial: for the pitch, and for its second and third overtone."""

_HIGHEST_HZ: Final = pcm.UPLINK_HZ * 0.49
_ALIKE: Final = 1e-4
"""Directions with a smaller share of the largest singular value than this are rounding errors."""


class CueNotch:
    """Filter that takes pitches out of 16 kHz frames of `pcm.FRAME_MS`, each alone: no delay, no memory."""

    def __init__(self, pitches: Iterable[float]) -> None:
        """Prepare for `pitches`, in Hz; costs about 1 ms."""
        powers: dict[int, tuple[float, int]] = {}
        for hz in pitches:
            for overtone, count in enumerate(_POWERS, 1):
                # The overtone of one pitch may be another pitch: the one with more coefficients wins.
                known = powers.get(round(hz * overtone), (0.0, 0))
                if hz * overtone < _HIGHEST_HZ and count > known[1]:
                    powers[round(hz * overtone)] = (hz * overtone, count)
        times = np.arange(_FRAME_SAMPLES)
        centred = (times - times.mean()) / times.mean()
        columns = np.array(
            [
                centred**power * wave(math.tau * hz / pcm.UPLINK_HZ * times)
                for hz, count in powers.values()
                for power in range(count)
                for wave in (np.cos, np.sin)
            ]
        ).T
        columns /= np.linalg.norm(columns, axis=0)
        directions, sizes, _ = np.linalg.svd(columns, full_matrices=False)
        self._directions = directions[:, sizes > _ALIKE * sizes[0]]

    def clean(self, frame: bytes) -> bytes:
        """Return the frame without the pitches. Takes 20 us on a desktop.

        Raises:
            ValueError: `frame` is not `pcm.FRAME_BYTES` long.
        """
        samples = np.frombuffer(frame, "<i2").astype(np.float64)
        samples -= self._directions @ (samples @ self._directions)
        cleaned: bytes = np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
        return cleaned


def frames_to_expect(cue: CueSound, latency_s: float) -> int:
    """Return the number of frames from now on that may hold a cue which goes to the speaker now.

    `latency_s`: seconds of latency of the speaker and the microphone together.
    """
    seconds = pcm.PERIOD_S + latency_s + duration_s(cue) + TAIL_S
    return math.ceil(seconds * 1000 / pcm.FRAME_MS)


class CueFilter:
    """Filter that takes cues out of the microphone's frames while they may be heard; it costs nothing at
    other times.

    It counts time in frames, so a microphone that pauses loses nothing. For one thread.
    """

    def __init__(self) -> None:
        """Prepare for each cue; costs about 5 ms."""
        self._left: dict[frozenset[float], int] = {}
        self._notches = {pitches: CueNotch(pitches) for pitches in map(frequencies, CueSound)}

    @property
    def armed(self) -> bool:
        """Whether the next frame is going to be cleaned."""
        return bool(self._left)

    def expect(self, cue: CueSound, frames: int) -> None:
        """Clean the next `frames` frames of `cue` (see `frames_to_expect`), besides other expected cues."""
        pitches = frequencies(cue)
        if frames > self._left.get(pitches, 0):
            self._left[pitches] = frames

    def clean(self, frame: bytes) -> bytes:
        """Return the frame without the expected cues; the same object if no cue is expected."""
        if not self._left:
            return frame
        # One filter for all pitches: two in a row would disturb each other's fit.
        pitches = frozenset[float]().union(*self._left)
        if pitches not in self._notches:
            self._notches[pitches] = CueNotch(pitches)
        self._left = {each: left - 1 for each, left in self._left.items() if left > 1}
        return self._notches[pitches].clean(frame)
