"""One connection per epoch: dial, read, report, hang up.

What the service sends is sorted here: sound goes straight to the speaker, everything else becomes an event. When to dial
again is the core's business.
"""

import asyncio
import logging
from collections.abc import Callable

from kioskd.core import events
from kioskd.core.effects import Dial, Greet, HangUp
from kioskd.core.events import Event
from kioskd.errors import LinkLost, LinkRefused, SessionLost
from kioskd.flow.crew import first_of
from kioskd.flow.live_to_speaker import LiveToSpeaker
from kioskd.flow.mic_to_live import MicToLive
from kioskd.ports import (
    Clock,
    Connection,
    GenerationEnded,
    GoingAway,
    HandleIssued,
    Interrupted,
    Live,
    Message,
    ReplyAudio,
    TurnEnded,
    UsageReported,
)

log = logging.getLogger(__name__)

VOID_S = 2.0
"""How long sound is dropped after an interruption when the service does not end the turn, as it should at once."""


class LiveLink:
    """The connection. Orders (`dial`, `hang_up`, `greet`) are taken at once and carried out by `run`."""

    def __init__(
        self,
        live: Live,
        uplink: MicToLive,
        downlink: LiveToSpeaker,
        post: Callable[[Event], None],
        clock: Clock,
        *,
        jitter: Callable[[], float],
        greeting: str,
    ) -> None:
        self._live = live
        self._uplink = uplink
        self._downlink = downlink
        self._post = post
        self._clock = clock
        self._jitter = jitter
        self._greeting = greeting
        self._order: Dial | None = None
        self._ordered = asyncio.Event()
        self._greet = asyncio.Event()
        self._reply = 0
        self._reply_open = False
        self._void_until = 0.0
        self.warm = False
        """Whether a dial would begin at once."""
        self.prompt_tokens = 0
        self.response_tokens = 0

    def dial(self, order: Dial) -> None:
        """Close what there is, then connect; the newest order counts."""
        self._order = order
        self._ordered.set()

    def hang_up(self, _effect: HangUp) -> None:
        """Close what there is."""
        self._order = None
        self._ordered.set()

    def greet(self, _effect: Greet) -> None:
        """Have the model greet, over the connection that is up."""
        self._greet.set()

    async def run(self) -> None:
        """Carry out orders until cancelled; then close the connection.

        Raises:
            ConfigError: what the settings say of the service cannot be used.
        """
        await self._live.warm_up()
        self.warm = True
        while True:
            await self._ordered.wait()
            self._ordered.clear()
            self._greet.clear()
            if self._order is not None:
                # The old connection is closed before the new order is looked at: break, then make.
                await first_of(self._hold(self._order), self._ordered.wait())

    async def _hold(self, order: Dial) -> None:
        """Live through one connection, and report its end. Being cancelled is hanging up: nothing to report."""
        dialed = self._clock.now()
        log.debug("> dial: epoch=%d resume=%s", order.epoch, order.handle is not None)
        event: Event
        try:
            async with self._live.connect(order.handle) as connection:
                log.info(
                    "link up: epoch=%d resumed=%s took=%.2fs",
                    order.epoch,
                    connection.resumed,
                    self._clock.now() - dialed,
                )
                await self._use(connection, order.epoch)
        except LinkRefused as error:
            # No traceback: it is for the owner.
            log.error("link refused: epoch=%d cause=%s", order.epoch, error)  # noqa: TRY400
            event = events.Refused(order.epoch)
        except LinkLost as error:
            log.warning(
                "link lost: epoch=%d age=%.1fs cause=%s", order.epoch, self._clock.now() - dialed, error
            )
            event = events.Lost(
                order.epoch, self._jitter(), error.retry_after_s, session_lost=isinstance(error, SessionLost)
            )
        self._post(event)
        await asyncio.Event().wait()  # what comes next is an order

    async def _use(self, connection: Connection, epoch: int) -> None:
        self._uplink.connect(connection)
        self._void_until = 0.0
        self._post(events.Up(epoch, connection.resumed))
        try:
            await first_of(self._read(connection, epoch), self._write_greeting(connection))
        finally:
            self._uplink.connect(None)
            self._end_reply()  # a reply cut off by the connection's end is over when its sound is

    async def _write_greeting(self, connection: Connection) -> None:
        while True:
            await self._greet.wait()
            self._greet.clear()
            await connection.send_text(self._greeting)

    async def _read(self, connection: Connection, epoch: int) -> None:
        while True:
            for message in await connection.receive():
                self._sort(message, epoch)

    def _sort(self, message: Message, epoch: int) -> None:
        match message:
            case ReplyAudio(sound):
                self._play(sound, epoch)
            case GenerationEnded():
                self._end_reply()
            case TurnEnded():
                self._end_reply()
                self._void_until = 0.0
                self._post(events.TurnEnded(epoch))
            case Interrupted():
                # Only a reply that was still coming can have sound on its way that nobody shall hear.
                if self._reply_open:
                    self._void_until = self._clock.now() + VOID_S
                self._end_reply()
                self._post(events.ReplyInterrupted(epoch, self._reply))
            case GoingAway(left_s):
                log.info("link going away: epoch=%d left=%.0fs", epoch, left_s)
                self._post(events.GoingAway(epoch, left_s))
            case HandleIssued(handle):
                self._post(events.HandleIssued(epoch, handle))
            case UsageReported(prompt_tokens, response_tokens):
                self.prompt_tokens += prompt_tokens
                self.response_tokens += response_tokens
                log.debug("< usage: prompt=%d response=%d tokens", prompt_tokens, response_tokens)

    def _play(self, sound: bytes, epoch: int) -> None:
        if self._void_until and self._clock.now() < self._void_until:
            return
        if not self._reply_open:
            self._reply_open = True
            self._reply += 1
            self._downlink.add(self._reply, sound)
            self._post(events.ReplyBegan(epoch, self._reply))
        else:
            self._downlink.add(self._reply, sound)

    def _end_reply(self) -> None:
        if self._reply_open:
            self._reply_open = False
            self._downlink.end(self._reply)
