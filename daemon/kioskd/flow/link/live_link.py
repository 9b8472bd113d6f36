"""One connection per epoch: dial, read, report, hang up.

What the service sends is sorted here: sound goes straight to the speaker, everything else becomes an event. When to dial
again is the core's business.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kioskd.core import events
from kioskd.core.effects import Dial, Effect, Greet, HangUp
from kioskd.core.events import Event
from kioskd.core.machine import State
from kioskd.core.turn import TurnPhase
from kioskd.errors import LinkLost, Remedy
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.audio.uplink import Uplink
from kioskd.flow.link.incoming_reply import VOID_S, IncomingReply
from kioskd.flow.link.outbox import Outbox
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.flow.link.transcript import Transcript
from kioskd.flow.link.turn_endings import ReadAloud
from kioskd.flow.runtime.workers import first_of
from kioskd.ports import (
    Clock,
    Connection,
    GoAway,
    Live,
    Message,
    ResumptionUpdate,
    SpokenText,
    ToolCallsCancelled,
    ToolsCalled,
    UsageReported,
    pcm,
)

__all__ = ["LEFT", "VOID_S", "ConnectionUser", "LiveLink", "ToolCallHandler"]

log = logging.getLogger(__name__)

LEFT = "left"
"""The cause of an end that we chose: asleep, or a rollover."""


class ConnectionUser(Protocol):
    """Whoever else sends over a connection while it is up."""

    def connect(self, connection: Connection) -> None:
        """Have a connection."""

    def disconnect(self) -> None:
        """Have none."""


class ToolCallHandler(Protocol):
    """Who carries out what the model calls for."""

    def connect(self, connection: Connection, epoch: int) -> None:
        """Have a connection: what it calls for is answered over it, and over no other."""

    def disconnect(self) -> None:
        """Have none."""

    def take(self, message: ToolsCalled | ToolCallsCancelled) -> None:
        """Begin, or stop, what the message names; returns at once."""


@dataclass(slots=True)
class _Ended:
    """A connection that is over, until it is known what came after it."""

    epoch: int
    at: float
    age_s: float
    cause: str
    delivered: int
    """Frames."""


class LiveLink:
    """The connection. Orders (`dial`, `hang_up`, `greet`) are taken at once and carried out by `run`."""

    def __init__(
        self,
        live: Live,
        uplink: Uplink,
        downlink: Downlink,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        way: PicturePacer,
        jitter: Callable[[], float],
        greeting: str,
        pictures: Sequence[bytes] = (),
        calls: ToolCallHandler | None = None,
        companions: Sequence[ConnectionUser] = (),
        on_usage: Callable[[UsageReported], None] = lambda _usage: None,
        room: Callable[[], Awaitable[None]] | None = None,
        read_aloud: ReadAloud | None = None,
    ) -> None:
        """`room` returns when the core has caught up: until then, nothing more is read. `read_aloud`: for replies that come
        in writing. `pictures` (JPEG) are shown at the beginning of each new session. `calls` takes the model's tool calls."""
        self._live = live
        self._uplink = uplink
        self._post = post
        self._clock = clock
        self._jitter = jitter
        self._greeting = greeting
        self._order: Dial | None = None
        self._ordered = asyncio.Event()
        self._pictures = tuple(pictures)
        self._calls = calls
        self._companions = companions
        self._on_usage = on_usage
        self._room = room
        self._outbox = Outbox(way, clock)
        self._said = Transcript()
        self._ended: _Ended | None = None
        self.warm = False
        """Whether a dial would begin at once."""
        self.counts: Counter[str] = Counter()
        """What happened to connections, and what the service will bill, ever."""
        self._replies = IncomingReply(
            downlink, post, clock, counts=self.counts, said=self._said, read_aloud=read_aloud
        )

    def dial(self, order: Dial) -> None:
        """Close what there is, then connect; the newest order counts."""
        self._order = order
        self._ordered.set()

    def hang_up(self, _effect: HangUp) -> None:
        """Close what there is, and forget what was said, and what was to be said."""
        self._order = None
        self._outbox.clear()
        self._ordered.set()
        self._said.forget()

    def greet(self, _effect: Greet) -> None:
        """Have the model greet, over the connection that is up."""
        self._outbox.greet(self._greeting)

    def tell(self, what: str | bytes, settled: Callable[[str], None] = lambda _why: None) -> bool:
        """Say a text to the model, or show it a picture (JPEG), as soon as there is a connection; see `Outbox.put`.

        False: too many wait, or there is no conversation, and it would be said in the next one.
        """
        return self._order is not None and self._outbox.put(what, settled)

    def observe(
        self, _now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`. What is written or shown would void what the core waits for, too."""
        if after.turn.gated is not before.turn.gated:
            self._outbox.gate(shut=after.turn.gated)
        if event == events.TimerFired(events.Timer.STALLED) and before.turn.phase is TurnPhase.SPEAKING:
            self._replies.give_up(after.link.epoch)

    def use(self, live: Live, greeting: str, pictures: Sequence[bytes]) -> None:
        """Dial `live`, and begin so, from the next order on: the settings have changed."""
        self._live = live
        self._greeting = greeting
        self._pictures = tuple(pictures)

    async def run(self) -> None:
        """Carry out orders until cancelled; then close the connection.

        Raises:
            ConfigError: what the settings say of the service cannot be used.
            LinkLost: the program does not fit together (Remedy.STOP).
        """
        await self._live.warm_up()
        self.warm = True
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            self._outbox.greet(None)  # it was meant for the connection that is left
            if self._order is not None:
                # The old connection is closed before the new order is looked at: break, then make.
                await first_of(self._hold(self._order), self._ordered.wait())
            else:
                self._account("asleep")
                log.info(
                    "link since start: %s",
                    ", ".join(f"{what}={n}" for what, n in sorted(self.counts.items())),
                )

    async def _hold(self, order: Dial) -> None:
        """Live through one connection, and report its end. Being cancelled is being left: nothing to report."""
        dialed = self._clock.now()
        recall = self._said.tell() if order.recall else ()
        log.debug("> dial: epoch=%d resume=%s recall=%d", order.epoch, order.handle is not None, len(recall))
        connection: Connection | None = None
        cause = LEFT
        try:
            async with self._live.connect(order.handle, recall) as connection:
                self._come_up(order.epoch, connection, self._clock.now() - dialed)
                await self._use(connection, order.epoch)
        except LinkLost as error:
            cause = error.remedy.value
            if error.remedy is Remedy.STOP:
                raise
            log.warning(
                "link lost: epoch=%d age=%.1fs action=%s cause=%s",
                order.epoch,
                self._clock.now() - dialed,
                error.remedy.value,
                error,
                extra={"fields": {"epoch": order.epoch, "cause": error.remedy.name}},
            )
            self._post(
                events.ConnectionLost(
                    order.epoch, error.remedy, self._jitter(), error.retry_after_s, error.reached
                )
            )
        finally:
            self.counts[f"ended: {cause}" if connection else f"not made: {cause}"] += 1
            if connection is not None:
                self._uplink.settle(connection)
                now = self._clock.now()
                self._ended = _Ended(order.epoch, now, now - dialed, cause, connection.delivered)
        await asyncio.Event().wait()  # what comes next is an order

    def _come_up(self, epoch: int, connection: Connection, took_s: float) -> None:
        self.counts["up: resumed" if connection.resumed else "up: new session"] += 1
        self._account("resumed" if connection.resumed else "new session")
        log.info("link up: epoch=%d resumed=%s took=%.2fs", epoch, connection.resumed, took_s)

    def _account(self, action: str) -> None:
        """Write the one line about the connection before: what it cost the visitor is known only now."""
        ended, self._ended = self._ended, None
        if ended is None:
            return
        gap_ms = round((self._clock.now() - ended.at) * 1000)
        log.info(
            "connection ended: epoch=%d age=%.1fs cause=%s action=%s gap=%dms delivered=%.1fs held=%.2fs",
            ended.epoch,
            ended.age_s,
            ended.cause,
            action,
            gap_ms,
            ended.delivered * pcm.FRAME_MS / 1000,
            self._uplink.held_s,
            extra={"fields": {"epoch": ended.epoch, "cause": ended.cause, "gap_ms": gap_ms}},
        )

    async def _use(self, connection: Connection, epoch: int) -> None:
        self._uplink.connect(connection)
        self._replies.connect(resumed=connection.resumed)
        for companion in self._companions:
            companion.connect(connection)
        if self._calls is not None:
            self._calls.connect(connection, epoch)
        if not connection.resumed:
            self._outbox.begin(self._pictures)
        self._post(events.ConnectionUp(epoch, connection.resumed))
        try:
            await first_of(self._read(connection, epoch), self._outbox.send(connection), self._replies.run())
        finally:
            for companion in (*self._companions, *((self._calls,) if self._calls else ())):
                companion.disconnect()
            self._uplink.disconnect()
            self._replies.end()  # a reply cut off by the connection's end is over when its sound is

    async def _read(self, connection: Connection, epoch: int) -> None:
        while True:
            for message in await connection.receive():
                if not self._replies.take(message, epoch):
                    self._sort(message, epoch)
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
            case UsageReported() if not message.plausible:
                log.warning("usage of the service makes no sense, not counted: epoch=%d", epoch)
            case UsageReported(prompt_tokens, response_tokens):
                self.counts["tokens: prompt"] += prompt_tokens
                self.counts["tokens: response"] += response_tokens
                log.debug("< usage: prompt=%d response=%d tokens", prompt_tokens, response_tokens)
                self._on_usage(message)
            case SpokenText():
                self._said.add(message)
            case ToolsCalled() | ToolCallsCancelled():
                if self._calls is not None:
                    self._calls.take(message)
