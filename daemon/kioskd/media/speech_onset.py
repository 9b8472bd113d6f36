"""Finds where a person may begin to speak, because a voice stands out of the noise of the room.

    frame ─► spectrum ─┬─► loudness below and above 4 kHz ─► how far out of the noise? ─┐
                       └─► autocorrelation ────────────────► how clear a pitch?        ─┴─► score of the last
                       frames

The distance of a frame from the noise counts in spreads of the noise itself. Hiss varies little, so a soft
voice stands out of it. A crowd varies much, so a voice must be louder. A frame that stands out scores by its
distance and its pitch together. A voice in front of a crowd is a little louder and clearer at once, for some
frames. A crowd seldom is so by chance. A starting machine or a knock never is, because it has no pitch.

A neural network confirms what this detector finds; see `confirmed_onset`. The constants come from a sweep
over the recordings of the tests and the bench, in noise of other seeds. The recordings are of one reader, one
speaker of word pairs, and synthetic voices. Other people's noises woke the kiosk without the network: music
134 times an hour, an exercise bike and a kitchen twice in 20 s.
"""

import collections
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import pcm
from kioskd.media.level_gate import SAMPLE, LevelGate
from kioskd.media.noise_level import NoiseLevel

WINDOW: Final = 6
"""Frames (120 ms) whose scores are added."""

ENOUGH: Final = 2.0
"""Sum of scores that makes a voice. With 1.6 a crowd wakes the kiosk several times as often, and one voice in
a hundred more is found. With 2.4 a tenth more of the voices in front of a crowd are missed."""

PITCHED: Final = 2
"""Frames that must have scored: a word may start without a pitch ("stop"), but no word lacks one."""

LOUD_WINDOW: Final = 4
LOUD: Final = 3
"""Frames among the newest `LOUD_WINDOW` that must stand out of the noise, pitched or not: a knock has two."""

PITCH: Final = 0.4
"""Autocorrelation, at most 1, above which a frame begins to have a pitch. White, pink and fan noise reach
0.55 at most, in one frame of hundreds."""

ABOVE_SPREADS: Final = 2.0
"""Distance from the noise below 4 kHz, in spreads of the noise, above which a frame scores."""

MOST_SPREADS: Final = 3.0
"""Limit of the distance beyond `ABOVE_SPREADS`: a much louder sound is no more of a voice."""

HISSING_SPREADS: Final = 3.2
"""Distance from the noise above 4 kHz, in spreads, at which a frame stands out without a pitch (an "s")."""

TONE: Final = 0.9
"""Share of power in one place of the spectrum above which a frame is a beep or ring: it lacks overtones."""

TONE_COSTS: Final = 1.0
"""Deduction from the sum for a frame with a tone, because the start of a beep scores like a voice."""

SPREAD_DB: Final = 0.7
"""The least spread of a noise: that of a window of hiss."""

DECAY_DB: Final = 10.0
"""A frame this far below one of the last `DECAY_FRAMES` is the ringing of a knock, and scores nothing."""

DECAY_FRAMES: Final = 4

QUIET: Final = 30
"""Frames (600 ms) without speech after which the next speech is a new onset."""

SPOKEN_COUNTS: Final = 0.25
"""Weight of a frame of speech when the noise is learnt, relative to a frame of noise."""

VOICED_COUNTS: Final = 0.125
"""Weight of a frame of near speech when the noise is learnt: an unnoticed speaker is no noise."""

NEARLY: Final = 0.5
"""Sum of scores that counts as near speech. With 0, the noise of a crowd leaves out the crowd's clear
moments. Then the crowd wakes the kiosk ten times an hour. Without this bound, a speaker who was missed once
was missed again."""

_SPAN: Final = 640
"""Samples in the spectrum (40 ms): this frame and the one before, so that a low voice shows three periods."""
_SPLIT: Final = 4000 * _SPAN // pcm.UPLINK_HZ
_LOWEST: Final = 125 * _SPAN // pcm.UPLINK_HZ
_LAGS: Final = slice(20, 101)
"""Periods of 400 to 80 Hz, in samples at 8 kHz."""
_LEARN: Final = 0.01
"""Weight of a frame when the detector learns the noise: a time constant of 2 s."""
_FIRST: Final = 10
"""Frames (200 ms) that only teach the noise."""
_DARK: Final = 3e6
"""Power added to each band, like noise at -80 dBFS, so that sound does not stand out of digital silence."""

_RISE: Final = 3 * _SPAN // 4
_LEANING: Final = np.concatenate(
    [np.hanning(2 * _RISE + 1)[:_RISE], np.hanning(2 * (_SPAN - _RISE) + 1)[_SPAN - _RISE : -1]]
)
"""Window of the spectrum, which favours the newest samples and so gains 10 ms on an even window."""
_TAPER: Final = np.fft.irfft(np.abs(np.fft.rfft(_LEANING)[: _SPLIT + 1]) ** 2)
_UNTAPER: Final = (_TAPER[0] / _TAPER[_LAGS]) ** 0.75
"""Factor for each lag: the window weakens long pitch periods.

The exponent is below 1, as a full correction would find pitches in noise.
"""


