"""Judges by its spectrum whether a frame is speech: the judge that every kiosk has, and that costs little.

    frame ─► level gate ─┬─► webrtcvad: like a voice? ──────────┬─► speech
                         └─► above the noise of the last 4 s? ──┘

webrtcvad takes a loud fan for a voice, for ever. So a voice must also stand out of the noise. The noise is
the softest tenth of the newest frames, because even the longest sentence has gaps. Until half a second is
known, webrtcvad decides alone, since a first word may fill that time. A noise that begins counts as a voice
for up to 5 s.
"""

import collections
import math
from typing import Final

import numpy as np
import numpy.typing as npt
import webrtcvad

from kioskd.media import pcm
from kioskd.media.level_gate import LevelGate

AGGRESSIVENESS: Final = 2
"""webrtcvad's second strictest mode. White noise 30 dB below full scale is silence to it (modes 0 and 1 call
it speech). Speech at a twentieth of its level still comes as one utterance (mode 3 cuts it in two)."""

BEGIN_WINDOW: Final = 10
"""Frames (200 ms) that decide on a beginning: longer than a knock or a click, shorter than a "yes"."""

BEGIN_VOICED: Final = 8
"""Voiced frames within `BEGIN_WINDOW` that make a voice. A knock on the table gives six or seven (webrtcvad
holds on for four). A soft word may lack two. With one less, recorded speech began 11 ms sooner, and knocks
counted as voices."""

BEGIN_ABOVE: Final = 3
"""Frames within `BEGIN_WINDOW` that must stand out of the noise. In steady noise two did several times a
minute. With more, speech begins later."""

ABOVE_COUNTS: Final = 5
"""Frames (100 ms) for which a frame that stood out lets webrtcvad decide alone: the soft end of a word in
hiss. With 2, hiss at 5 dB ended one sentence of ten."""

NOISE_FRAMES: Final = 200
"""Frames that determine the noise: 3 s of quick speech hold few gaps, 5 s learn a fan too late.

They last 4 s while the gate is open. While it is shut, the noise is steady, and they last longer."""

NOISE_KNOWN: Final = 25
"""Frames (500 ms) after which the noise is known."""

NOISE_KEPT: Final = 50
"""Frames (1 s) of noise that `reset` keeps. With half of them, pink noise began a voice after one reset of
ten. With twice as many, a voice softer than the earlier noise takes 100 ms longer."""

SPREADS: Final = 5.0
"""Factor of the distance between the softest tenth and third; a frame stands out that far above the tenth.
`ABOVE_DB` limits it. White noise varies half as much as a fan, and a soft word in it needs the difference."""

ABOVE_DB: Final = (1.5, 3.0)
"""Least and greatest distance in dB at which frames stand out: the softest frames of speech are far apart."""

HOLDS: Final = 4
"""Frames for which webrtcvad holds on after a word. It notices the next word at once."""

RINGING_DB: Final = 20.0
"""A frame this far below the loudest of a voice is no word any more, but the ringing room."""

_RENEW: Final = 10
"""Frames (200 ms) between two computations of the noise."""
_SPAN: Final = 640
"""Samples in the spectrum (40 ms): in a single frame, the hum of a fan beats by some dB."""
_BAND: Final = slice(250 * _SPAN // pcm.UPLINK_HZ, 4000 * _SPAN // pcm.UPLINK_HZ)
"""Band in which a voice is louder than most noises."""
_WINDOW: Final = np.hanning(_SPAN + 2)[1:-1]
_DARK: Final = 3e6
"""Power added to each frame, like noise at -80 dBFS, so that sound does not stand out of digital silence."""
_SILENCE: Final = bytes(pcm.FRAME_BYTES)


class _RoomNoise:
    """Loudness of the room while no one speaks."""

    def __init__(self) -> None:
        self._samples: npt.NDArray[np.float64] = np.zeros(_SPAN)
        self._levels: collections.deque[float] = collections.deque(maxlen=NOISE_FRAMES)
        self._unseen = 0
        self._loudest = -math.inf
        """Upper bound of the noise in dB."""
        self.level = -math.inf
        """Level of the newest frame in dB."""

    def below(self, sound: bytes) -> bool:
        """Take two frames; return whether they stand out of the noise, or no noise is known yet."""
        np.multiply(np.frombuffer(sound, "<i2"), _WINDOW, out=self._samples)
        spectrum = np.fft.rfft(self._samples)[_BAND]
        self.level = level = 10 * math.log10(float(np.vdot(spectrum, spectrum).real) + _DARK)
        self._levels.append(level)
        self._unseen = (self._unseen + 1) % _RENEW
        if not self._unseen and len(self._levels) >= NOISE_KNOWN:
            self._learn()
        return level > self._loudest

    def age(self) -> None:
        """Keep few of the levels: the room may be softer at the next sound, and new frames should count."""
        while len(self._levels) > NOISE_KEPT:
            self._levels.popleft()

    def _learn(self) -> None:
        levels = sorted(self._levels)
        tenth, third = levels[len(levels) // 10], levels[len(levels) * 7 // 20]
        least, most = ABOVE_DB
        self._loudest = tenth + min(max(least, SPREADS * (third - tenth)), most)


class SpectralJudge:
    """Judge of one stream of frames; see `voice_activity.SpeechJudge`."""

    held_frames: Final = HOLDS
    """See `SpeechJudge`."""

    def __init__(self, aggressiveness: int = AGGRESSIVENESS) -> None:
        """Start in an unknown room. `aggressiveness`: 0 (takes much for speech) to 3 (takes little)."""
        self._aggressiveness = aggressiveness
        self._gate = LevelGate()
        self._noise = _RoomNoise()
        self._before = _SILENCE
        self._like_voice: collections.deque[bool] = collections.deque(maxlen=BEGIN_WINDOW)
        self._above: collections.deque[bool] = collections.deque(maxlen=BEGIN_WINDOW)
        self.late_frames = 0
        """See `SpeechJudge`."""
        self.reset()

    @property
    def begins(self) -> bool:
        """See `SpeechJudge`."""
        return sum(self._like_voice) >= BEGIN_VOICED and sum(self._above) >= BEGIN_ABOVE

    @property
    def speech(self) -> bool:
        """See `SpeechJudge`."""
        return self._like_voice[-1] and any(list(self._above)[-ABOVE_COUNTS:])

    @property
    def word(self) -> bool:
        """See `SpeechJudge`. Both must agree: each alone holds on for 100 ms after a word."""
        return self._word

    def reset(self) -> None:
        """See `SpeechJudge`."""
        # The library keeps its noise estimate and hangover, and cannot clear them: make a new one.
        self._vad = webrtcvad.Vad(self._aggressiveness)
        self._noise.age()
        self._like_voice.clear()
        self._above.clear()
        self.begin()

    def begin(self) -> None:
        """See `SpeechJudge`."""
        self._loudest = -math.inf
        self._word = False

    def feed(self, frame: bytes) -> None:
        """See `SpeechJudge`. Costs about 10 us, and 5 us in steady noise."""
        before, self._before = self._before, frame
        like_voice = above = self._word = False
        if self._gate.feed(frame):
            like_voice = self._vad.is_speech(frame, pcm.UPLINK_HZ)
            above = self._noise.below(before + frame)
            level = self._noise.level
            self._word = like_voice and above and level > self._loudest - RINGING_DB
            self._loudest = max(self._loudest, level)
        self._like_voice.append(like_voice)
        self._above.append(above)
