"""The visitor's frames on their way to the service: those that wait, and those that were sent and have not arrived.

A frame that was sent is kept until the service has taken it in (`Connection.delivered`). What a connection leaves
undelivered goes back to the front of the queue. So no frame is lost or sent twice when a connection is replaced.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from kioskd.media import pcm
from kioskd.ports import Connection

log = logging.getLogger(__name__)

HOLD_MS: Final = 30_000
"""How much sound waits for a connection, at most. Older sound would be answered too late."""

PAUSE: Final = b""
"""In the queue: the visitor's sound pauses here, and the service is told so."""


class SendQueue:
    """Frames in order. A full queue drops its oldest frame. For the event loop's thread."""

    def __init__(self, on_sent: Callable[[bytes], None] = lambda _frame: None) -> None:
        """Start empty. `on_sent` is called with each frame that a connection took."""
        self._on_sent = on_sent
        self._waiting: deque[bytes] = deque()
        self._undelivered: deque[bytes] = deque()
        self._delivered = 0
        """How many frames of the present connection are known to have arrived."""
        self._sounding = False
        """Whether the connection has had sound since it was last told of a pause."""
        self.sent = 0
        """Frames that a connection took, ever; those of `resent` twice."""
        self.resent = 0
        """Frames that went back to the queue because their connection had not delivered them, ever."""
        self.dropped = 0
        """Frames that were wanted and fell out of a full queue, ever."""

    def __len__(self) -> int:
        """Return how many frames and pauses wait to be sent."""
        return len(self._waiting)

    def append(self, frame: bytes) -> None:
        """Add a frame of 20 ms."""
        self._waiting.append(frame)
        self._bound()

    def extend(self, frames: Iterable[bytes]) -> None:
        """Add several frames. The bound holds from the next frame on."""
        self._waiting.extend(frames)

    def pause(self) -> None:
        """Have the service told that no sound follows what is in the queue."""
        if (self._waiting and self._waiting[-1]) or (not self._waiting and self._sounding):
            self._waiting.append(PAUSE)

    def clear(self) -> None:
        """Forget what waits and what has not arrived: the conversation is over."""
        self._waiting.clear()
        self._undelivered.clear()

    def begin(self) -> None:
        """Count from the beginning of a new connection."""
        self._delivered = 0
        self._sounding = False

    async def send_next(self, connection: Connection) -> None:
        """Send the oldest frame. A cancelled call leaves the frame undelivered, and `take_back_undelivered` puts it back.

        Raises:
            LinkLost: the connection is over.
        """
        frame = self._waiting.popleft()
        if frame is PAUSE:
            # A pause that follows no sound would end nothing: the connection before has had the sound.
            if self._sounding:
                self._undelivered.append(PAUSE)
                self._sounding = False
                await connection.end_audio()
            return
        self._undelivered.append(frame)
        if len(self._undelivered) > HOLD_MS // pcm.FRAME_MS:
            self._delivered += bool(self._undelivered.popleft())
        if not self._sounding:
            self._sounding = True
            await connection.begin_audio()
        await connection.send_audio(frame)
        self.sent += 1
        self._on_sent(frame)
        self._note_delivered(connection)

    def take_back_undelivered(self, connection: Connection) -> None:
        """Take back what a closed connection has not delivered: it is the next one's first."""
        self._note_delivered(connection)
        self.resent += sum(map(bool, self._undelivered))
        self._waiting.extendleft(reversed(self._undelivered))
        self._undelivered.clear()
        self._bound()

    def _note_delivered(self, connection: Connection) -> None:
        delivered, undelivered = connection.delivered, self._undelivered
        while self._delivered < delivered:
            self._delivered += 1
            while undelivered and not undelivered.popleft():
                pass  # a pause before a frame that arrived has arrived

    def _bound(self) -> None:
        while len(self._waiting) > HOLD_MS // pcm.FRAME_MS:
            self._waiting.popleft()
            self.dropped += 1
            if self.dropped % 50 == 1:  # once a second of loss
                log.warning(
                    "uplink full, oldest audio dropped: lost=%.1fs", self.dropped * pcm.FRAME_MS / 1000
                )
