"""Microphone -> gate -> Live: what is kept from before, what waits, and what is sent but has not arrived.

    capture ─► (echo, cues) ─► speech_events ─► margin ─► queue ─► sender ─► connection
                                                   ▲                    │
                                                   └─── undelivered ◄───┘

The gate says what becomes of a frame (see `UplinkGate`). The margin is the pre-roll: the last moments of sound that nobody
has asked for yet. The queue holds frames, and `PAUSE` where the visitor's sound pauses. A frame that was sent is kept until
the service has taken it in (`Connection.delivered`); what a connection leaves undelivered goes back to the front of the
queue, so none is lost or sent twice when a connection comes, goes and comes again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from kioskd.core.effects import SetMute, SetUplink, UplinkGate
from kioskd.core.events import Device, Event
from kioskd.errors import LinkLost
from kioskd.flow.audio.speech_events import SpeechEvents
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.flow.runtime.workers import first_of
from kioskd.media import pcm
from kioskd.ports import Clock, Connection, Microphone

log = logging.getLogger(__name__)

HOLD_MS: Final = 30_000
"""The most that is kept for a connection to come; what is older than that would be answered too late anyway."""

PAUSE: Final = b""
"""In the queue: the visitor's sound pauses here, and the service is told so."""


AFTER_WORD_MS: Final = 160
"""How late a wake word is told after its end (80 to 300 ms): what came before is no part of what the visitor wants to say."""


class EchoCleaner(Protocol):
    """What takes the kiosk's own sounds out of its microphone."""

    def clean(self, frame: bytes, /) -> bytes:
        """Return the frame without them."""


