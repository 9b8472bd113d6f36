"""Takes the kiosk's own cues out of what its microphone hears, and leaves the visitor in.

A cue is a few pitches that are known (see `cues`), and a room, a loudspeaker's delay and two clocks that drift apart make
nothing else of them: only each one's amplitude and phase are unknown, and change slowly. So of each frame the best fit (least
squares) of sines and cosines of these pitches, with amplitudes that follow a parabola, is taken away, and of their second
and third overtone, which a loudspeaker adds, sines and cosines as they are. For a cue that is 12 to 20 numbers of a frame's 320,
and one projection with a matrix that never changes: it knows nothing of what was played when, and learns nothing.

Measured in rooms that ring for 0.2 to 0.8 s, with 50 ppm of drift and a loudspeaker that clips mildly: a cue loses 40 dB, speech
0.1 dB by the wake cue's pitches and 0.5 dB by the lower ones. Amplitudes that are straight lines would take 10 dB less of the
cue, cubic ones 0.2 dB more of the speech.

Imports numpy, which costs 70 ms: import it where there are cues, and before the event loop runs.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from kioskd.media import pcm
from kioskd.media.cues import CueSound, duration_s, frequencies

TAIL_S: Final = 0.5
"""How long a cue may be heard after its end: an ordinary room has fallen by 40 dB and more."""

_FRAME_SAMPLES: Final = pcm.UPLINK_HZ * pcm.FRAME_MS // 1000
_POWERS: Final = (3, 1, 1)
"""How many powers of time each pitch's amplitude is made of, and its second and third overtone's."""

_HIGHEST_HZ: Final = pcm.UPLINK_HZ * 0.49
_ALIKE: Final = 1e-4
"""A direction that is told from the others by less than that share is one of rounding errors."""


class CueNotch:
    """Takes some pitches, and nothing else, out of 16 kHz frames of `pcm.FRAME_MS`, each by itself: no delay, no memory."""

    def __init__(self, pitches: Iterable[float]) -> None:
        """Prepare for `pitches`, in Hz; costs about 1 ms."""
        powers: dict[int, tuple[float, int]] = {}
        for hz in pitches:
            for overtone, count in enumerate(_POWERS, 1):
                # An overtone of one may be the pitch of another: the richer wins.
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
    """Return for how many frames from now on a cue may be heard that is handed to the speaker now.

    `latency_s`: of the speaker and the microphone together, in seconds.
    """
    seconds = pcm.PERIOD_S + latency_s + duration_s(cue) + TAIL_S
    return math.ceil(seconds * 1000 / pcm.FRAME_MS)


class CueFilter:
    """Takes cues out of the microphone's frames while they may be heard; does nothing else, at no cost.

    Time is told by frames: of a microphone that pauses nothing is lost. One thread.
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
        """Clean the next `frames` frames of `cue`, too if another one is still expected (see `frames_to_expect`)."""
        pitches = frequencies(cue)
        if frames > self._left.get(pitches, 0):
            self._left[pitches] = frames

    def clean(self, frame: bytes) -> bytes:
        """Return the frame without the cues that may be in it; the very same frame where none may be."""
        if not self._left:
            return frame
        # Together: what one notch takes from the pitches of another, that one would not know.
        pitches = frozenset[float]().union(*self._left)
        if pitches not in self._notches:
            self._notches[pitches] = CueNotch(pitches)
        self._left = {each: left - 1 for each, left in self._left.items() if left > 1}
        return self._notches[pitches].clean(frame)
