"""Reports events of the simulator at once."""

import asyncio
import time
from collections.abc import Callable

EventObserver = Callable[[str, dict[str, object]], None]
"""A function that gets kind and data of each event."""


class EventFeed:
    """Passes events to an observer, and lets tasks wait for events."""

    def __init__(self, observe: EventObserver) -> None:
        self._observe = observe
        self._past: dict[str, list[dict[str, object]]] = {}
        self._waiting: list[tuple[str, int, asyncio.Future[dict[str, object]]]] = []

    def emit(self, kind: str, **data: object) -> None:
        """Report an event. `data` holds lengths and ids, never contents."""
        data["t"] = time.monotonic()
        past = self._past.setdefault(kind, [])
        past.append(data)
        self._observe(kind, data)
        for wanted, nth, future in self._waiting:
            if wanted == kind and nth == len(past) and not future.done():
                future.set_result(data)

    def count(self, kind: str) -> int:
        """Return the number of events of this kind since the last `forget`."""
        return len(self._past.get(kind, ()))

    def forget(self) -> None:
        """Forget past events: counting starts at zero again."""
        self._past.clear()

    async def wait_for(self, kind: str, nth: int) -> dict[str, object]:
        """Return the data of the nth event of this kind, which may be past; the caller sets the deadline."""
        past = self._past.get(kind, [])
        if len(past) >= nth:
            return past[nth - 1]
        future: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        entry = (kind, nth, future)
        self._waiting.append(entry)
        try:
            return await future
        finally:
            self._waiting.remove(entry)
