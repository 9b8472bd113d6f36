"""One connection per epoch: dial, read, report, hang up.

What the service sends is sorted here: sound goes straight to the speaker, everything else becomes an event. When to dial
again is the core's business.
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
    """Whatever else sends over a connection while it is up."""

    def connect(self, connection: Connection, epoch: int) -> None:
        """Have a connection, the one of this epoch."""

    def disconnect(self) -> None:
        """Have none."""


@dataclass(frozen=True, slots=True)
class SessionStart:
    """How a session begins. A reload of the settings replaces it."""

    live: Live
    greeting: str = ""
    """What the model is told to say first; empty where it waits for the visitor."""
    pictures: Sequence[bytes] = field(default=(), repr=False)
    """JPEGs that are shown at the beginning of each new session."""


class LiveLink:
    """The connection. Orders (`dial`, `hang_up`, `greet`) are taken at once and carried out by `run`."""

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
        """Have no connection.

        Args:
            start: How sessions begin.
            uplink: Sends the visitor's sound.
            post: Takes events for the core.
            clock: The time.
            replies: Takes what belongs to the model's replies.
            outbox: Sends texts and pictures.
            transcript: Remembers what was said, for a session that is not resumed.
            connection_log: Counts, and writes the journal's lines.
            jitter: Returns a random number from 0 to 1, for the delay before the next dial.
            users: Are given each connection while it is up, in this order.
            on_message: Are given each message of the service, in this order.
            room: Returns when the core has caught up. Until then nothing more is read.
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
        self.warm = False
        """Whether a dial would begin at once."""

    @property
    def counts(self) -> Mapping[str, int]:
        """What happened to connections, and what the service will bill, ever."""
        return self._log.counts

    def dial(self, order: Dial) -> None:
        """Close what there is, then connect; the newest order counts."""
        self._order = order
        self._outbox.open()
        self._ordered.set()

    def hang_up(self, _effect: HangUp) -> None:
        """Close what there is, and forget what was said, and what was to be said."""
        self._order = None
        self._outbox.close()
        self._ordered.set()
        self._transcript.forget()

    def greet(self, _effect: Greet) -> None:
        """Have the model greet, over the connection that is up."""
        self._outbox.greet(self._start.greeting)

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Take note of one step; see `engine.Observer`. A text or picture would void what the core waits for."""
        if after.turn.gated is not before.turn.gated:
            self._outbox.gate(shut=after.turn.gated)
        if event == events.TimerFired(events.Timer.STALLED) and before.turn.phase is TurnPhase.SPEAKING:
            self._replies.give_up(after.link.epoch)

    def use(self, start: SessionStart) -> None:
        """Begin so from the next order on: the settings have changed."""
        self._start = start

    async def run(self) -> None:
        """Carry out orders until cancelled; then close the connection.

        Raises:
            ConfigError: what the settings say of the service cannot be used.
            LinkLost: the program does not fit together (Remedy.STOP).
        """
        await self._start.live.warm_up()
        self.warm = True
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            self._outbox.greet(None)  # it was meant for the connection that is left
            if self._order is not None:
                # The old connection is closed before the new order is looked at: break, then make.
                await first_of(self._hold(self._order), self._ordered.wait())
            else:
                self._log.asleep(self._uplink.held_s)

    async def _hold(self, order: Dial) -> None:
        """Live through one connection, and report its end. A cancelled call was left: there is nothing to report."""
        dialed = self._clock.now()
        recall = self._transcript.tell() if order.recall else ()
        log.debug("> dial: epoch=%d resume=%s recall=%d", order.epoch, order.handle is not None, len(recall))
        connection: Connection | None = None
        cause = LEFT
        try:
            async with self._start.live.connect(order.handle, recall) as connection:
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
        await asyncio.Event().wait()  # what comes next is an order

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
            self._replies.end()  # a reply cut off by the connection's end is over when its sound is

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
                pass  # it leads back to the session that gives no sound
            case ResumptionUpdate(handle):
                self._post(events.HandleIssued(epoch, handle))
            case UsageReported():
                self._log.usage(message, epoch)
            case SpokenText():
                self._transcript.add(message)
