"""The one ordered inbox of the core.

Nothing that is posted ends the daemon, however much it is. Whoever reads for the service waits for `room`. Everybody
else posts a few events a second. If the box is full all the same, one event of the kind that fills it gives way.
"""

import asyncio
import logging
from collections import Counter, deque
from typing import Final

from kioskd.core.events import Event
from kioskd.fairness import others_first

log = logging.getLogger(__name__)

BOUND: Final = 1000
"""Events that wait at most. They are read at once, so a full box means that something floods it, or the engine hangs."""

CALM: Final = 50
"""`room` returns when no more than so many wait."""

ON_END: Final = 20
"""Events that are taken on end before everything else gets its turn."""


class Mailbox:
    """Where workers post what happened. For the loop's thread only."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._posted = asyncio.Event()
        self._calm = asyncio.Event()
        self._taken_on_end = 0
        self._flooded = False

    def post(self, event: Event) -> None:
        """Add an event; returns at once. In a full box the oldest event of the most frequent kind is dropped."""
        if len(self._events) >= BOUND:
            self._make_room()
        self._events.append(event)
        self._posted.set()

    async def room(self) -> None:
        """Return when the core has caught up. Whoever posts what a peer may send without end waits for this."""
        while len(self._events) > CALM:
            self._calm.clear()
            await self._calm.wait()

    async def take(self) -> Event:
        """Return the oldest event, waiting for one if needed. Safe to cancel."""
        self._taken_on_end += 1
        if self._taken_on_end > ON_END:
            self._taken_on_end = 0
            await others_first()
        while not self._events:
            self._taken_on_end = 0
            self._flooded = False
            self._posted.clear()
            await self._posted.wait()
        event = self._events.popleft()
        if len(self._events) <= CALM:
            self._calm.set()
        return event

    def _make_room(self) -> None:
        kind = Counter(map(type, self._events)).most_common(1)[0][0]
        if not self._flooded:
            self._flooded = True
            log.warning("inbox is full, dropping the oldest events of one kind: kind=%s", kind.__name__)
        del self._events[next(place for place, event in enumerate(self._events) if type(event) is kind)]
