"""The uplink: the visitor's sound from the microphone through the gate to the connection.

    capture ─► (echo, cues) ─► speech_events ─► pre-roll ─► send queue ─► connection
       │                            ▲                           ▲  undelivered  │
       └────────── asleep ──────────┘                           └───────────────┘

The gate decides what happens to a frame (see `UplinkGate`). `preroll.py` keeps the last sound while the gate
is closed. `send_queue.py` keeps frames that wait for a connection, or that a connection did not deliver.
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
    """Removes the kiosk's own sounds from its microphone's sound."""

    def clean(self, frame: bytes, /) -> bytes:
        """Return the frame without the kiosk's own sounds."""


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
        """Start asleep, with the gate closed.

        Args:
            microphone: The device.
            post: Takes events for the core.
            clock: The time.
            preroll: Keeps sound while the gate is closed.
            speech_events: Listens for voices and wake words.
            cleaners: Get every frame in this order, also while asleep: they must keep learning the room.
            after_ms: The sound after a pause of the gate that is still the visitor's, in milliseconds. People
                release a talk button on their last word.
            on_sent: Called with each frame that a connection took.
        """
        self._microphone = microphone
        microphone.urgent = False
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
        """Whether a conversation has begun since the kiosk last slept."""
        self._connection: Connection | None = None
        self._sendable = asyncio.Event()
        self.captured = 0
        """All frames from the microphone since the start."""

    @property
    def sent(self) -> int:
        """All frames that connections took since the start. A frame that was sent twice counts twice."""
        return self._queue.sent

    @property
    def resent(self) -> int:
        """All frames that were sent again because their connection did not deliver them."""
        return self._queue.resent

    @property
    def dropped(self) -> int:
        """All frames that a full queue dropped."""
        return self._queue.dropped

    @property
    def held_s(self) -> float:
        """The seconds of sound that wait to be sent."""
        return len(self._queue) * pcm.FRAME_MS / 1000

    @property
    def idle(self) -> bool:
        return not self._queue

    @property
    def sending(self) -> bool:
        """Whether frames should move to the service now."""
        return self._gate is UplinkGate.SEND and self._connection is not None and not self.absent

    @property
    def absent(self) -> bool:
        """Whether the microphone cannot work: it is muted, or its loss was reported."""
        return self._mute.on or self._supervisor.missing

    def set_uplink(self, effect: SetUplink) -> None:
        before, self._gate = self._gate, effect.uplink
        self._microphone.urgent = self._gate is not UplinkGate.PREROLL
        match self._gate:
            case UplinkGate.PREROLL:  # the conversation is over, and its sound is dropped
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
        """Close the device, or let it open again."""
        self._mute.set(muted=effect.muted)
        if effect.muted:
            self._preroll.clear()

    def connect(self, connection: Connection) -> None:
        self._connection = connection
        self._queue.begin()
        self._wake_sender()

    def disconnect(self) -> None:
        """Stop sending. After the connection is closed, `take_back_undelivered` must follow."""
        self._connection = None
        self._wake_sender()

    def take_back_undelivered(self, connection: Connection) -> None:
        """Put the frames that a closed connection did not deliver back to the front of the queue."""
        self._queue.take_back_undelivered(connection)

    async def capture(self) -> None:
        """Take frames from the microphone until cancelled. The device is closed while it is muted.

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
        """Send frames in order until cancelled. This is the only task that sends audio."""
        while True:
            await self._sendable.wait()
            connection = self._connection
            if connection is None or not self._may_send():
                self._sendable.clear()
                continue
            try:
                await self._queue.send_next(connection)
            except LinkLost:
                # The reader of this connection reports the loss. Until then, the sender sends nothing more.
                if self._connection is connection:
                    self.disconnect()
            self._wake_sender()

    def _accept(self, captured: bytes) -> None:
        self._supervisor.note_alive()
        self.captured += 1
        self._speech_events.check_level(captured)
        frame = captured
        for cleaner in self._cleaners:
            frame = cleaner.clean(frame)
        match self._gate:
            case UplinkGate.SHUT:
                return
            case UplinkGate.PREROLL:
                self._preroll.keep_asleep(frame)
                # No sound of ours is in it while the wakers listen, and noise suppression hides soft voices.
                if self._speech_events.listen_asleep(captured):
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
        # A visitor may have begun to speak before the press, or have woken the kiosk by speaking.
        if before is UplinkGate.PREROLL:
            for frame in self._preroll:
                self._speech_events.listen(frame)

    def _hear_out(self) -> None:
        """End the sound after a pause of the gate now, because the device gives no more frames."""
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
