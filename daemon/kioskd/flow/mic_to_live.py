"""Microphone -> gate -> Live: one queue of frames that is the pre-roll, the hold and the send queue in turn.

    capture ─► voice ─► queue ─► sender ─► connection

The gate only changes what becomes of a frame at the queue's ends (see `Uplink`), so no sound is copied or moved when a
conversation begins, and none is lost or sent twice when a connection comes, goes and comes again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from kioskd.core.effects import SetUplink, Uplink
from kioskd.core.events import Device, Event, VoiceBegan, VoiceEnded
from kioskd.errors import LinkLost
from kioskd.flow.attendant import Attendant
from kioskd.media import pcm
from kioskd.media.voice import Voice, VoiceDetector
from kioskd.ports import Clock, Connection, Microphone

log = logging.getLogger(__name__)

HOLD_MS = 30_000
"""The most that is kept for a connection to come; what is older than that would be answered too late anyway."""


class MicToLive:
    """The uplink."""

    def __init__(
        self, microphone: Microphone, post: Callable[[Event], None], clock: Clock, *, preroll_ms: int
    ) -> None:
        self._microphone = microphone
        self._post = post
        self._attendant = Attendant("microphone", clock, post, device=Device.MICROPHONE)
        self._voice = VoiceDetector()
        self._preroll_frames = preroll_ms // pcm.FRAME_MS
        self._queue: deque[bytes] = deque()
        self._gate = Uplink.PREROLL
        self._connection: Connection | None = None
        self._end_due = False
        self._sendable = asyncio.Event()
        self.captured = 0
        """Frames that came from the microphone, ever."""
        self.sent = 0
        """Frames that a connection took, ever."""
        self.dropped = 0
        """Frames that were wanted and fell out of a full queue, ever."""

    @property
    def sending(self) -> bool:
        """Whether frames should be moving to the service now."""
        return self._gate is Uplink.SEND and self._connection is not None

    def set_uplink(self, effect: SetUplink) -> None:
        """Open or shut the gate."""
        before, self._gate = self._gate, effect.uplink
        if self._gate is Uplink.PREROLL:
            self._queue = deque()  # the conversation is over: nothing of it is kept, nor put back
            self._voice.reset()
        elif self._gate is Uplink.SHUT:
            self._voice.reset()
            self._end_due = True  # after what was captured before now
        elif before is Uplink.PREROLL:
            for frame in self._queue:  # a visitor who spoke while pressing has begun already
                self._detect(frame)
        self._wake_sender()

    def connect(self, connection: Connection | None) -> None:
        """Have a connection to send to, or none any more."""
        self._connection = connection
        self._end_due = False
        self._wake_sender()

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
            if connection is None:
                self._sendable.clear()
                continue
            try:
                await self._send_next(connection)
            except LinkLost:
                # The reader of this connection reports the loss; until then nothing more is sent into it.
                if self._connection is connection:
                    self._connection = None
            self._wake_sender()

    async def _send_next(self, connection: Connection) -> None:
        if not self._queue:
            self._end_due = False
            await connection.end_audio()
            return
        queue = self._queue
        frame = queue.popleft()
        try:
            await connection.send_audio(frame)
        except LinkLost:
            queue.appendleft(frame)  # the next connection's first
            raise
        self.sent += 1

    def _accept(self, frame: bytes) -> None:
        self._attendant.works()
        self.captured += 1
        gate = self._gate
        if gate is Uplink.SHUT:
            return
        self._queue.append(frame)
        if gate is Uplink.PREROLL:
            if len(self._queue) > self._preroll_frames:
                self._queue.popleft()
            return
        if len(self._queue) > HOLD_MS // pcm.FRAME_MS:
            self._queue.popleft()
            self.dropped += 1
            if self.dropped % 50 == 1:  # once a second of loss
                log.warning(
                    "uplink full, oldest audio dropped: lost=%.1fs", self.dropped * pcm.FRAME_MS / 1000
                )
        self._detect(frame)
        self._wake_sender()

    def _detect(self, frame: bytes) -> None:
        change = self._voice.feed(frame)
        if change is Voice.BEGAN:
            self._post(VoiceBegan())
        elif change is Voice.ENDED:
            self._post(VoiceEnded())

    def _wake_sender(self) -> None:
        open_now = self._connection is not None and (
            (self._gate is Uplink.SEND and bool(self._queue))
            or (self._gate is Uplink.SHUT and (bool(self._queue) or self._end_due))
        )
        if open_now:
            self._sendable.set()
        else:
            self._sendable.clear()