class SpeechOnsetDetector:
    """Detector that reports once when a person begins to speak.

    It knows the noise after 200 ms, and follows it within some seconds. It cannot hear whispering, or speech
    that the noise covers. It cannot tell the visitor from any other speaker, a singer, or a television that
    is louder than the room.
    """

    def __init__(self) -> None:
        """Start with an unknown room."""
        self.gate = LevelGate()
        """Tells which frames the detector looks at. `feed` feeds it."""
        self._before = bytes(pcm.FRAME_BYTES)
        """The frame before the newest one."""
        self._spectrum = _Spectrum()
        self._low = NoiseLevel(SPREAD_DB)
        self._high = NoiseLevel(SPREAD_DB)
        self._known = 0
        self._levels: collections.deque[float] = collections.deque(maxlen=DECAY_FRAMES)
        self._scores: collections.deque[float] = collections.deque(maxlen=WINDOW)
        self._loud: collections.deque[bool] = collections.deque(maxlen=LOUD_WINDOW)
        self._quiet = QUIET

    def reset(self) -> None:
        """Forget the speech that was heard, so that the next speech is an onset; keep the noise."""
        self._levels.clear()
        self._scores.clear()
        self._loud.clear()
        self._before = bytes(pcm.FRAME_BYTES)
        self._quiet = QUIET

    def await_pause(self) -> None:
        """Assume that a person is speaking: the next onset comes after `QUIET` frames without speech."""
        self._quiet = 0

    def feed(self, frame: bytes) -> bool:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return True once for each onset.

        Costs about 20 us, and 5 us in steady noise. The result is True 60 to 200 ms after the onset. The next
        onset can follow after `QUIET` frames without speech, or after `reset`.
        """
        before, self._before = self._before, frame
        self._known += 1
        spoken = self._quiet < QUIET
        if self.gate.feed(frame):
            self._look(before + frame, spoken)
        else:
            self._scores.append(0.0)
            self._loud.append(False)
        if spoken:
            self._quiet = 0 if list(self._loud)[-2:] == [True, True] else self._quiet + 1
            return False
        if not self._speech():
            return False
        self._quiet = 0
        return True

    def _look(self, sound: bytes, spoken: bool) -> None:
        """Score the newest frame of `sound`, and learn the noise from it."""
        low, high, pitch = self._spectrum.look(sound)
        if self._known > _FIRST:
            above = self._low.above(low)
            self._loud.append(above > ABOVE_SPREADS or self._high.above(high) > HISSING_SPREADS)
            self._scores.append(self._score(low, above, pitch))
        self._levels.append(low)
        # While the gate is shut, this frame stands for those that were not looked at.
        learn = _LEARN if self.gate.open else _LEARN * SAMPLE
        if spoken:
            learn *= SPOKEN_COUNTS
        if sum(self._scores) > NEARLY:
            learn *= VOICED_COUNTS
        share = max(learn, 1 / self._known)
        self._low.learn(low, share)
        self._high.learn(high, share)

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


class _Spectrum:
    """Loudness and pitch of two frames, computed in arrays that are made once."""

    def __init__(self) -> None:
        self._samples: npt.NDArray[np.float64] = np.zeros(_SPAN)
        self._power: npt.NDArray[np.float64] = np.zeros(_SPAN // 2 + 1)
        self._square: npt.NDArray[np.float64] = np.zeros(_SPAN // 2 + 1)

    def look(self, sound: bytes) -> tuple[float, float, float]:
        """Return the loudness in dB below and above 4 kHz, and the pitch minus `PITCH`, or -1 for a tone."""
        power = self._power
        np.multiply(np.frombuffer(sound, "<i2"), _LEANING, out=self._samples)
        spectrum = np.fft.rfft(self._samples)
        np.multiply(spectrum.real, spectrum.real, out=power)
        np.multiply(spectrum.imag, spectrum.imag, out=self._square)
        power += self._square
        power[:_LOWEST] = 0.0
        # Half the spectrum gives the autocorrelation at 8 kHz, which is enough for a pitch.
        correlation = np.fft.irfft(power[: _SPLIT + 1])
        pitch = float((correlation[_LAGS] * _UNTAPER).max()) / (float(correlation[0]) + 1.0)
        pitch = max(0.0, pitch - PITCH)
        low, high = float(power[:_SPLIT].sum()), float(power[_SPLIT:].sum())
        peak = int(power[:_SPLIT].argmax())
        if float(power[max(0, peak - 2) : peak + 3].sum()) > TONE * low:
            pitch = -1.0
        return 10 * math.log10(low + _DARK), 10 * math.log10(high + _DARK), pitch
