"""The queue of the visitor's frames: those that wait, and those that were sent but have not arrived.

A sent frame is kept until the service has received it (`Connection.delivered`). Frames that a connection did
not deliver go back to the front of the queue. So a new connection loses no frame, and sends none twice.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from kioskd.media import pcm
from kioskd.ports import Connection

log = logging.getLogger(__name__)

HOLD_MS: Final = 30_000
"""The most milliseconds of sound that wait for a connection. An answer to older sound would come too late."""

PAUSE: Final = b""
"""A mark in the queue: the visitor's sound pauses here, and the service is told."""


class SendQueue:
    """Frames in order. A full queue drops its oldest frame. For the event loop's thread."""

    def __init__(self, on_sent: Callable[[bytes], None] = lambda _frame: None) -> None:
        """Start empty. `on_sent` is called with each frame that a connection took."""
        self._on_sent = on_sent
        self._waiting: deque[bytes] = deque()
        self._undelivered: deque[bytes] = deque()
        self._delivered = 0
        """The number of frames of the present connection that are known to have arrived."""
        self._sounding = False
        """Whether the connection got sound since its last pause."""
        self.sent = 0
        """Number of frames that connections took since the start. A frame sent twice counts twice."""
        self.resent = 0
        """Number of frames that went back to the queue because their connection did not deliver them."""
        self.dropped = 0
        """Number of frames that this queue dropped because it was full."""

    def __len__(self) -> int:
        """Return the number of frames and pauses that wait to be sent."""
        return len(self._waiting)

    def append(self, frame: bytes) -> None:
        """Add a frame of 20 ms."""
        self._waiting.append(frame)
        self._bound()

    def extend(self, frames: Iterable[bytes]) -> None:
        """Add several frames. The bound holds from the next frame on."""
        self._waiting.extend(frames)

    def pause(self) -> None:
        """Tell the service that no sound follows the frames in the queue."""
        if (self._waiting and self._waiting[-1]) or (not self._waiting and self._sounding):
            self._waiting.append(PAUSE)

    def clear(self) -> None:
        """Drop all frames, because the conversation is over."""
        self._waiting.clear()
        self._undelivered.clear()

    def begin(self) -> None:
        """Count from zero for a new connection."""
        self._delivered = 0
        self._sounding = False

    async def send_next(self, connection: Connection) -> None:
        """Send the oldest frame. After a cancellation, `take_back_undelivered` puts it back.

        Raises:
            LinkLost: the connection is over.
        """
        frame = self._waiting.popleft()
        if frame is PAUSE:
            # A pause without sound before it would end nothing: an earlier connection got that sound.
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
        """Put the frames that a closed connection did not deliver back to the front of the queue."""
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
                pass  # a pause has arrived if a frame after it has

    def _bound(self) -> None:
        while len(self._waiting) > HOLD_MS // pcm.FRAME_MS:
            self._waiting.popleft()
            self.dropped += 1
            if self.dropped % 50 == 1:  # once a second of loss
                log.warning(
                    "uplink full, oldest audio dropped: lost=%.1fs", self.dropped * pcm.FRAME_MS / 1000
                )
