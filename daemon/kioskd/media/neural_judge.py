"""Judges by a neural network whether a frame is speech, in noises that no spectrum tells from a voice.

frame ─► level gate ─► network: how much like speech? ─► begins at `BEGINS`, goes on at `GOES_ON`
"""

import collections
from typing import Final

from kioskd.media.level_gate import LevelGate
from kioskd.media.speech_rating import SpeechModel, SpeechRating

BEGINS: Final = 0.7
GOES_ON: Final = 0.55
"""Ratings at which speech begins and goes on. They were chosen on recordings of 206 speakers in real noise
10 dB softer. The voice ended more than 1 s late, or never, in 9 % of the cases, and with `spectral_judge` in
35 %. It was cut in 2 % of the cases, and with `spectral_judge` in 10 %."""

BEGIN_WINDOW: Final = 5
BEGIN_RATED: Final = 2
"""Frames among the newest `BEGIN_WINDOW` that must reach `BEGINS`: a clink reaches it in one chunk."""

LATE: Final = 5
"""Frames for which the network takes the end of a word for a part of it."""


class NeuralJudge:
    """Judge of one stream of frames; see `voice_activity.SpeechJudge`."""

    late_frames: Final = LATE
    """See `SpeechJudge`."""

    held_frames: Final = 0
    """See `SpeechJudge`. The network notices the next word almost as late as the end of the one before."""

    def __init__(self, model: SpeechModel) -> None:
        """Start in an unknown room. No one else may use `model`."""
        self._ratings = SpeechRating(model)
        self._gate = LevelGate()
        self._high: collections.deque[bool] = collections.deque(maxlen=BEGIN_WINDOW)
        self._rating = 0.0

    @property
    def begins(self) -> bool:
        """See `SpeechJudge`."""
        return sum(self._high) >= BEGIN_RATED

    @property
    def speech(self) -> bool:
        """See `SpeechJudge`."""
        return self._rating >= GOES_ON

    @property
    def word(self) -> bool:
        """See `SpeechJudge`."""
        return self.speech

    def begin(self) -> None:
        """See `SpeechJudge`."""

    def reset(self) -> None:
        """See `SpeechJudge`."""
        self._ratings.reset()
        self._high.clear()
        self._rating = 0.0

    def feed(self, frame: bytes) -> None:
        """See `SpeechJudge`. Costs 60 us, and 5 us in steady noise."""
        self._gate.feed(frame)
        self._rating = self._ratings.rate(frame, sounds=self._gate.open, loud=self._gate.loud)
        self._high.append(self._rating >= BEGINS)
