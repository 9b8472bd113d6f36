"""Tells when somebody begins and stops speaking, from 20 ms frames. Counts frames; knows no seconds and no events."""

import collections
import enum
from typing import Final

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

PAUSE_MS: Final = 600
"""What is looked at for an end: pauses between words reach 400 ms in read speech. Slow speakers, and whoever looks for a
word, want 1500."""

END_SHARE: Final = 0.14
"""Share of voiced frames in it that still count as silence: a click, or one breath, keeps nobody speaking."""

END_VOICED: Final = 7
"""... and how many at most: one short word in a long pause is speech, and begins at `BEGIN_VOICED`."""


class Voice(enum.Enum):
    """What changed."""

    BEGAN = "began"
    ENDED = "ended"


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
        self._recent: collections.deque[bool] = collections.deque(maxlen=self._pause_frames)
        self.reset()

    @property
    def speaking(self) -> bool:
        """Whether a voice has begun and not ended."""
        return self._speaking

    def reset(self) -> None:
        """Forget all that was heard: silence from here."""
        # A new detector: the library keeps its noise estimate and hangover, and offers no way to clear them.
        self._vad = webrtcvad.Vad(self._aggressiveness)
        self._recent.clear()
        self._speaking = False

    def begin(self) -> None:
        """Take a voice for begun that somebody else has noticed: its end will be told, `pause_ms` from now at the soonest."""
        self._recent.clear()
        self._speaking = True

    def feed(self, frame: bytes) -> Voice | None:
        """Take the next frame (`pcm.FRAME_BYTES`, 16 kHz); return what changed with it. Costs about 2 us.

        A beginning is told at least `BEGIN_VOICED` frames after it happened, an end about `pause_ms` after.
        """
        self._recent.append(self._vad.is_speech(frame, pcm.UPLINK_HZ))
        if not self._speaking:
            if sum(list(self._recent)[-BEGIN_WINDOW:]) >= BEGIN_VOICED:
                self._speaking = True
                return Voice.BEGAN
        elif len(self._recent) == self._pause_frames and sum(self._recent) <= self._pause_voiced:
            self._speaking = False
            return Voice.ENDED
        return None
