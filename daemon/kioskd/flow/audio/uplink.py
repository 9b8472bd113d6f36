"""Microphone -> gate -> Live: the visitor's sound, from the device to the connection.

    capture ─► (echo, cues) ─► speech_events ─► pre-roll ─► send queue ─► connection
                                                                ▲  undelivered  │
                                                                └───────────────┘

The gate says what becomes of a frame (see `UplinkGate`). `preroll.py` keeps the last moments of sound while the gate is
shut. `send_queue.py` keeps what waits for a connection, and what a connection has not delivered.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from kioskd.core.effects import SetMute, SetUplink, UplinkGate
from kioskd.core.events import Device, Event
from kioskd.errors import LinkLost
from kioskd.flow.audio.mute import MuteSwitch
from kioskd.flow.audio.preroll import PreRoll
from kioskd.flow.audio.send_queue import SendQueue
from kioskd.flow.audio.speech_events import SpeechEvents
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.flow.runtime.workers import first_of
from kioskd.media import pcm
from kioskd.ports import Clock, Connection, Microphone

log = logging.getLogger(__name__)


class EchoCleaner(Protocol):
    """What takes the kiosk's own sounds out of its microphone."""

    def clean(self, frame: bytes, /) -> bytes:
        """Return the frame without them."""


class Uplink:
    """The visitor's sound on its way to the service."""

    def __init__(
        self,
        microphone: Microphone,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        preroll: PreRoll,
        speech_events: SpeechEvents,
        cleaners: Sequence[EchoCleaner] = (),
        after_ms: int = 0,
        on_sent: Callable[[bytes], None] = lambda _frame: None,
    ) -> None:
        """Wait for the gate, shut and asleep.

        Args:
            microphone: The device.
            post: Takes events for the core.
            clock: The time.
            preroll: What is kept while the gate is shut.
            speech_events: What listens for voices and wake words.
            cleaners: Are given every frame, one after the other, also asleep: they must go on knowing the room.
            after_ms: Sound that still belongs to the visitor when the gate pauses: people let go of a talk button
                on their last word.
            on_sent: Is called with each frame that a connection took.
        """
        self._microphone = microphone
        self._supervisor = DeviceSupervisor("microphone", clock, post, device=Device.MICROPHONE)
        self._speech_events = speech_events
        self._cleaners = tuple(cleaners)
        self._preroll = preroll
        self._after_frames = after_ms // pcm.FRAME_MS
        self._after = 0
        self._queue = SendQueue(on_sent)
        self._mute = MuteSwitch()
        self._gate = UplinkGate.PREROLL
        self._conversing = False
        """The gate has been open, or about to be, since the kiosk last slept."""
        self._connection: Connection | None = None
        self._sendable = asyncio.Event()
        self.captured = 0
        """Frames that came from the microphone, ever."""

    @property
    def sent(self) -> int:
        """Frames that a connection took, ever; those of `resent` twice."""
        return self._queue.sent

    @property
    def resent(self) -> int:
        """Frames that were sent again because their connection had not delivered them, ever."""
        return self._queue.resent

    @property
    def dropped(self) -> int:
        """Frames that were wanted and fell out of a full queue, ever."""
        return self._queue.dropped

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
        """Whether the microphone cannot work: it is muted, or known to be away."""
        return self._mute.on or self._supervisor.missing

    def set_uplink(self, effect: SetUplink) -> None:
        """Open or shut the gate."""
        before, self._gate = self._gate, effect.uplink
        match self._gate:
            case UplinkGate.PREROLL:  # the conversation is over: nothing of it is kept, nor put back
                self._queue.clear()
                self._preroll.clear()
                self._after = 0
                self._speech_events.fall_asleep(unheard=self._conversing and before is UplinkGate.SHUT)
                self._conversing = False
            case UplinkGate.SHUT:
                self._preroll.clear()
                self._after = 0
                self._queue.pause()
                self._speech_events.pause()
            case UplinkGate.PAUSED:
                self._conversing = True
                self._hear_preroll(before)
                spoken = before in (UplinkGate.SEND, UplinkGate.HOLD) and not self._supervisor.away
                self._after = self._after_frames if spoken else 0
                if not self._after:
                    self._queue.pause()
            case UplinkGate.HOLD | UplinkGate.SEND:
                self._conversing = True
                self._after = 0
                self._hear_preroll(before)
                self._queue.extend(self._preroll.take())
        self._wake_sender()

    def set_mute(self, effect: SetMute) -> None:
        """Have the device closed, or opened again."""
        self._mute.set(muted=effect.muted)
        if effect.muted:
            self._preroll.clear()

    def connect(self, connection: Connection) -> None:
        """Have a connection to send to."""
        self._connection = connection
        self._queue.begin()
        self._wake_sender()

    def disconnect(self) -> None:
        """Send nothing more. What the connection has delivered is known when it is closed (see `take_back_undelivered`)."""
        self._connection = None
        self._wake_sender()

    def take_back_undelivered(self, connection: Connection) -> None:
        """Take back what a connection that is closed now has not delivered: it is the next one's first."""
        self._queue.take_back_undelivered(connection)

    async def capture(self) -> None:
        """Take frames from the microphone until cancelled, but for while it is muted: the device is closed then.

        Raises:
            DeviceStuck: only a new process can use the microphone.
        """
        while True:
            await self._mute.wait_until_unmuted()
            await first_of(self._supervisor.use(self._capture), self._mute.wait_until_muted())
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
                await self._queue.send_next(connection)
            except LinkLost:
                # The reader of this connection reports the loss; until then nothing more is sent into it.
                if self._connection is connection:
                    self.disconnect()
            self._wake_sender()

    def _accept(self, frame: bytes) -> None:
        self._supervisor.note_alive()
        self.captured += 1
        self._speech_events.check_level(frame)
        for cleaner in self._cleaners:
            frame = cleaner.clean(frame)
        match self._gate:
            case UplinkGate.SHUT:
                return
            case UplinkGate.PREROLL:
                self._preroll.keep_asleep(frame)
                if self._speech_events.listen_asleep(frame):
                    self._preroll.begin_after_wake_word()
                return
            case UplinkGate.PAUSED if not self._after:
                self._preroll.keep_lead(frame)
            case UplinkGate.PAUSED:
                self._after -= 1
                self._queue.append(frame)
                if not self._after:
                    self._queue.pause()
            case UplinkGate.HOLD | UplinkGate.SEND:
                self._queue.append(frame)
        self._speech_events.listen(frame)
        self._wake_sender()

    def _hear_preroll(self, before: UplinkGate) -> None:
        # A visitor who spoke while pressing, or to wake the kiosk, has begun already.
        if before is UplinkGate.PREROLL:
            for frame in self._preroll:
                self._speech_events.listen(frame)

    def _hear_out(self) -> None:
        """Have what the visitor said end here, if it was to go on for a moment: no more frames come."""
        if self._after:
            self._after = 0
            self._queue.pause()
            self._wake_sender()

    def _may_send(self) -> bool:
        return bool(self._queue) and self._gate in (UplinkGate.SEND, UplinkGate.PAUSED, UplinkGate.SHUT)

    def _wake_sender(self) -> None:
        if self._connection is not None and self._may_send():
            self._sendable.set()
        else:
            self._sendable.clear()
