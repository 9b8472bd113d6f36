"""Detects when a person begins and stops speaking, from 20 ms frames. It counts frames and knows no seconds
or events.

    frame ─┬─► webrtcvad: like a voice? ───────────┬─► enough frames of both in a window? ─► began, ended
           └─► above the noise of the last 4 s? ───┘

webrtcvad takes a loud fan for a voice, for ever. So a voice must also stand out of the noise. The noise is
the softest tenth of the newest frames, because even the longest sentence has gaps. Until half a second is
known, webrtcvad decides alone, since a first word may fill that time. A noise that begins counts as a voice
for up to 5 s.

Measured with a reader and a speaker of word pairs at -20 dBFS. Hiss, pink and fan noise were 20, 10 and 5 dB
softer. Begun within 300 ms: 99, 98 and 97 % (within 200 ms: 78, 89 and 91 %). Ended at most 200 ms after the
pause: 100, 96 and 97 %. In 3 minutes of each noise at -30 and at -20 dBFS nothing began after the first 5 s.
A crowd of a dozen people is speech.
"""

import collections
import enum
import math
from typing import Final

import numpy as np
import numpy.typing as npt
import webrtcvad

from kioskd.media import pcm

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

PAUSE_MS: Final = 600
"""Window for an end in ms: pauses between words reach 400 ms in read speech. Slow speakers, and people who
search for a word, need 1500."""

END_SHARE: Final = 0.14
"""Share of voiced frames in the pause that still counts as silence: a click or a breath is no speech."""

END_VOICED: Final = 7
"""The most voiced frames in a pause: a short word in a long pause is speech, from `BEGIN_VOICED` on."""

LONGEST: Final = 3000
"""Frames (60 s) after which a voice ends without a pause: a television has none, and the visitor waits."""

NOISE_FRAMES: Final = 200
"""Frames (4 s) that determine the noise: 3 s of quick speech hold few gaps, 5 s learn a fan too late."""

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

RINGING_DB: Final = 20.0
"""A frame this far below the loudest of a voice is no word any more, but the ringing room."""

RINGING: Final = 10
"""Frames (200 ms) for which a room rings at most, 45 dB above the noise. A voice lasts that much longer than
its last word and the pause."""

_RENEW: Final = 10
"""Frames (200 ms) between two computations of the noise."""
_SPAN: Final = 640
"""Samples in the spectrum (40 ms): in a single frame, the hum of a fan beats by some dB."""
_BAND: Final = slice(250 * _SPAN // pcm.UPLINK_HZ, 4000 * _SPAN // pcm.UPLINK_HZ)
"""Band in which a voice is louder than most noises."""
_WINDOW: Final = np.hanning(_SPAN + 2)[1:-1]
_DARK: Final = 3e6
"""Power added to each frame, like noise at -80 dBFS, so that sound does not stand out of digital silence."""


class VoiceChange(enum.Enum):
    """Change of the detector's state."""

    BEGAN = "began"
    ENDED = "ended"


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

    def below(self, frame: bytes) -> bool:
        """Take the next frame; return whether it stands out of the noise, or no noise is known yet."""
        half = _SPAN // 2
        self._samples[:half] = self._samples[half:]
        self._samples[half:] = np.frombuffer(frame, "<i2")
        spectrum = np.fft.rfft(self._samples * _WINDOW)[_BAND]
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


class VoiceDetector:
    """Detector that counts voiced frames in a window, so no single frame begins or ends a voice."""

    def __init__(self, aggressiveness: int = AGGRESSIVENESS, pause_ms: int = PAUSE_MS) -> None:
        """Start in silence.

        Args:
            aggressiveness: 0 (takes much for speech) to 3 (takes little).
            pause_ms: silence that ends a voice; at least 200, the window of a beginning.
        """
        self._aggressiveness = aggressiveness
        self._pause_frames = max(pause_ms // pcm.FRAME_MS, BEGIN_WINDOW)
        self._pause_voiced = min(int(END_SHARE * self._pause_frames), END_VOICED)
        self._noise = _RoomNoise()
        self._like_voice: collections.deque[bool] = collections.deque(maxlen=BEGIN_WINDOW)
        self._above: collections.deque[bool] = collections.deque(maxlen=BEGIN_WINDOW)
        self._voiced: collections.deque[bool] = collections.deque(maxlen=self._pause_frames)
        self.reset()

    @property
    def speaking(self) -> bool:
        """Whether a voice has begun and not ended."""
        return self._speaking

    @property
    def quiet_frames(self) -> int:
        """Number of frames since the last word of the present voice.

        In a room that rings for 0.3 s it is mostly right to 3 frames. In a room that rings for 0.6 s it is
        100 ms too few.
        """
        # After a slammed door no later word is loud enough to count, so limit the number. A longer silence
        # would have ended the voice.
        return min(self._quiet, self._pause_frames + RINGING)

    def reset(self) -> None:
        """Forget all speech: silence from now on. The noise of the room stays known."""
        # The library keeps its noise estimate and hangover, and cannot clear them: make a new one.
        self._vad = webrtcvad.Vad(self._aggressiveness)
        self._noise.age()
        self._like_voice.clear()
        self._above.clear()
        self._voiced.clear()
        self._speaking = False
        self._spoken = 0
        self._quiet = 0
        self._loudest = -math.inf

    def begin(self) -> None:
        """Assume that a voice has begun, as the caller noticed; its end comes at least `pause_ms` later."""
        self._voiced.clear()
        self._speaking = True
        self._spoken = 0
        self._quiet = 0
        self._loudest = -math.inf

    def feed(self, frame: bytes) -> VoiceChange | None:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return the change, if any. Costs about 10 us.

        A beginning is returned at least `BEGIN_VOICED` frames late, an end about `pause_ms` late, or at
        `LONGEST`. A voice that goes on after that begins again with the next frame.
        """
        like_voice = self._vad.is_speech(frame, pcm.UPLINK_HZ)
        self._like_voice.append(like_voice)
        self._above.append(self._noise.below(frame))
        self._voiced.append(like_voice and any(list(self._above)[-ABOVE_COUNTS:]))
        if self._speaking:
            self._spoken += 1
            # Both must agree: each alone holds on for 100 ms after a word.
            word = like_voice and self._above[-1] and self._noise.level > self._loudest - RINGING_DB
            self._loudest = max(self._loudest, self._noise.level)
            self._quiet = 0 if word else self._quiet + 1
            if self._pausing() or self._spoken == LONGEST:
                self._speaking = False
                return VoiceChange.ENDED
        elif sum(self._like_voice) >= BEGIN_VOICED and sum(self._above) >= BEGIN_ABOVE:
            self.begin()
            return VoiceChange.BEGAN
        return None

    def _pausing(self) -> bool:
        return len(self._voiced) == self._pause_frames and sum(self._voiced) <= self._pause_voiced
