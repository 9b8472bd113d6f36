"""The outbox: texts and pictures for the model, in order. They never delay the sound.

    the subject's text and pictures ─┐
    a session's first pictures ──────┤
    greeting ────────────────────────┼─► gate ─► connection
    texts, requested pictures ───────┘

Pictures wait until the sound leaves room for them. Texts wait for pictures only a few seconds.
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
"""The most texts and pictures that wait. Further ones are rejected."""

FIRST_S: Final = 3.0
"""The seconds in which a session's first pictures come before all else. Then texts and requests do."""

SHOWING_S: Final = 30.0
"""The seconds after which the first pictures that could not be sent are dropped."""

ASKED_S: Final = 5.0
"""The most seconds that requested pictures wait for room. All that wait together share this time."""

_LEFT_OUT: Final = "pictures dropped, the line to the service is too slow: count=%d waited=%.0fs"
_SLOW: Final = "the line to the service is too slow for pictures; try again"


def _nobody(_why: str) -> None:
    """Ignore the fate of an item."""


@dataclass(slots=True, eq=False)
class _Item:
    what: str | bytes = field(repr=False)
    settled: Callable[[str], None]
    until: float | None = None
    """The clock's time when a picture is dropped; None while it was not tried."""


@dataclass(frozen=True, slots=True)
class Background:
    """The things that the model is to know in this conversation, besides its instructions."""

    text: str = field(default="", repr=False)
    """A text that asks for no answer. Empty: there is none."""
    pictures: Sequence[bytes] = field(default=(), repr=False)
    """JPEGs that follow the text."""
    greeting: str = field(default="", repr=False)
    """The instruction for the model's next words, in place of the general greeting. Empty: there is none."""


class Outbox:
    """The texts and pictures of one conversation. Items that a lost connection did not take are kept."""

    def __init__(
        self, pacer: PicturePacer, clock: Clock, on_text: Callable[[str], None] = lambda _text: None
    ) -> None:
        """Start closed, without a conversation. `on_text` is called with each text that a connection took."""
        self._pacer = pacer
        self._on_text = on_text
        self._open = False
        self._clock = clock
        self._background: Background | None = None
        self._fact = ""
        """The background's text, if the session has not got it yet."""
        self._about: deque[bytes] = deque()
        """The background's pictures that the session has not got yet."""
        self._first: deque[bytes] = deque()
        self._greeting: str | None = None
        self._items: deque[_Item] = deque()
        self._shut = False
        self._since = 0.0
        """The clock's time since when items could be sent."""
        self._changed = asyncio.Event()

    def begin(self, pictures: Sequence[bytes]) -> None:
        """Send the background and these JPEGs before all else, because a new session has seen nothing."""
        self._first = deque(pictures)
        if self._background is not None:
            self._fact, self._about = self._background.text, deque(self._background.pictures)
        self._changed.set()

    def use(self, background: Background) -> None:
        """Use a background from the beginning of a conversation on: its session gets it with `begin`."""
        self._background = background

    def change(self, background: Background) -> None:
        """Use another background from now on, and send it at once. Its greeting is a turn of its own."""
        self._background = background
        self._fact, self._about = background.text, deque(background.pictures)
        self._greeting = background.greeting or None
        self._since = self._clock.now()
        self._changed.set()

    def greet(self, greeting: str | None) -> None:
        """Send this text next, or the background's greeting; None: do not greet any more."""
        if greeting is not None and self._background is not None:
            greeting = self._background.greeting or greeting
        self._greeting = greeting
        self._changed.set()

    def put(self, what: str | bytes, settled: Callable[[str], None] = _nobody) -> bool:
        """Send a text or a picture (JPEG) as soon as a connection can take it.

        Return False if there is no conversation, or too many items wait. Later, `settled` gets the reason if
        the item is dropped, or "" when it is sent.
        """
        if not self._open or len(self._items) >= MOST:
            return False
        self._items.append(_Item(what, settled))
        self._changed.set()
        return True

    def open(self) -> None:
        """Accept texts and pictures, because a conversation begins or goes on."""
        self._open = True

    def close(self) -> None:
        """Accept no more, and drop the items that wait, because the conversation is over."""
        self._open = False
        self._background, self._fact = None, ""
        self._about.clear()
        self._first.clear()
        self._greeting = None
        self._items.clear()

    def gate(self, *, shut: bool) -> None:
        """Hold all items back, or send them again."""
        if self._shut and not shut:
            self._start()
        self._shut = shut
        self._changed.set()

    async def send(self, connection: Connection) -> NoReturn:
        """Send items until cancelled.

        Raises:
            LinkLost: the connection is lost.
        """
        self._start()
        while True:
            self._changed.clear()
            if self._shut:
                await self._changed.wait()
            elif self._fact:
                await self._add(connection, self._fact)
            elif (self._about or self._first) and not self._pressed:
                await self._show_first(connection, self._about or self._first)
            elif self._greeting is not None:
                greeting, self._greeting = self._greeting, None
                await self._say(connection, greeting)
            elif self._items:
                await self._send(connection, self._items[0])
            else:
                await self._changed.wait()

    @property
    def _pressed(self) -> bool:
        """Whether texts and requested pictures now come before the first pictures."""
        waiting = self._items or self._greeting is not None
        return bool(waiting) and self._clock.now() >= self._since + FIRST_S

    def _start(self) -> None:
        self._since = self._clock.now()
        for item in self._items:
            item.until = None

    async def _add(self, connection: Connection, text: str) -> None:
        await connection.send_context(text)
        if self._fact is text:  # else there is another one, or the conversation has ended
            self._fact = ""

    async def _show_first(self, connection: Connection, contents: deque[bytes]) -> None:
        """Send the next one of `contents`, which are `_about` or `_first`."""
        first, until = contents[0], self._since + SHOWING_S

        def wanted() -> bool:
            return (
                any(contents is each for each in (self._about, self._first))
                and bool(contents)
                and not self._shut
                and not self._pressed
                and self._clock.now() < until
            )

        if await self._pacer.send(connection, partial(connection.show_pictures, [first]), wanted=wanted):
            if contents:  # else the conversation has ended
                contents.popleft()
        elif self._clock.now() >= until and contents:
            log.warning(_LEFT_OUT, len(contents), SHOWING_S)
            contents.clear()

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
                        return  # it may be sent later, or the conversation has ended
                    log.warning(_LEFT_OUT, 1, ASKED_S)
                    why = _SLOW
        # Only now, because an item that a lost connection did not take waits for the next connection.
        if self._is_next(item):
            self._items.popleft()
            item.settled(why)

    async def _say(self, connection: Connection, text: str) -> None:
        await connection.send_text(text)
        self._on_text(text)

    def _is_next(self, item: _Item) -> bool:
        return bool(self._items) and self._items[0] is item

    def _deadline(self, item: _Item) -> float:
        """Return when a picture is dropped. All items that wait now get the same time."""
        until = self._clock.now() + ASKED_S
        for waiting in self._items:
            waiting.until = waiting.until or until
        return item.until or until
