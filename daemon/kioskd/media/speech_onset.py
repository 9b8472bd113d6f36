"""Hears that somebody begins to speak, in whatever noise the room has: the ear of `wake: voice`.

    frame ─► spectrum ─┬─► loudness below and above 4 kHz ─► how far out of the noise? ─┐
                       └─► autocorrelation ────────────────► how clear a pitch?        ─┴─► score of the last frames

How far a frame is above the noise is told in spreads of the noise itself: hiss wavers little, so a soft voice stands out
of it; a crowd wavers much, and has to be topped. A frame that stands out scores by that and by its pitch together: a voice
in front of a crowd is a little louder and clearer at once, for some frames, which the crowd is seldom by chance, and a
machine that starts or a knock never is, without a pitch.

Unlike `voice`, which follows a conversation and must not miss its end, this one waits for hours and must not be wrong.
The constants come from a sweep over the very recordings that the tests and the bench use (one reader, one speaker of word
pairs, synthetic voices), in noise of other seeds. In noise that was not swept: at 10 dB 96 % of the reader's sentences were
found within 200 ms (90 % in a crowd). Hiss, fans and knocks woke nobody in 12 hours, machines that start did twice in 540
starts, and a crowd of a dozen people did four times an hour: it is speech.
"""

import collections
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import pcm

WINDOW: Final = 6
"""Frames (120 ms) whose scores are added."""

ENOUGH: Final = 2.0
"""The sum that makes a voice. 1.6 is woken by a crowd several times as often and finds one voice of a hundred more; 2.4
misses a tenth more of those that speak in front of a crowd."""

PITCHED: Final = 2
"""Frames that must have scored: a word may start without a pitch ("stop"), but no word is without."""

LOUD_WINDOW: Final = 4
LOUD: Final = 3
"""Frames among the newest `LOUD_WINDOW` that must stand out of the noise, with a pitch or without: a knock has two."""

PITCH: Final = 0.4
"""The autocorrelation, of 1, above which a frame begins to have a pitch. White, pink and fan noise reach 0.55 at most, and
that in one frame of hundreds."""

ABOVE_SPREADS: Final = 2.0
"""How far a frame must be above the noise below 4 kHz, in spreads of the noise, to score."""

MOST_SPREADS: Final = 3.0
"""How far beyond that counts: what is much louder than the noise is no more of a voice."""

HISSING_SPREADS: Final = 3.2
"""How far a frame must be above the noise beyond 4 kHz to stand out without a pitch, as a first "s" does."""

TONE: Final = 0.9
"""The share of a frame's power in one place of the spectrum from which it is a beep, or something that was struck and rings:
a voice has overtones."""

TONE_COSTS: Final = 1.0
"""What such a frame takes from the sum: the start of a beep is no beep yet."""

SPREAD_DB: Final = 0.7
"""The least spread of a noise: that of a window of hiss."""

DECAY_DB: Final = 10.0
"""A frame that far below one of the `DECAY_FRAMES` before is the ringing of a knock, and scores nothing."""

DECAY_FRAMES: Final = 4

QUIET: Final = 30
"""Frames (600 ms) without speech after which the next speech is an onset of its own."""

SPOKEN_COUNTS: Final = 0.25
"""How much a frame of speech counts for what is known of the noise, against one of noise alone."""

VOICED_COUNTS: Final = 0.125
"""... and one of what is nearly speech: who speaks and is not noticed shall not be taken for the room."""

NEARLY: Final = 0.5
"""The sum that is nearly speech. 0 makes every clear moment of a crowd an exception to the crowd, and is woken by it ten
times an hour; without this whoever was missed once was missed again."""

_SPAN: Final = 640
"""Samples looked at (40 ms): this frame and the one before, so that a low voice shows three periods."""
_SPLIT: Final = 4000 * _SPAN // pcm.UPLINK_HZ
_LOWEST: Final = 125 * _SPAN // pcm.UPLINK_HZ
_LAGS: Final = slice(20, 101)
"""Periods of 400 to 80 Hz, in samples at 8 kHz."""
_LEARN: Final = 0.01
"""Share of a frame in what is known of the noise: a time constant of 2 s."""
_FIRST: Final = 10
"""Frames (200 ms) that only teach the noise."""
_DARK: Final = 3e6
"""Power added to each band, as of noise at -80 dBFS: digital silence is no noise to stand out of."""

_RISE: Final = 3 * _SPAN // 4
_LEANING: Final = np.concatenate(
    [np.hanning(2 * _RISE + 1)[:_RISE], np.hanning(2 * (_SPAN - _RISE) + 1)[_SPAN - _RISE : -1]]
)
"""The window of the spectrum leans towards what is newest, which gains 10 ms on one that is even."""
_TAPER: Final = np.fft.irfft(np.abs(np.fft.rfft(_LEANING)[: _SPLIT + 1]) ** 2)
_UNTAPER: Final = (_TAPER[0] / _TAPER[_LAGS]) ** 0.75
"""Undoes most of what the window takes from long periods; all of it would make pitches out of noise."""


