"""Microphone -> gate -> Live: one queue of frames that is the pre-roll, the hold and the send queue in turn.

    capture ─► (echo) ─► voice ─► queue ─► sender ─► connection
                                    ▲                    │
                                    └─── undelivered ◄───┘

The gate only changes what becomes of a frame at the queue's ends (see `Uplink`), so no sound is copied or moved when a
conversation begins. A frame that was sent is kept until the service has taken it in (`Connection.delivered`); what a
connection leaves undelivered goes back to the front of the queue, so none is lost or sent twice when a connection comes,
goes and comes again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from kioskd.core.effects import SetUplink, Uplink
from kioskd.core.events import Device, Event, VoiceBegan, VoiceEnded
from kioskd.errors import LinkLost
from kioskd.flow.attendant import Attendant
from kioskd.media import pcm
from kioskd.media.voice import Voice, VoiceDetector
from kioskd.ports import Clock, Connection, Microphone

if TYPE_CHECKING:
    from kioskd.media.echo import EchoCanceller

log = logging.getLogger(__name__)

HOLD_MS = 30_000
"""The most that is kept for a connection to come; what is older than that would be answered too late anyway."""


class MicToLive:
    """The uplink."""

    def __init__(
        self,
        microphone: Microphone,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        preroll_ms: int,
        echo: "EchoCanceller | None" = None,
    ) -> None:
        self._microphone = microphone
        self._post = post
        self._attendant = Attendant("microphone", clock, post, device=Device.MICROPHONE)
        self._voice = VoiceDetector()
        self._echo = echo
        self._preroll_frames = preroll_ms // pcm.FRAME_MS
        self._queue: deque[bytes] = deque()
        self._gate = Uplink.PREROLL
        self._undelivered: deque[bytes] = deque()
        self._delivered = 0
        self._connection: Connection | None = None
        self._end_due = False
        self._sendable = asyncio.Event()
        self.captured = 0
        """Frames that came from the microphone, ever."""
        self.sent = 0
        """Frames that a connection took, ever; those of `resent` twice."""
        self.resent = 0
        """Frames that went back to the queue because their connection had not delivered them, ever."""
        self.dropped = 0
        """Frames that were wanted and fell out of a full queue, ever."""

    @property
    def held_s(self) -> float:
        """Seconds of sound that wait to be sent."""
        return len(self._queue) * pcm.FRAME_MS / 1000

    @property
    def sending(self) -> bool:
        """Whether frames should be moving to the service now."""
        return self._gate is Uplink.SEND and self._connection is not None

    def set_uplink(self, effect: SetUplink) -> None:
        """Open or shut the gate."""
        before, self._gate = self._gate, effect.uplink
        if self._gate is Uplink.PREROLL:
            self._queue = deque()  # the conversation is over: nothing of it is kept, nor put back
            self._undelivered = deque()
            self._voice.reset()
        elif self._gate is Uplink.SHUT:
            self._voice.reset()
            self._end_due = True  # after what was captured before now
        elif before is Uplink.PREROLL:
            for frame in self._queue:  # a visitor who spoke while pressing has begun already
                self._detect(frame)
        self._wake_sender()

    def connect(self, connection: Connection) -> None:
        """Have a connection to send to."""
        self._connection = connection
        self._delivered = 0
        self._end_due = self._gate is Uplink.SHUT and bool(self._queue)
        self._wake_sender()

    def disconnect(self) -> None:
        """Send nothing more. What the connection has delivered is known when it is closed (see `settle`)."""
        self._connection = None
        self._wake_sender()

    def settle(self, connection: Connection) -> None:
        """Take back what a connection that is closed now has not delivered: it is the next one's first."""
        self._note_delivered(connection)
        self.resent += len(self._undelivered)
        self._queue.extendleft(reversed(self._undelivered))
        self._undelivered.clear()
        self._bound()

    async def capture(self) -> None:
        """Take frames from the microphone until cancelled.

        Raises:
            DeviceLost: the microphone has been away for 30 s.
        """
        await self._attendant.use(lambda: self._microphone.capture(self._accept))

    async def send(self) -> None:
        """Send what may be sent until cancelled: the only sender of audio, one frame at a time, in order."""
        while True:
            await self._sendable.wait()
            connection = self._connection
            if connection is None or not self._may_send():
                self._sendable.clear()
                continue
            try:
                await self._send_next(connection)
            except LinkLost:
                # The reader of this connection reports the loss; until then nothing more is sent into it.
                if self._connection is connection:
                    self.disconnect()
            self._wake_sender()

    async def _send_next(self, connection: Connection) -> None:
        if not self._queue:
            self._end_due = False
            await connection.end_audio()
            return
        undelivered = self._undelivered
        frame = self._queue.popleft()
        undelivered.append(frame)
        if len(undelivered) > HOLD_MS // pcm.FRAME_MS:
            undelivered.popleft()
            self._delivered += 1
        await connection.send_audio(frame)
        self.sent += 1
        self._note_delivered(connection)

    def _note_delivered(self, connection: Connection) -> None:
        delivered = connection.delivered
        while self._delivered < delivered:
            self._delivered += 1
            if self._undelivered:
                self._undelivered.popleft()

    def _accept(self, frame: bytes) -> None:
        self._attendant.works()
        self.captured += 1
        if self._echo is not None:
            frame = self._echo.clean(frame)  # also asleep: it has to go on knowing the room
        gate = self._gate
        if gate is Uplink.SHUT:
            return
        self._queue.append(frame)
        if gate is Uplink.PREROLL:
            if len(self._queue) > self._preroll_frames:
                self._queue.popleft()
            return
        self._bound()
        self._detect(frame)
        self._wake_sender()

    def _bound(self) -> None:
        while len(self._queue) > HOLD_MS // pcm.FRAME_MS:
            self._queue.popleft()
            self.dropped += 1
            if self.dropped % 50 == 1:  # once a second of loss
                log.warning(
                    "uplink full, oldest audio dropped: lost=%.1fs", self.dropped * pcm.FRAME_MS / 1000
                )

    def _detect(self, frame: bytes) -> None:
        change = self._voice.feed(frame)
        if change is Voice.BEGAN:
            self._post(VoiceBegan())
        elif change is Voice.ENDED:
            self._post(VoiceEnded())

    def _may_send(self) -> bool:
        match self._gate:
            case Uplink.SEND:
                return bool(self._queue)
            case Uplink.SHUT:
                return bool(self._queue) or self._end_due
            case _:
                return False

    def _wake_sender(self) -> None:
        if self._connection is not None and self._may_send():
            self._sendable.set()
        else:
            self._sendable.clear()
