"""The rehearsal's event_log: who did what and when, in order. All that is reported is read from it."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from kioskd.ports import Clock

EventSource = Literal["visitor", "kiosk", "daemon", "service"]
"""Who: `daemon` for what happened inside it, `kiosk` for what people notice of that."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One thing that happened."""

    t: float
    """The clock's seconds."""
    by: EventSource
    what: str
    data: Mapping[str, object] = field(default_factory=dict)
    """Numbers and words about it. Never speech, a handle or a key."""

    def line(self, start: float) -> str:
        """Return a line of `events.jsonl`; times count from `start`."""
        return json.dumps({"t": round(self.t - start, 4), "by": self.by, "what": self.what, **self.data})


class EventLog:
    """Takes notes and wakes those who wait for something to happen. One event loop."""

    def __init__(self, clock: Clock) -> None:
        self.notes: list[LoggedEvent] = []
        self._clock = clock
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[LoggedEvent], None]] = []
        self._watchers: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[LoggedEvent], None]) -> None:
        """Call `listener` with each new note."""
        self._listeners.append(listener)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever something may have changed: with each note, and some hundred times a second."""
        self._watchers.append(watcher)

    def add(self, by: EventSource, what: str, t: float | None = None, /, **data: object) -> None:
        """Note something; `t` defaults to now."""
        note = LoggedEvent(self._clock.now() if t is None else t, by, what, data)
        self.notes.append(note)
        for listener in self._listeners:
            listener(note)
        self.ring()

    def ring(self) -> None:
        """Have those who wait look again: something changed that is no note."""
        for watcher in self._watchers:
            watcher()
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when `holds()` is true; asked at each note and ring. One caller at a time."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def find(self, by: EventSource, what: str) -> Iterator[LoggedEvent]:
        """Return the notes of one kind, in order."""
        return (note for note in self.notes if note.by == by and note.what == what)
