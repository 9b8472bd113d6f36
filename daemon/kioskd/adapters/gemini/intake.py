"""Bounds on what the service sends, before anything is made of it: in time for its frames, in fields for its messages.

Both are about the event loop, which also carries the sound: no peer may hold it for long, and none may fill the memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

SLICE_BYTES: Final = 2048
SHARE_S: Final = 0.005
"""How long frames are taken apart before all others get their turn. A read of 256 kB may hold 100,000 of them."""

MOST_FIELDS: Final = 4000
"""Brackets and commas in one message. The SDK builds an object for each field: so many take it 30 ms on a desk."""

MOST_UNSENT_BYTES: Final = 8 * 2**20
"""A peer that makes us answer (pings) and takes no answer is given up at this. Nothing of ours is as large."""


class TooManyFields(ValueError):
    """A message that would take the SDK too long to take apart."""


def check_fields(message: str | bytes) -> None:
    """Raise TooManyFields for a message of more than `MOST_FIELDS`. Sound is one field, however long.

    Those within a text count too; no text of a talk has so many.
    """
    data = message.encode(errors="replace") if isinstance(message, str) else message
    if data.count(b"{") + data.count(b"[") + data.count(b",") > MOST_FIELDS:
        raise TooManyFields(f"more than {MOST_FIELDS} fields")


class BoundedIntake:
    """Hands what was read to a parser, a share of time after the other; the transport reads nothing more meanwhile."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        parse: Callable[[bytes], None],
        *,
        full: Callable[[], bool],
    ) -> None:
        """`full`: whether the parser's reader is behind, so that it has paused the transport itself."""
        self._transport = transport
        self._loop = loop
        self._parse = parse
        self._full = full
        self._waiting: deque[bytes] = deque()
        self._next: asyncio.Handle | None = None

    def take(self, data: bytes) -> None:
        """Parse `data`, or begin with it; the rest follows when all others had their turn."""
        self._waiting.extend(data[start : start + SLICE_BYTES] for start in range(0, len(data), SLICE_BYTES))
        if self._next is None:
            self._go_on()
        else:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on, unless what was read has to be parsed first."""
        if self._next is None:
            self._transport.resume_reading()

    def finish(self) -> None:
        """Parse what waits: the connection ends. A peer that left too much behind is not heard out."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._parse_for(4 * SHARE_S)
        self._waiting.clear()

    def _go_on(self) -> None:
        paused, self._next = self._next is not None, None
        self._parse_for(SHARE_S)
        if self._waiting:
            self._transport.pause_reading()
            self._next = self._loop.call_soon(self._go_on)
        elif paused and not self._full():
            self._transport.resume_reading()

    def _parse_for(self, seconds: float) -> None:
        until = self._loop.time() + seconds
        while self._waiting and self._loop.time() < until:
            self._parse(self._waiting.popleft())
