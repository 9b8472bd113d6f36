"""Limits on input from the service, before it is parsed: on the time for frames, and on the number of fields.

Both protect the event loop, which also carries the sound: no peer can block it for long or fill the memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

SLICE_BYTES: Final = 2048
SHARE_S: Final = 0.005
"""Seconds that frames are parsed at a time, before other tasks run. One read of 256 kB can hold 100,000
frames."""

MOST_FIELDS: Final = 4000
"""Most brackets and commas in one message. The SDK builds an object for each field; 4000 take 30 ms on a
desk."""

MOST_UNSENT_BYTES: Final = 8 * 2**20
"""Limit of unsent answers. Beyond it the connection ends: the peer sends pings, but accepts no pongs. No
message of ours is as large."""


class TooManyFields(ValueError):
    """The SDK would take too long to parse this message."""


def check_fields(message: str | bytes) -> None:
    """Raise TooManyFields for a message with more than `MOST_FIELDS`. Sound is one field, whatever its
    length.

    Brackets and commas within a text count too; no spoken text has as many.
    """
    data = message.encode(errors="replace") if isinstance(message, str) else message
    if data.count(b"{") + data.count(b"[") + data.count(b",") > MOST_FIELDS:
        raise TooManyFields(f"more than {MOST_FIELDS} fields")


class BoundedIntake:
    """Passes received data to a parser in short slices of time, and stops the transport from reading
    meanwhile.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        parse: Callable[[bytes], None],
        *,
        full: Callable[[], bool],
    ) -> None:
        """`full` returns whether the parser's reader is behind, and has therefore paused the transport
        itself.
        """
        self._transport = transport
        self._loop = loop
        self._parse = parse
        self._full = full
        self._waiting: deque[bytes] = deque()
        self._next: asyncio.Handle | None = None

    def take(self, data: bytes) -> None:
        """Parse `data`, or the start of it. The rest is parsed after other tasks have run."""
        self._waiting.extend(data[start : start + SLICE_BYTES] for start in range(0, len(data), SLICE_BYTES))
        if self._next is None:
            self._go_on()
        else:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Let the transport read again, unless received data still has to be parsed."""
        if self._next is None:
            self._transport.resume_reading()

    def finish(self) -> None:
        """Parse the waiting data, as the connection ends. Data that would take too long is dropped."""
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
