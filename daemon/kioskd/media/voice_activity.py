"""Tells when somebody begins and stops speaking, from 20 ms frames. Counts frames; knows no seconds and no events.

    frame ─┬─► webrtcvad: like a voice? ───────────┬─► enough frames of both in a window? ─► began, ended
           └─► above the noise of the last 4 s? ───┘

A loud fan is a voice to webrtcvad, for ever. So what it takes for one must stand out of the noise, too: that is what the
softest tenth of the newest frames was, for in the longest sentence there are gaps. Until half a second is known, which a
first word may fill, webrtcvad decides alone; a noise that sets in is a voice for up to 5 s.

Measured with a reader and a speaker of word pairs at -20 dBFS, in hiss, pink and fan noise 20, 10 and 5 dB softer: 99, 98
and 97 % begun within 300 ms (78, 89 and 91 % within 200), and 100, 96 and 97 % ended at most 200 ms after the pause. In 3
minutes of each noise at -30 and at -20 dBFS nothing began after the first 5 s. A crowd of a dozen is speech.
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
"""webrtcvad's second strictest mode. White noise 30 dB below full scale is silence to it (modes 0 and 1 call it speech);
speech at a twentieth of its level still comes as one utterance (mode 3 cuts it in two)."""

BEGIN_WINDOW: Final = 10
"""Frames (200 ms) looked at for a beginning: longer than a knock or a click, shorter than a spoken "yes"."""

BEGIN_VOICED: Final = 8
"""Voiced frames among them that make a voice: more than the six or seven of a knock on the table (webrtcvad holds on
for four); two may be missing in a soft word. One less gained 11 ms on recorded speech, and fell for knocks."""

BEGIN_ABOVE: Final = 3
"""... of which so many stand out of the noise. In steady noise two did several times a minute; more come later in speech."""

ABOVE_COUNTS: Final = 5
"""Frames (100 ms) in which one that stood out makes what webrtcvad hears a voice: the soft end of a word in hiss. With 2,
hiss at 5 dB ended one sentence of ten."""

PAUSE_MS: Final = 600
"""What is looked at for an end: pauses between words reach 400 ms in read speech. Slow speakers, and whoever looks for a
word, want 1500."""

END_SHARE: Final = 0.14
"""Share of voiced frames in it that still count as silence: a click, or one breath, keeps nobody speaking."""

END_VOICED: Final = 7
"""... and how many at most: one short word in a long pause is speech, and begins at `BEGIN_VOICED`."""

LONGEST: Final = 3000
"""Frames (60 s) after which a voice has ended, pause or not: a television takes no breath, and somebody waits for an answer."""

NOISE_FRAMES: Final = 200
"""Frames (4 s) that tell the noise: with 3 s the gaps of a quick speaker are few, with 5 a fan lasts longer."""

NOISE_KNOWN: Final = 25
"""Frames (500 ms) from which it is known."""

NOISE_KEPT: Final = 50
"""Frames (1 s) that are kept over a `reset`. With half of them pink noise began a voice after one reset of ten; with twice
as many, a voice that is softer than the noise was takes 100 ms longer."""

SPREADS: Final = 5.0
"""How far a frame must be above the softest tenth to stand out: as many times as the softest third is, within `ABOVE_DB`.
White noise wavers half as much as a fan; a soft word in it needs the difference."""

ABOVE_DB: Final = (1.5, 3.0)
"""... at least and at most: in speech the softest frames are gaps, and far apart."""

RINGING_DB: Final = 20.0
"""What is so much softer than the loudest of a voice is no word of it any more, but the room that rings."""

RINGING: Final = 10
"""Frames (200 ms) that it rings for at most, 45 dB above the noise: so long is a voice without a word taken to go on."""

_RENEW: Final = 10
"""Frames (200 ms) between two looks at the noise."""
_SPAN: Final = 640
"""Samples looked at (40 ms): in one frame alone, the hum of a fan beats by some dB."""
_BAND: Final = slice(250 * _SPAN // pcm.UPLINK_HZ, 4000 * _SPAN // pcm.UPLINK_HZ)
"""Where a voice is louder than most noises."""
_WINDOW: Final = np.hanning(_SPAN + 2)[1:-1]
_DARK: Final = 3e6
"""Power added to each frame, as of noise at -80 dBFS: digital silence is no noise to stand out of."""


class VoiceChange(enum.Enum):
    """What changed."""

    BEGAN = "began"
    ENDED = "ended"


class _RoomNoise:
    """How loud the room is when nobody speaks."""

    def __init__(self) -> None:
        self._samples: npt.NDArray[np.float64] = np.zeros(_SPAN)
        self._levels: collections.deque[float] = collections.deque(maxlen=NOISE_FRAMES)
        self._unseen = 0
        self._loudest = -math.inf
        """What the noise is not louder than, in dB."""
        self.level = -math.inf
        """The newest frame's, in dB."""

    def below(self, frame: bytes) -> bool:
        """Take the next frame; return whether it stands out of the noise, or none is known."""
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
        """Keep little of what is known: the room may be softer when it is heard again, and new frames shall count."""
        while len(self._levels) > NOISE_KEPT:
            self._levels.popleft()

    def _learn(self) -> None:
        levels = sorted(self._levels)
        tenth, third = levels[len(levels) // 10], levels[len(levels) * 7 // 20]
        least, most = ABOVE_DB
        self._loudest = tenth + min(max(least, SPREADS * (third - tenth)), most)


class VoiceDetector:
    """Decides by the share of voiced frames in a window, so that no single frame begins or ends a voice."""

    def __init__(self, aggressiveness: int = AGGRESSIVENESS, pause_ms: int = PAUSE_MS) -> None:
        """Start in silence.

        Args:
            aggressiveness: 0 (takes much for speech) to 3 (takes little).
            pause_ms: how long somebody must be silent to have ended; 200 at least, which is the window of a beginning.
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
        """How many frames have passed since the last word of the voice that has begun.

        Mostly right to 3 frames in a room that rings for 0.3 s, and 100 ms too few in one that rings for 0.6 s.
        """
        # A door that slams is louder than any word; but who is silent for longer has been told to have ended.
        return min(self._quiet, self._pause_frames + RINGING)

    def reset(self) -> None:
        """Forget all that was said: silence from here. What is known of the noise stays: the room is the same."""
        # A new detector: the library keeps its noise estimate and hangover, and offers no way to clear them.
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
        """Take a voice for begun that somebody else has noticed: its end will be told, `pause_ms` from now at the soonest."""
        self._voiced.clear()
        self._speaking = True
        self._spoken = 0
        self._quiet = 0
        self._loudest = -math.inf

    def feed(self, frame: bytes) -> VoiceChange | None:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return what changed with it. Costs about 10 us.

        A beginning is told at least `BEGIN_VOICED` frames after it happened, an end about `pause_ms` after, or at `LONGEST`:
        who speaks on then begins again with the next frame.
        """
        like_voice = self._vad.is_speech(frame, pcm.UPLINK_HZ)
        self._like_voice.append(like_voice)
        self._above.append(self._noise.below(frame))
        self._voiced.append(like_voice and any(list(self._above)[-ABOVE_COUNTS:]))
        if self._speaking:
            self._spoken += 1
            # Both at once: either alone holds on for 100 ms after a word.
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
