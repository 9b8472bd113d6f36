"""The pre-roll: the last sound from before the uplink opens, so that the first word is not cut off."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from kioskd.media import pcm

AFTER_WORD_MS: Final = 160
"""A wake word is detected 80 to 300 ms after its end. Sound from before that is not part of the question."""


class PreRoll:
    """Keeps the newest frames while the uplink is closed. Each frame is 20 ms of 16 kHz PCM."""

    def __init__(
        self,
        preroll_ms: int,
        lead_ms: int | None = None,
        *,
        own_voice: Callable[[], bool] = lambda: False,
        own_lead: Callable[[], bool] = lambda: False,
    ) -> None:
        """Keep nothing yet.

        Args:
            preroll_ms: The most milliseconds of sound from before a wake that are sent.
            lead_ms: The same for sound from before the uplink opens in a conversation. None: `preroll_ms`.
            own_voice: Whether a sleeping kiosk hears itself. Sound with its own voice is not kept.
            own_lead: The same during a conversation, where a talk button opens the uplink.
        """
        self._frames: deque[bytes] = deque()
        self._asleep_frames = preroll_ms // pcm.FRAME_MS
        self._lead_frames = (preroll_ms if lead_ms is None else lead_ms) // pcm.FRAME_MS
        self._own_voice = own_voice
        self._own_lead = own_lead

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._frames)

    def keep_asleep(self, frame: bytes) -> None:
        """Keep a frame that came while the kiosk sleeps."""
        self._keep(frame, 0 if self._own_voice() else self._asleep_frames)

    def keep_lead(self, frame: bytes) -> None:
        """Keep a frame that came in a conversation while the uplink is paused."""
        self._keep(frame, 0 if self._own_lead() else self._lead_frames)

    def begin_after_wake_word(self) -> None:
        """Forget the sound from before the end of a wake word that was detected just now."""
        self._shorten(AFTER_WORD_MS // pcm.FRAME_MS)

    def take(self) -> list[bytes]:
        """Return the kept frames, the oldest first, and forget them."""
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def clear(self) -> None:
        self._frames.clear()

    def _keep(self, frame: bytes, most: int) -> None:
        self._frames.append(frame)
        self._shorten(most)

    def _shorten(self, most: int) -> None:
        while len(self._frames) > most:
            self._frames.popleft()
