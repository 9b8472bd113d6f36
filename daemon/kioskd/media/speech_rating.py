"""Has a neural network rate how much frames are like speech, and lets it rest while nothing sounds."""

import collections
from typing import Final, Protocol

LEAD: Final = 25
"""Frames (500 ms) from before a sound that the network looks at. Its first ratings of a stream are wrong.

More frames take longer at once: these take 1.3 ms on a desktop."""


LINGERS: Final = 100
"""Frames (2 s) after a sound that lasts, in which the network goes on. In music with short rests, a network
without a memory rates many notes too high."""

LOUD_WINDOW: Final = 5
LOUD: Final = 3
"""Frames among the newest `LOUD_WINDOW` that are louder than the room in a sound that lasts: a knock has two.
"""


class SpeechModel(Protocol):
    """Rates how much sound is like speech; `adapters.silero.SpeechNetwork` is one."""

    def rate(self, frame: bytes, /) -> float:
        """Take the next frame. Return the rating of the newest sound: 0 is no speech, and 1 is speech."""

    def reset(self) -> None:
        """Forget all sound."""


class SpeechRating:
    """Ratings of one stream of frames."""

    def __init__(self, model: SpeechModel) -> None:
        """No one else may use `model`."""
        self._model = model
        self._lead: collections.deque[bytes] = collections.deque(maxlen=LEAD)
        self._loud: collections.deque[bool] = collections.deque(maxlen=LOUD_WINDOW)
        self._lingers_for = 0

    @property
    def lasting(self) -> bool:
        """Whether the newest frames hold a sound that lasts, and not a knock."""
        return sum(self._loud) >= LOUD

    def reset(self) -> None:
        """Forget all sound."""
        self._model.reset()
        self._lead.clear()
        self._loud.clear()
        self._lingers_for = 0

    def rate(self, frame: bytes, *, sounds: bool, loud: bool) -> float:
        """Take the next frame; return its rating. Where nothing sounds that is 0, and costs nothing.

        Args:
            frame: `pcm.FRAME_BYTES`, 16 kHz.
            sounds: whether the frame may hold a sound.
            loud: whether it is louder than the room.
        """
        self._loud.append(loud)
        self._lingers_for = LINGERS if self.lasting else max(0, self._lingers_for - 1)
        if not sounds and not self._lingers_for:
            self._lead.append(frame)
            return 0.0
        if len(self._lead) == LEAD:
            # Perhaps frames were left out: this is another stream.
            self._model.reset()
        while self._lead:
            self._model.rate(self._lead.popleft())
        return self._model.rate(frame)
