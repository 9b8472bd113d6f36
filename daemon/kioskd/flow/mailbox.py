"""The one ordered inbox of the core."""

import asyncio

from kioskd.core.events import Event

BOUND = 1000
"""Events are few (tens a second at the very most) and are read at once: a full box means that the engine hangs."""


class Mailbox:
    """Where workers post what happened. For the loop's thread only."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue(BOUND)

    def post(self, event: Event) -> None:
        """Add an event; returns at once.

        Raises:
            asyncio.QueueFull: nobody reads any more, which is a bug and ends the daemon.
        """
        self._events.put_nowait(event)

    async def take(self) -> Event:
        """Return the oldest event, waiting for one if needed. Safe to cancel."""
        return await self._events.get()
