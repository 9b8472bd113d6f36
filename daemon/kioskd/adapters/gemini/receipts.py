"""Finds out how much of the sent audio the Live service has received, by the best evidence available.

The Developer API does not report what it has consumed, but its WebSocket gives evidence. A pong says that the
peer has received, in order, everything sent before the ping. So each message is followed by a ping, and its
pong is the receipt of the message's frames. Frames of silence share a message (see `quiet_groups`). At most
`MOST` receipts are on their way, enough for each frame of a burst. A slow service is asked for only
`MOST_OF_SLOW` at a time.

Nothing else says which frames the peer's program has read before it ended the connection:

- The kernel of a peer acknowledges frames that the program never reads. A frozen program does so for seconds.
  A program that hangs up while a frame arrives does so for a moment.
- The way in which the TCP connection ends does not tell it either. A peer that has sent its close reads on,
  and drops what it reads. A TLS library or a proxy empties the kernel's buffer before its program reads. Both
  end with a FIN, and no reset, though frames were not heard.

Pongs after 8 to 30 s on healthy links have been reported. So a missing receipt alone proves nothing:

- Receipts come within `PROMPT_S`, or nothing at all comes: a frame without a receipt counts as lost.
- The last receipt took longer, or other data came `PROMPT_S` after a ping without pong: the service is slow.
  Then every frame that the peer's kernel has acknowledged counts as received. This is right if the connection
  ends in peace. If the peer had stopped reading, it counts too many frames. Losing a few words is better than
  repeating half a minute of speech.
- Vertex with transparent resumption reports with each handle how many messages the session holds. Only this
  number counts then: the session of that handle lacks everything sent later.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

PROMPT_S: Final = 2.0
"""Longest time, in seconds, of a prompt receipt. A slower one says nothing about the link."""
MOST: Final = 2000
"""Most receipts on their way at once. The frames held for a connection (30 s) are fewer."""
MOST_OF_SLOW: Final = 4
"""Most receipts on their way at once from a service that sends them slowly."""

_MARKS: Final = 1500
"""Number of messages whose place in the stream is kept: 30 s of speech."""

_ROOM: Final = 16 * 2**10
"""Bytes for which a kernel always has room. While it holds fewer, no data waits outside the kernel."""

Acknowledged = Callable[[], tuple[int, int] | None]
"""Returns the bytes that the peer's kernel has acknowledged, and the bytes that still wait here.

None if the kernel gives no figures.
"""


class Receipts:
    """Record of one connection. Times are the event loop's, in seconds; frames and messages count from 1."""

    def __init__(
        self, acknowledged: Acknowledged, *, transparent: bool = False, known_prompt: bool = False
    ) -> None:
        self._acknowledged = acknowledged
        self._transparent = transparent
        self._frames = 0
        self._messages = 0
        self._unconsumed: deque[tuple[int, int]] = deque(maxlen=_MARKS)
        self._asked: deque[tuple[int, float]] = deque()
        self._marks: deque[tuple[int, int]] = deque(maxlen=_MARKS)
        self._delivered = 0
        self._last_s: float | None = 0.0 if known_prompt else None
        self._heard_at = 0.0

    @property
    def delivered(self) -> int:
        """Number of frames that the service has received; never falls."""
        if self.slow and not self._transparent:
            self._deliver(self._in_their_kernel())
        return self._delivered

    @property
    def complete(self) -> bool:
        """Whether the service has received everything that was sent."""
        return self.delivered >= self._frames

    @property
    def prompt(self) -> bool:
        """Whether receipts are known to come quickly."""
        return self._last_s is not None and not self.slow

    @property
    def slow(self) -> bool:
        """Whether receipts come slowly by nature, so that a missing one says nothing."""
        if self._last_s is not None and self._last_s > PROMPT_S:
            return True
        return bool(self._asked) and self._heard_at - self._asked[0][1] > PROMPT_S

    @property
    def wanted(self) -> bool:
        """Whether the sender may ask for one more receipt."""
        return len(self._asked) < (MOST_OF_SLOW if self.slow else MOST)

    def silent_s(self, now: float) -> float:
        """Return the seconds that a receipt has been missing while no other data came; 0.0 if none is
        missing.
        """
        return now - max(self._asked[0][1], self._heard_at) if self._asked else 0.0

    def sent_audio(self, frames: int = 1) -> None:
        """Note that a message with `frames` frames has been sent."""
        self._frames += frames
        self._note_message()
        if self.slow and (counts := self._acknowledged()) is not None:
            acked, held = counts
            if held < _ROOM:
                self._marks.append((self._frames, acked + held))

    def sent_other(self) -> None:
        """Note that a message without audio has been sent. The setup does not count."""
        self._note_message()

    def asked(self, now: float) -> None:
        """Note that a ping has been sent after the messages so far."""
        self._asked.append((self._frames, now))

    def received(self, took_s: float) -> None:
        """Note that the oldest ping has been answered after `took_s` seconds."""
        frame, _ = self._asked.popleft()
        self._last_s = took_s
        if not self._transparent:
            self._deliver(frame)

    def heard(self, now: float) -> None:
        """Note that any data has come from the service."""
        self._heard_at = now

    def consumed(self, index: int | None) -> None:
        """Note the number of messages that the session of a new handle holds; None: the service does not
        count.
        """
        if index is None:
            self._transparent = False
        elif self._transparent:
            while self._unconsumed and self._unconsumed[0][0] <= index:
                self._deliver(self._unconsumed.popleft()[1])

    def closed(self) -> None:
        """Note that the peer has received everything: it has completed the closing handshake that this side
        began.
        """
        if not self._transparent:
            self._deliver(self._frames)

    def _note_message(self) -> None:
        self._messages += 1
        if self._transparent:
            self._unconsumed.append((self._messages, self._frames))

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
