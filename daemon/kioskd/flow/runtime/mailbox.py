"""The core's inbox. It keeps the events in order.

Posting never ends the daemon. The task that posts what the service sends waits for `room`; all others post
only a few events a second. If the inbox is full nevertheless, the oldest event of the most frequent kind is
dropped.
"""

import asyncio
import logging
from collections import Counter, deque
from typing import Final

from kioskd.core.events import Event
from kioskd.fairness import others_first

log = logging.getLogger(__name__)

BOUND: Final = 1000
"""The most events that wait. They are taken at once, so a full inbox means a flood or a hanging engine."""

CALM: Final = 50
"""`room` returns when at most this number of events wait."""

ON_END: Final = 20
"""The most events that are taken in a row before all other tasks run once."""


class Mailbox:
    """The queue of events from the workers to the core. For the event loop's thread only."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._posted = asyncio.Event()
        self._calm = asyncio.Event()
        self._taken_on_end = 0
        self._flooded = False

    def post(self, event: Event) -> None:
        """Add an event; return at once. A full inbox drops the oldest event of the most frequent kind."""
        if len(self._events) >= BOUND:
            self._make_room()
        self._events.append(event)
        self._posted.set()

    async def room(self) -> None:
        """Return when the core has caught up. A task that posts without limit must wait for this."""
        while len(self._events) > CALM:
            self._calm.clear()
            await self._calm.wait()

    async def take(self) -> Event:
        """Return the oldest event; wait for one if there is none. Safe to cancel."""
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