class Uplink:
    """The uplink."""

    def __init__(
        self,
        microphone: Microphone,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        preroll_ms: int,
        speech_events: SpeechEvents,
        cleaners: Sequence[EchoCleaner] = (),
        own_voice: Callable[[], bool] = lambda: False,
        own_lead: Callable[[], bool] = lambda: False,
        lead_ms: int | None = None,
        after_ms: int = 0,
    ) -> None:
        """`preroll_ms`: what is sent of the time before a wake, at most.

        `cleaners`: are given every frame, one after the other, also asleep: they have to go on knowing the room.

        `own_voice`: whether the kiosk, asleep, hears its own voice, which is no pre-roll.

        `own_lead`: the same within a conversation, where a hand opens the gate; a voice that opens it has begun by then.

        `lead_ms`: what is sent of the time before the gate opens within a conversation, if not as much.

        `after_ms`: sound that still belongs to the visitor when the gate pauses, as of a talk button let go too early.
        """
        self._microphone = microphone
        self._supervisor = DeviceSupervisor("microphone", clock, post, device=Device.MICROPHONE)
        self._speech_events = speech_events
        self._cleaners = tuple(cleaners)
        self._own_voice = own_voice
        self._own_lead = own_lead
        self._margin: deque[bytes] = deque()
        self._preroll_frames = preroll_ms // pcm.FRAME_MS
        self._lead_frames = (preroll_ms if lead_ms is None else lead_ms) // pcm.FRAME_MS
        self._after_frames = after_ms // pcm.FRAME_MS
        self._after = 0
        self._queue: deque[bytes] = deque()
        self._gate = UplinkGate.PREROLL
        self._conversing = False
        """The gate has been open, or about to be, since the kiosk last slept."""
        self._undelivered: deque[bytes] = deque()
        self._delivered = 0
        self._connection: Connection | None = None
        self._sounding = False
        """The connection has had sound since it was last told of a pause."""
        self._sendable = asyncio.Event()
        self._muting = asyncio.Event()
        self._unmuted = asyncio.Event()
        self._unmuted.set()
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
    def idle(self) -> bool:
        """Whether no sound waits to be sent."""
        return not self._queue

    @property
    def sending(self) -> bool:
        """Whether frames should be moving to the service now."""
        return self._gate is UplinkGate.SEND and self._connection is not None and not self.absent

    @property
    def absent(self) -> bool:
        """Whether nobody can expect the microphone to work: it is muted, or known to be away."""
        return self._muting.is_set() or self._supervisor.missing

    def set_uplink(self, effect: SetUplink) -> None:
        """Open or shut the gate."""
        before, self._gate = self._gate, effect.uplink
        match self._gate:
            case UplinkGate.PREROLL:  # the conversation is over: nothing of it is kept, nor put back
                for kept in (self._queue, self._undelivered, self._margin):
                    kept.clear()
                self._after = 0
                self._speech_events.fall_asleep(unheard=self._conversing and before is UplinkGate.SHUT)
                self._conversing = False
            case UplinkGate.SHUT:
                self._margin.clear()
                self._after = 0
                self._pause()
                self._speech_events.rest()
            case UplinkGate.PAUSED:
                self._conversing = True
                self._hear_margin(before)
                spoken = before in (UplinkGate.SEND, UplinkGate.HOLD) and not self._supervisor.away
                self._after = self._after_frames if spoken else 0
                if not self._after:
                    self._pause()
            case UplinkGate.HOLD | UplinkGate.SEND:
                self._conversing = True
                self._after = 0
                self._hear_margin(before)
                self._queue.extend(self._margin)
                self._margin.clear()
        self._wake_sender()

    def set_mute(self, effect: SetMute) -> None:
        """Have the device closed, or opened again."""
        if effect.muted:
            self._unmuted.clear()
            self._muting.set()
            self._margin.clear()
        else:
            self._muting.clear()
            self._unmuted.set()

    def connect(self, connection: Connection) -> None:
        """Have a connection to send to."""
        self._connection = connection
        self._delivered = 0
        self._sounding = False
        self._wake_sender()

    def disconnect(self) -> None:
        """Send nothing more. What the connection has delivered is known when it is closed (see `settle`)."""
        self._connection = None
        self._wake_sender()

    def settle(self, connection: Connection) -> None:
        """Take back what a connection that is closed now has not delivered: it is the next one's first."""
        self._note_delivered(connection)
        self.resent += sum(map(bool, self._undelivered))
        self._queue.extendleft(reversed(self._undelivered))
        self._undelivered.clear()
        self._bound()

    async def capture(self) -> None:
        """Take frames from the microphone until cancelled, but for while it is muted: the device is closed then.

        Raises:
            DeviceStuck: only a new process can use the microphone.
        """
        while True:
            await self._unmuted.wait()
            await first_of(self._supervisor.use(self._capture), self._muting.wait())
            log.info("microphone closed: cause=muted")

    async def _capture(self) -> None:
        try:
            await self._microphone.capture(self._accept)
        finally:
            self._hear_out()

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
        frame = self._queue.popleft()
        if frame is PAUSE:
            # One that follows nothing (the connection before has had the sound) would end nothing.
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
        self._note_delivered(connection)

    def _note_delivered(self, connection: Connection) -> None:
        delivered, undelivered = connection.delivered, self._undelivered
        while self._delivered < delivered:
            self._delivered += 1
            while undelivered and not undelivered.popleft():
                pass  # what came before a frame that arrived has arrived

    def _accept(self, frame: bytes) -> None:
        self._supervisor.works()
        self.captured += 1
        self._speech_events.feel(frame)
        for cleaner in self._cleaners:
            frame = cleaner.clean(frame)
        match self._gate:
            case UplinkGate.SHUT:
                return
            case UplinkGate.PREROLL:
                self._keep(frame, self._preroll_frames, own=self._own_voice())
                if self._speech_events.listen_asleep(frame):
                    self._forget_but(AFTER_WORD_MS // pcm.FRAME_MS)
                return
            case UplinkGate.PAUSED if not self._after:
                self._keep(frame, self._lead_frames, own=self._own_lead())
            case UplinkGate.PAUSED:
                self._after -= 1
                self._queue.append(frame)
                if not self._after:
                    self._pause()
            case UplinkGate.HOLD | UplinkGate.SEND:
                self._queue.append(frame)
                self._bound()
        self._speech_events.listen(frame)
        self._wake_sender()

    def _keep(self, frame: bytes, most: int, *, own: bool) -> None:
        self._margin.append(frame)
        self._forget_but(0 if own else most)

    def _forget_but(self, newest: int) -> None:
        while len(self._margin) > newest:
            self._margin.popleft()

    def _hear_margin(self, before: UplinkGate) -> None:
        if (
            before is UplinkGate.PREROLL
        ):  # a visitor who spoke while pressing, or to wake us, has begun already
            for frame in self._margin:
                self._speech_events.listen(frame)

    def _hear_out(self) -> None:
        """Have what the visitor said end here, if it was to go on for a moment: no more frames come."""
        if self._after:
            self._after = 0
            self._pause()
            self._wake_sender()

    def _pause(self) -> None:
        """Have the service told that nothing follows what is in the queue."""
        if (self._queue and self._queue[-1]) or (not self._queue and self._sounding):
            self._queue.append(PAUSE)

    def _bound(self) -> None:
        while len(self._queue) > HOLD_MS // pcm.FRAME_MS:
            self._queue.popleft()
            self.dropped += 1
            if self.dropped % 50 == 1:  # once a second of loss
                log.warning(
                    "uplink full, oldest audio dropped: lost=%.1fs", self.dropped * pcm.FRAME_MS / 1000
                )

    def _may_send(self) -> bool:
        return bool(self._queue) and self._gate in (UplinkGate.SEND, UplinkGate.PAUSED, UplinkGate.SHUT)

    def _wake_sender(self) -> None:
        if self._connection is not None and self._may_send():
            self._sendable.set()
        else:
            self._sendable.clear()
