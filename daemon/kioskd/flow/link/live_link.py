"""The link: it dials, reads and hangs up connections. Each connection has an epoch.

The link sorts the service's messages: sound goes to the speaker, and all others become events. The core
decides when to dial again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kioskd.core import events
from kioskd.core.effects import Dial, Effect, Greet, HangUp
from kioskd.core.events import Event
from kioskd.core.machine import State
from kioskd.core.turn import TurnPhase
from kioskd.errors import LinkLost, Remedy
from kioskd.flow.audio.uplink import Uplink
from kioskd.flow.link.connection_log import LEFT, ConnectionLog
from kioskd.flow.link.incoming_reply import IncomingReply
from kioskd.flow.link.outbox import Outbox
from kioskd.flow.link.transcript import Transcript
from kioskd.flow.runtime.workers import first_of
from kioskd.ports import (
    Clock,
    Connection,
    GoAway,
    Live,
    Message,
    ResumptionUpdate,
    SpokenText,
    UsageReported,
)

log = logging.getLogger(__name__)


class ConnectionUser(Protocol):
    """A user of the connection that also sends over it."""

    def connect(self, connection: Connection, epoch: int) -> None:
        """Use this connection, which has this epoch."""

    def disconnect(self) -> None:
        """Stop using the connection."""


@dataclass(frozen=True, slots=True)
class SessionStart:
    """The settings of a new session. A reload of the settings replaces them."""

    live: Live
    greeting: str = ""
    """The instruction for the model's first words. Empty: the model waits for the visitor."""
    pictures: Sequence[bytes] = field(default=(), repr=False)
    """JPEGs that each new session is shown first."""


