"""What is written to the model and shown to it: little, in order, and never in the way of the sound.

    a session's first pictures ─┐
    greeting ───────────────────┼─► gate ─► connection
    texts, pictures asked for ──┘

Pictures wait for the sound to leave them room, and words wait for pictures no longer than a few seconds.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NoReturn

from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.ports import Clock, Connection

log = logging.getLogger(__name__)

MOST: Final = 8
"""Texts and pictures that wait for a connection; more are refused."""

FIRST_S: Final = 3.0
"""How long a session's first pictures are all that is sent; then they go when there is nothing else to send, ..."""

SHOWING_S: Final = 30.0
"""... and so long after they could have been, they are left out."""

ASKED_S: Final = 5.0
"""How long pictures that were asked for wait for the sound to leave them room, as many as wait together."""

_LEFT_OUT: Final = "pictures left out, the way to the service is too slow: count=%d waited=%.0fs"
_SLOW: Final = "the way to the service is too slow for pictures; try again"


def _nobody(_why: str) -> None:
    """There is nobody who wants to know."""


@dataclass(slots=True, eq=False)
class _Item:
    what: str | bytes = field(repr=False)
    settled: Callable[[str], None]
    until: float | None = None
    """When a picture is left out; None while nothing was tried."""


class Outbox:
    """What one conversation has to send. What a lost connection did not take is sent over the next."""

    def __init__(
        self, pacer: PicturePacer, clock: Clock, on_text: Callable[[str], None] = lambda _text: None
    ) -> None:
        """Be closed: there is no conversation yet. `on_text` is called with each text that a connection took."""
        self._pacer = pacer
        self._on_text = on_text
        self._open = False
        self._clock = clock
        self._first: deque[bytes] = deque()
        self._greeting: str | None = None
        self._items: deque[_Item] = deque()
        self._shut = False
        self._since = 0.0
        """From when on something could be sent."""
        self._changed = asyncio.Event()

    def begin(self, pictures: Sequence[bytes]) -> None:
        """Show these (JPEG) before all else: a new session has seen nothing yet."""
        self._first = deque(pictures)
        self._changed.set()

    def greet(self, greeting: str | None) -> None:
        """Say this next; None: it is not wanted any more."""
        self._greeting = greeting
        self._changed.set()

    def put(self, what: str | bytes, settled: Callable[[str], None] = _nobody) -> bool:
        """Say a text, or show a picture (JPEG), as soon as a connection can take it.

        Return False if there is no conversation, or too many wait. `settled` is told what became of it: why it was left
        out, or nothing if it was sent.
        """
        if not self._open or len(self._items) >= MOST:
            return False
        self._items.append(_Item(what, settled))
        self._changed.set()
        return True

    def open(self) -> None:
        """Take texts and pictures: a conversation goes on, or begins."""
        self._open = True

    def close(self) -> None:
        """Take nothing more, and forget what waits: the conversation is over."""
        self._open = False
        self._first.clear()
        self._greeting = None
        self._items.clear()

    def gate(self, *, shut: bool) -> None:
        """Hold everything back, or no more."""
        if self._shut and not shut:
            self._start()
        self._shut = shut
        self._changed.set()

    async def send(self, connection: Connection) -> NoReturn:
        """Send until cancelled.

        Raises:
            LinkLost: the connection is lost.
        """
        self._start()
        while True:
            self._changed.clear()
            if self._shut:
                await self._changed.wait()
            elif self._first and not self._pressed:
                await self._show_first(connection)
            elif self._greeting is not None:
                greeting, self._greeting = self._greeting, None
                await self._say(connection, greeting)
            elif self._items:
                await self._send(connection, self._items[0])
            else:
                await self._changed.wait()

    @property
    def _pressed(self) -> bool:
        """Whether the first pictures have to give way."""
        waiting = self._items or self._greeting is not None
        return bool(waiting) and self._clock.now() >= self._since + FIRST_S

    def _start(self) -> None:
        """Count no time in which nothing could be sent."""
        self._since = self._clock.now()
        for item in self._items:
            item.until = None

    async def _show_first(self, connection: Connection) -> None:
        pictures, until = self._first, self._since + SHOWING_S

        def wanted() -> bool:
            return (
                self._first is pictures
                and bool(pictures)
                and not self._shut
                and not self._pressed
                and self._clock.now() < until
            )

        if await self._pacer.send(
            connection, partial(connection.show_pictures, [pictures[0]]), wanted=wanted
        ):
            if pictures:  # else the conversation has ended meanwhile
                pictures.popleft()
        elif self._clock.now() >= until and pictures:
            log.warning(_LEFT_OUT, len(pictures), SHOWING_S)
            pictures.clear()

    async def _send(self, connection: Connection, item: _Item) -> None:
        why = ""
        match item.what:
            case str(text):
                await self._say(connection, text)
            case bytes(jpeg):
                until = self._deadline(item)

                def wanted() -> bool:
                    return self._is_next(item) and not self._shut and self._clock.now() < until

                if not await self._pacer.send(
                    connection, partial(connection.show_pictures, [jpeg]), wanted=wanted
                ):
                    if self._clock.now() < until:
                        return  # it may not be sent now, or not at all
                    log.warning(_LEFT_OUT, 1, ASKED_S)
                    why = _SLOW
        # Only now: what a lost connection did not take is the next one's. Or it is forgotten meanwhile.
        if self._is_next(item):
            self._items.popleft()
            item.settled(why)

    async def _say(self, connection: Connection, text: str) -> None:
        await connection.send_text(text)
        self._on_text(text)

    def _is_next(self, item: _Item) -> bool:
        return bool(self._items) and self._items[0] is item

    def _deadline(self, item: _Item) -> float:
        """Return when a picture is left out. All that wait with it have begun to wait: what is behind them waits once."""
        until = self._clock.now() + ASKED_S
        for waiting in self._items:
            waiting.until = waiting.until or until
        return item.until or until