class _BandNoise:
    """Level and spread of the noise in one band, in dB: running means, in which nothing loud counts for much."""

    def __init__(self) -> None:
        self._level = 0.0
        self.spread = 1.0
        """The standard deviation of what is above the level: a soft hiss with voices in it has a long tail on that side."""

    def above(self, level: float) -> float:
        """How far `level` is above the noise, in spreads."""
        return (level - self._level) / self.spread

    def learn(self, level: float, share: float) -> None:
        """Let `level` count for this share."""
        if share == 1.0:
            self._level = level
        most = 3 * self.spread + 1
        off = min(max(level - self._level, -most), most)
        self._level += share * off
        above = 2 * max(0.0, off) ** 2
        variance = self.spread**2 + min(share, 0.1) * (above - self.spread**2)
        self.spread = max(SPREAD_DB, math.sqrt(variance))


class SpeechOnsetDetector:
    """Tells once when somebody begins to speak. Knows the noise after 200 ms, and follows it within some seconds.

    Not heard: whispering, and speech that the noise covers. Not told apart: the visitor and anybody else who speaks, a
    singer, a television that is louder than the room.
    """

    def __init__(self) -> None:
        """Start with an unknown room."""
        self._samples: npt.NDArray[np.float64] = np.zeros(_SPAN)
        self._low = _BandNoise()
        self._high = _BandNoise()
        self._known = 0
        self._levels: collections.deque[float] = collections.deque(maxlen=DECAY_FRAMES)
        self._scores: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._loud: collections.deque[bool] = collections.deque(maxlen=LOUD_WINDOW)
        self._quiet = QUIET

    def reset(self) -> None:
        """Forget the speech that was heard, so that the next is an onset; what is known of the noise stays."""
        self._levels.clear()
        self._scores.clear()
        self._loud.clear()
        self._samples[:] = 0.0
        self._quiet = QUIET

    def await_pause(self) -> None:
        """Take somebody for speaking: nothing is an onset until nobody has spoken for `QUIET` frames."""
        self._quiet = 0

    def feed(self, frame: bytes) -> bool:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return True once for each onset. Costs about 30 us.

        An onset is told 60 to 200 ms after it happened; the next can follow when nobody has spoken for `QUIET` frames, or
        after `reset`.
        """
        low, high, pitch = self._look(frame)
        self._known += 1
        if self._known > _FIRST:
            above = self._low.above(low)
            self._loud.append(above > ABOVE_SPREADS or self._high.above(high) > HISSING_SPREADS)
            self._scores.append(self._score(low, above, pitch))
        self._levels.append(low)
        spoken = self._quiet < QUIET
        learn = _LEARN
        if spoken:
            learn *= SPOKEN_COUNTS
        if sum(self._scores) > NEARLY:
            learn *= VOICED_COUNTS
        share = max(learn, 1 / self._known)
        self._low.learn(low, share)
        self._high.learn(high, share)
        if spoken:
            self._quiet = 0 if list(self._loud)[-2:] == [True, True] else self._quiet + 1
            return False
        if not self._speech():
            return False
        self._quiet = 0
        return True

    def _score(self, level: float, above: float, pitch: float) -> float:
        if above <= ABOVE_SPREADS:
            return 0.0
        if pitch < 0:
            return -TONE_COSTS
        if level <= max(self._levels, default=level) - DECAY_DB:
            return 0.0
        return min(above - ABOVE_SPREADS, MOST_SPREADS) * math.sqrt(pitch)

    def _speech(self) -> bool:
        pitched = sum(score > 0 for score in self._scores)
        return sum(self._loud) >= LOUD and pitched >= PITCHED and sum(self._scores) >= ENOUGH

    def _look(self, frame: bytes) -> tuple[float, float, float]:
        """Return the loudness below and above 4 kHz in dB, and how far the pitch is above `PITCH`; below 0 for a tone."""
        half = _SPAN // 2
        self._samples[:half] = self._samples[half:]
        self._samples[half:] = np.frombuffer(frame, "<i2")
        spectrum = np.fft.rfft(self._samples * _LEANING)
        power = spectrum.real**2 + spectrum.imag**2
        power[:_LOWEST] = 0.0
        # Half the spectrum: the autocorrelation comes at 8 kHz, which is enough for a pitch.
        correlation = np.fft.irfft(power[: _SPLIT + 1])
        pitch = float((correlation[_LAGS] * _UNTAPER).max()) / (float(correlation[0]) + 1.0)
        pitch = max(0.0, pitch - PITCH)
        low, high = float(power[:_SPLIT].sum()), float(power[_SPLIT:].sum())
        peak = int(power[:_SPLIT].argmax())
        if float(power[max(0, peak - 2) : peak + 3].sum()) > TONE * low:
            pitch = -1.0
        return 10 * math.log10(low + _DARK), 10 * math.log10(high + _DARK), pitch