class LiveLink:
    """The link to the service. `dial`, `hang_up` and `greet` take orders, and `run` carries them out."""

    def __init__(
        self,
        start: SessionStart,
        uplink: Uplink,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        replies: IncomingReply,
        outbox: Outbox,
        transcript: Transcript,
        connection_log: ConnectionLog,
        jitter: Callable[[], float],
        users: Sequence[ConnectionUser] = (),
        on_message: Sequence[Callable[[Message], None]] = (),
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Start without a connection.

        Args:
            start: The settings of new sessions.
            uplink: Sends the visitor's sound.
            post: Takes events for the core.
            clock: The time.
            replies: Takes the messages about the model's replies.
            outbox: Sends texts and pictures.
            transcript: Remembers the words of both sides, for a session that is not resumed.
            connection_log: Counts connections, and writes journal lines about them.
            jitter: Returns a random number from 0 to 1, for the delay before the next dial.
            users: Get each connection while it is open, in this order.
            on_message: Get each message of the service, in this order.
            room: Returns when the core has caught up. Until then, no more messages are read.
        """
        self._start = start
        self._uplink = uplink
        self._replies = replies
        self._outbox = outbox
        self._post = post
        self._clock = clock
        self._transcript = transcript
        self._log = connection_log
        self._jitter = jitter
        self._users = tuple(users)
        self._on_message = tuple(on_message)
        self._room = room
        self._order: Dial | None = None
        self._ordered = asyncio.Event()

    @property
    def counts(self) -> Mapping[str, int]:
        """All connections by their fate, and all tokens that the service bills."""
        return self._log.counts

    @property
    def newest_reply(self) -> int:
        """The number of the newest reply; 0 before the first one."""
        return self._replies.newest

    def dial(self, order: Dial) -> None:
        """Close the present connection, then dial. The newest order counts."""
        self._order = order
        self._outbox.open()
        self._ordered.set()

    def hang_up(self, _effect: HangUp) -> None:
        """Close the present connection. Forget the transcript, and all texts and pictures that wait."""
        self._order = None
        self._outbox.close()
        self._ordered.set()
        self._transcript.forget()

    def greet(self, _effect: Greet) -> None:
        """Have the model greet, over the present connection."""
        self._outbox.greet(self._start.greeting)

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`. Close the outbox while the core holds new input back."""
        if after.turn.gated is not before.turn.gated:
            self._outbox.gate(shut=after.turn.gated)
        if event == events.TimerFired(events.Timer.STALLED) and before.turn.phase is TurnPhase.SPEAKING:
            self._replies.give_up(after.link.epoch)

    def use(self, start: SessionStart) -> None:
        """Use other settings from the next order on."""
        self._start = start

    async def run(self) -> None:
        """Carry out orders until cancelled; then close the connection.

        Raises:
            ConfigError: the settings of the service cannot be used.
            LinkLost: the parts of the program do not fit together (Remedy.STOP).
        """
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            self._outbox.greet(None)  # it was meant for the previous connection
            if self._order is not None:
                # The old connection is closed before the new one is dialed.
                await first_of(self._hold(self._order), self._ordered.wait())
            else:
                self._log.asleep(self._uplink.held_s)

    async def _hold(self, order: Dial) -> None:
        """Use one connection, and report its end. If cancelled, the kiosk chose the end: no report."""
        dialed = self._clock.now()
        recall = self._transcript.tell() if order.recall else ()
        log.debug("> dial: epoch=%d resume=%s recall=%d", order.epoch, order.handle is not None, len(recall))
        connection: Connection | None = None
        cause = LEFT
        try:
            async with self._start.live.connect(order.handle, recall, order.profile) as connection:
                took_s = self._clock.now() - dialed
                self._log.up(order.epoch, connection, took_s, self._uplink.held_s)
                await self._use(connection, order.epoch)
        except LinkLost as error:
            cause = error.remedy.value
            if error.remedy is Remedy.STOP:
                raise
            self._report(order.epoch, self._clock.now() - dialed, error)
        finally:
            if connection is not None:
                self._uplink.take_back_undelivered(connection)
            self._log.over(order.epoch, connection, dialed, cause)
        await asyncio.Event().wait()  # until the next order cancels this

    def _report(self, epoch: int, age_s: float, error: LinkLost) -> None:
        log.warning(
            "link lost: epoch=%d age=%.1fs action=%s cause=%s",
            epoch,
            age_s,
            error.remedy.value,
            error,
            extra={"fields": {"epoch": epoch, "cause": error.remedy.name}},
        )
        self._post(
            events.ConnectionLost(epoch, error.remedy, self._jitter(), error.retry_after_s, error.reached)
        )

    async def _use(self, connection: Connection, epoch: int) -> None:
        self._uplink.connect(connection)
        self._replies.connect(resumed=connection.resumed)
        for user in self._users:
            user.connect(connection, epoch)
        if not connection.resumed:
            self._outbox.begin(self._start.pictures)
        self._post(events.ConnectionUp(epoch, connection.resumed))
        try:
            await first_of(self._read(connection, epoch), self._outbox.send(connection), self._replies.run())
        finally:
            for user in self._users:
                user.disconnect()
            self._uplink.disconnect()
            self._replies.end()  # a reply that the connection's end cut off is over after its last sound

    async def _read(self, connection: Connection, epoch: int) -> None:
        while True:
            for message in await connection.receive():
                if not self._replies.take(message, epoch):
                    self._sort(message, epoch)
                for observer in self._on_message:
                    observer(message)
            if self._room is not None:
                await self._room()

    def _sort(self, message: Message, epoch: int) -> None:
        match message:
            case GoAway(left_s):
                log.info("link going away: epoch=%d left=%.0fs", epoch, left_s)
                self._post(events.GoingAway(epoch, left_s))
            case ResumptionUpdate() if self._replies.session_useless:
                pass  # the handle resumes the session that gives no sound
            case ResumptionUpdate(handle):
                self._post(events.HandleIssued(epoch, handle))
            case UsageReported():
                self._log.usage(message, epoch)
            case SpokenText():
                self._transcript.add(message)
