"""What the Live service has taken in of the audio sent to it, by the best evidence there is.

The Developer API says nothing of what it has consumed, but its WebSocket does: a pong says that the peer has taken in,
in order, all that was sent before its ping. So each frame is followed by a ping, and its pong is the frame's receipt.
At most `MOST` are on their way, so that all of a held burst have their own; a slow service is asked for a few only.

Pongs of 8 to 30 s on healthy links have been reported, so a receipt that is missing proves nothing by itself:

- While receipts come within `PROMPT_S`, or nothing at all comes, a frame without one counts as not delivered.
- If the last one took longer, or the service has said something `PROMPT_S` after a ping that it has not answered, it is
  slow by nature. Then what its kernel has acknowledged counts as delivered: of a connection that ends in peace that is
  right, of one whose peer had stopped reading too much. A few lost words are better than half a minute heard twice.
- Vertex with transparent resumption says with each handle how many messages the session behind it holds. There nothing
  else counts: what came later is not in what the handle leads back to.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

PROMPT_S: Final = 2.0
"""A receipt that takes longer is no measure of the link."""
MOST: Final = 2000
"""Receipts on their way at once: more than the frames that can have been held for a connection (30 s)."""
MOST_OF_SLOW: Final = 4
"""... from a service whose receipts say little."""

_MARKS: Final = 1500
"""Frames whose place in the stream is kept: 30 s of them."""

_ROOM: Final = 16 * 2**10
"""Bytes that a kernel always has room for: while it holds fewer, nothing waits in front of it."""

Acknowledged = Callable[[], tuple[int, int] | None]
"""Returns how many bytes the peer's kernel has acknowledged, and how many more wait here; None if the kernel does not say."""


class Receipts:
    """The book of one connection. Times are the event loop's, in seconds; frames and messages count from 1."""

    def __init__(
        self, acknowledged: Acknowledged, *, transparent: bool = False, known_prompt: bool = False
    ) -> None:
        self._acknowledged = acknowledged
        self._transparent = transparent
        self._frames = 0
        self._messages = 0
        self._others: deque[int] = deque(maxlen=_MARKS)
        self._others_consumed = 0
        self._asked: deque[tuple[int, float]] = deque()
        self._marks: deque[tuple[int, int]] = deque(maxlen=_MARKS)
        self._delivered = 0
        self._last_s: float | None = 0.0 if known_prompt else None
        self._heard_at = 0.0

    @property
    def delivered(self) -> int:
        """How many frames have been taken in; never falls."""
        if self.slow and not self._transparent:
            self._deliver(self._in_their_kernel())
        return self._delivered

    @property
    def complete(self) -> bool:
        """Whether all that was sent has been taken in."""
        return self.delivered >= self._frames

    @property
    def prompt(self) -> bool:
        """Whether receipts are known to come quickly."""
        return self._last_s is not None and not self.slow

    @property
    def slow(self) -> bool:
        """Whether receipts are slow by nature: then a missing one says nothing."""
        if self._last_s is not None and self._last_s > PROMPT_S:
            return True
        return bool(self._asked) and self._heard_at - self._asked[0][1] > PROMPT_S

    @property
    def wanted(self) -> bool:
        """Whether one more may be asked for."""
        return len(self._asked) < (MOST_OF_SLOW if self.slow else MOST)

    def silent_s(self, now: float) -> float:
        """How long a receipt has been missing while nothing else came either; 0.0 if none is missing."""
        return now - max(self._asked[0][1], self._heard_at) if self._asked else 0.0

    def sent_audio(self) -> None:
        """A frame has been sent."""
        self._frames += 1
        self._messages += 1
        if self.slow and (counts := self._acknowledged()) is not None:
            acked, held = counts
            if held < _ROOM:
                self._marks.append((self._frames, acked + held))

    def sent_other(self) -> None:
        """A message without audio has been sent; the setup is none."""
        self._messages += 1
        if self._transparent:
            self._others.append(self._messages)

    def asked(self, now: float) -> None:
        """A ping has followed what was sent so far."""
        self._asked.append((self._frames, now))

    def received(self, took_s: float) -> None:
        """The oldest ping has been answered."""
        frame, _ = self._asked.popleft()
        self._last_s = took_s
        if not self._transparent:
            self._deliver(frame)

    def heard(self, now: float) -> None:
        """Something has come from the service, whatever it is."""
        self._heard_at = now

    def consumed(self, index: int | None) -> None:
        """With a new handle the service says how many messages the session behind it holds; None: it does not count."""
        if index is None:
            self._transparent = False
        elif self._transparent:
            while self._others and self._others[0] <= index:
                self._others.popleft()
                self._others_consumed += 1
            self._deliver(index - self._others_consumed)

    def closed(self) -> None:
        """The closing handshake that this side began is complete: the peer has taken in all."""
        if not self._transparent:
            self._deliver(self._frames)

    def _deliver(self, frames: int) -> None:
        self._delivered = max(self._delivered, min(frames, self._frames))

    def _in_their_kernel(self) -> int:
        counts = self._acknowledged()
        if counts is None or counts[1] == 0:
            return self._frames
        found = 0
        while self._marks and self._marks[0][1] <= counts[0]:
            found = self._marks.popleft()[0]
        return found
