"""Joins frames of silence to one message, so that silence needs few messages and few receipts.

    frame ─► louder than the room? ─┬─ yes, or lately ─► its own message, at once
                                    └─ no ─► group ─► one message for `MOST` frames

Each message is followed by a ping (see `receipts`). So there are as many pings as messages: 50 a second in
speech, and fewer than 5 in silence. A group goes out before the first frame that is louder. So speech has the
same delay as without groups.

For a while after a loud frame no group is made. The more loud frames come together, the longer it is: a click
or a gust of noise costs a few messages. After a word it lasts `LONGEST`, in which the service decides whether
the visitor has finished.
"""

from collections.abc import Sequence
from typing import Final

from kioskd.media.level_gate import LevelGate
from kioskd.ports import pcm

MOST: Final = 12
"""Most frames in one message (240 ms)."""
SHORTEST: Final = 2
"""Number of frames without a group after a single loud one. It doubles with each more."""
LONGEST: Final = 150
"""Most frames without a group after the last loud one (3 s)."""


class QuietGroups:
    """The frames of one connection that wait for their message. The first `LONGEST` frames wait for none."""

    def __init__(self) -> None:
        self._gate = LevelGate()
        self._attentive_for = LONGEST
        self._waiting: list[bytes] = []

    def add(self, frame: bytes) -> Sequence[Sequence[bytes]]:
        """Take the next frame. Return the frames of each message that should be sent now, in order."""
        if self._is_quiet(frame):
            self._waiting.append(frame)
            return self.take() if len(self._waiting) == MOST else ()
        return (*self.take(), (frame,))

    def take(self) -> Sequence[Sequence[bytes]]:
        """Return the frames that wait, as one message or none. They wait no more."""
        waiting, self._waiting = self._waiting, []
        return (waiting,) if waiting else ()

    def _is_quiet(self, frame: bytes) -> bool:
        if len(frame) != pcm.FRAME_BYTES:
            return False
        self._gate.feed(frame)
        if self._gate.loud:
            self._attentive_for = min(2 * self._attentive_for + SHORTEST, LONGEST)
        elif self._attentive_for:
            self._attentive_for -= 1
        return not self._attentive_for
