"""Hears that somebody begins to speak, in whatever noise the room has: the ear of `wake: voice`.

    frame ─► spectrum ─┬─► loudness below and above 4 kHz ─► stands out of the noise?  ─┐
                       └─► autocorrelation ────────────────► has a pitch?             ─┴─► share of the last frames

A frame counts if it is louder than the noise by several times what the noise itself wavers: hiss wavers little, so a soft
voice stands out of it; a crowd wavers much, and has to be topped. Some of the frames that count need the pitch of a human
voice as well, which no fan that starts and no clap has. What dies away like a knock does not count either.

Unlike `voice`, which follows a conversation and must not miss its end, this one waits for hours and must not be wrong.
"""

import collections
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from kioskd.media import pcm

WINDOW: Final = 5
"""Frames (100 ms) that are looked at for an onset."""

LOUD: Final = 4
"""Frames among them that must stand out of the noise: a knock has two or three."""

LOUD_RISING: Final = 3
"""... while the newest is about the loudest (by `RISING_DB`): no knock grows for so long."""

RISING_DB: Final = 3.0

PITCH: Final = 0.4
"""The autocorrelation, of 1, above which a frame begins to have a pitch. White, pink and fan noise reach 0.5 at most."""

PITCHED: Final = 0.07
"""How far above `PITCH` those frames must be, all together: one clear vowel, or two that only begin. A word may start
without a pitch ("stop"), but none is without."""

PITCHED_CLEARLY: Final = 0.6
"""... to be a voice beyond doubt, as two frames in mid-vowel are."""

LOUD_CLEARLY: Final = 2
"""Frames that are enough then, while the newest is about the loudest."""

TONE: Final = 0.9
"""The share of a frame's power in one place of the spectrum from which it is a beep, or something that was struck and rings:
a voice has overtones."""

TONE_COSTS: Final = 0.3
"""What such a frame takes from the others' sum: the start of a beep is no beep yet."""

ABOVE_SPREADS: Final = 3.3
"""How far a frame must be above the noise, in spreads of the noise."""

ABOVE_DB: Final = 2.5
"""... and in dB at least."""

SPREAD_DB: Final = 0.7
"""The least spread of a noise: that of a window of hiss."""

DECAY_DB: Final = 10.0
"""A frame that far below the loudest of the window is the ringing of a knock."""

QUIET: Final = 30
"""Frames (600 ms) without speech after which the next speech is an onset of its own."""

LEAD: Final = 6
"""Frames (120 ms) before the first that stood out: a first consonant can be softer than the noise."""

GAP: Final = 4
"""Frames that may be missing between the first sound of a word and the rest of it: the closure of a "t"."""

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
_WINDOW: Final = np.concatenate(
    [np.hanning(2 * _RISE + 1)[:_RISE], np.hanning(2 * (_SPAN - _RISE) + 1)[_SPAN - _RISE : -1]]
)
"""Leans towards what is newest, which gains 10 ms on a window that is even."""
_TAPER: Final = np.fft.irfft(np.abs(np.fft.rfft(_WINDOW)[: _SPLIT + 1]) ** 2)
_UNTAPER: Final = (_TAPER[0] / _TAPER[_LAGS]) ** 0.75
"""Undoes most of what the window takes from long periods; all of it would make pitches out of noise."""


class _Noise:
    """Level and spread of the noise in one band, in dB: running means, in which nothing loud counts for much."""

    def __init__(self) -> None:
        self._level = 0.0
        self._spread = 1.0
        """The standard deviation of what is above the level: a soft hiss with voices in it has a long tail on that side."""

    def stands_out(self, level: float) -> bool:
        """Whether `level` is none that the noise reaches by itself."""
        return level - self._level > max(ABOVE_DB, ABOVE_SPREADS * self._spread)

    def learn(self, level: float, share: float) -> None:
        """Let `level` count for this share."""
        if share == 1.0:
            self._level = level
        most = 3 * self._spread + 1
        off = min(max(level - self._level, -most), most)
        self._level += share * off
        above = 2 * max(0.0, off) ** 2
        variance = self._spread**2 + min(share, 0.1) * (above - self._spread**2)
        self._spread = max(SPREAD_DB, math.sqrt(variance))


