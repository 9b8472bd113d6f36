"""Detects that a person begins to speak, in any noise of the room: the detector of `wake: voice`.

    frame ─► level gate ─┬─► speech onset: asks ─► network: `CONFIRMS`? ─┐
                         └─► network: from no speech to `SURE`? ─────────┴─► onset

The network finds voices that a spectrum does not tell from a machine or from music, and children. A crowd is
speech to it, so that it cannot find a visitor in front of one. There the voice must stand out, and the
network only confirms. While the gate is shut, neither looks.
"""

import collections
from typing import Final

from kioskd.media.speech_onset import DECAY_DB, QUIET, SpeechOnsetDetector
from kioskd.media.speech_rating import SpeechModel, SpeechRating

CONFIRMS: Final = 0.3
"""Rating that confirms an onset which the spectrum has found, chosen on 206 speakers and 58 minutes of noise.

With 0.5, one word of twenty-five is not found any more, and music wakes the kiosk a quarter as often.
"""

BEFORE: Final = 5
AFTER: Final = 10
"""Frames before and after the question (100 and 200 ms) in which the rating counts."""

SURE: Final = 0.75
"""Rating that is an onset by itself, after `QUIET` frames below `SILENT`.

It was fitted on single words of five speakers in five languages (ktuberling). The noises were 10 dB softer:
25 minutes of music (Wesnoth, Hedgewars, Frozen Bubble, Lomiri) and 3 minutes of animals (Tux Paint).
"""

SILENT: Final = 0.3


class ConfirmedOnset:
    """Detector that reports once when a person begins to speak; see `speech_events.WakeDetector`."""

    def __init__(self, onset: SpeechOnsetDetector, model: SpeechModel) -> None:
        """Start in an unknown room. No one else may use `onset` or `model`."""
        self._onset = onset
        self._ratings = SpeechRating(model)
        self._recent: collections.deque[float] = collections.deque(maxlen=BEFORE + 1)
        self._levels: collections.deque[float] = collections.deque(maxlen=BEFORE + 1)
        self._asked_for = 0
        """Frames for which the network may still confirm."""
        self._quiet = QUIET
        """Frames without speech, as far as they count."""

    def reset(self) -> None:
        """Forget the speech that was heard, so that the next speech is an onset; keep the noise."""
        self._onset.reset()
        self._ratings.reset()
        self._recent.clear()
        self._levels.clear()
        self._asked_for = 0
        self._quiet = QUIET

    def await_pause(self) -> None:
        """Assume that a person is speaking: the next onset comes after `QUIET` frames without speech."""
        self._onset.await_pause()
        self._quiet = 0

    def feed(self, frame: bytes) -> bool:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return True once for each onset.

        Costs 5 us in steady noise, and 70 us where something sounds.
        """
        if self._onset.feed(frame):
            self._asked_for = 1 + AFTER
        gate = self._onset.gate
        rating = self._ratings.rate(frame, sounds=gate.open, loud=gate.loud)
        self._recent.append(rating)
        self._levels.append(gate.level)
        confirmed = self._asked_for > 0 and max(self._recent) >= CONFIRMS
        self._asked_for = max(0, self._asked_for - 1)
        spoken = self._quiet < QUIET
        self._quiet = 0 if spoken and rating >= SILENT else min(self._quiet + 1, QUIET)
        if not confirmed and (spoken or rating < SURE or not self._ratings.lasting or self._fading()):
            return False
        self._asked_for = 0
        self.await_pause()
        return True

    def _fading(self) -> bool:
        """Return whether the newest frame is the ringing of a knock."""
        return self._levels[-1] <= max(self._levels) - DECAY_DB