class OnsetDetector:
    """Tells once when somebody begins to speak. Knows the noise after 200 ms, and follows it within some seconds.

    Not heard: whispering, and speech that the noise covers. Not told apart: the visitor and anybody else who speaks, a
    singer, a television that is louder than the room.
    """

    def __init__(self) -> None:
        """Start with an unknown room."""
        self._samples: npt.NDArray[np.float64] = np.zeros(_SPAN)
        self._low = _Noise()
        self._high = _Noise()
        self._known = 0
        self._loud: collections.deque[bool] = collections.deque(maxlen=64)
        self._recent: collections.deque[tuple[bool, float, float]] = collections.deque(maxlen=WINDOW)
        self._quiet = QUIET
        self._began_frames_ago = 0

    @property
    def began_frames_ago(self) -> int:
        """How many frames before the end of the newest one the speech began that `feed` told of last, with a margin.

        So many frames of pre-roll hold the whole first word. 0 before any onset.
        """
        return self._began_frames_ago

    def reset(self) -> None:
        """Forget the speech that was heard, so that the next is an onset; what is known of the noise stays."""
        self._loud.clear()
        self._recent.clear()
        self._samples[:] = 0.0
        self._quiet = QUIET
        self._began_frames_ago = 0

    def feed(self, frame: bytes) -> bool:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return True once for each onset. Costs about 30 us.

        An onset is told 80 to 200 ms after it happened (see `began_frames_ago`); the next can follow when nobody has
        spoken for `QUIET` frames, or after `reset`.
        """
        low, high, voiced = self._look(frame)
        loud = self._low.stands_out(low)
        if not loud:
            voiced = 0.0  # it was the noise's own pitch
            loud = self._high.stands_out(high)
        level = max(low, high)
        self._known += 1
        share = max(_LEARN / 4 if self._quiet < QUIET else _LEARN, 1 / self._known)
        self._low.learn(low, share)
        self._high.learn(high, share)
        if self._known <= _FIRST:
            return False
        self._began_frames_ago += self._began_frames_ago > 0
        self._loud.append(loud)
        self._recent.append((loud, voiced, level))
        spoken = self._quiet < QUIET
        if spoken:
            self._quiet = 0 if loud and self._loud[-2] else self._quiet + 1
        elif self._speech():
            self._quiet = 0
            self._began_frames_ago = self._walk_back()
            return True
        return False

    def _speech(self) -> bool:
        newest = self._recent[-1][2]
        loudest = max(level for _, _, level in self._recent)
        shares = [voiced for loud, voiced, level in self._recent if loud and level > loudest - DECAY_DB]
        enough = LOUD
        if newest > loudest - RISING_DB:
            enough = LOUD_CLEARLY if sum(shares) >= PITCHED_CLEARLY else LOUD_RISING
        return len(shares) >= enough and sum(shares) >= PITCHED

    def _walk_back(self) -> int:
        first = 0
        for ago, loud in enumerate(reversed(self._loud), 1):
            if loud:
                first = ago
            elif ago - first > GAP:
                break
        return first + LEAD

    def _look(self, frame: bytes) -> tuple[float, float, float]:
        """Return the loudness below and above 4 kHz in dB, and how far the autocorrelation is above `PITCH`."""
        half = _SPAN // 2
        self._samples[:half] = self._samples[half:]
        self._samples[half:] = np.frombuffer(frame, "<i2")
        spectrum = np.fft.rfft(self._samples * _WINDOW)
        power = spectrum.real**2 + spectrum.imag**2
        power[:_LOWEST] = 0.0
        # Half the spectrum: the autocorrelation comes at 8 kHz, which is enough for a pitch.
        correlation = np.fft.irfft(power[: _SPLIT + 1])
        pitch = float((correlation[_LAGS] * _UNTAPER).max()) / (float(correlation[0]) + 1.0)
        voiced = max(0.0, pitch - PITCH)
        low, high = float(power[:_SPLIT].sum()), float(power[_SPLIT:].sum())
        peak = int(power[:_SPLIT].argmax())
        if float(power[max(0, peak - 2) : peak + 3].sum()) > TONE * low:
            voiced = -TONE_COSTS
        return 10 * math.log10(low + _DARK), 10 * math.log10(high + _DARK), voiced
