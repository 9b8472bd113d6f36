"""Repeated log lines are written a few times an hour, then counted: this bounds the journal of an unused kiosk."""

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

FEW: Final = 3
"""Lines of a kind within an hour before they are only counted. From then on one line an hour gives the count, until an
hour passes without a line of the kind."""

HOUR_S: Final = 3600.0

MOST_KINDS: Final = 500
"""Further lines share one kind: the lines of libraries may have figures in their formats."""

LineT = TypeVar("LineT")


@dataclass(slots=True)
class _Kind(Generic[LineT]):
    since: float
    said: int
    held: int = 0
    last: LineT | None = None


class LogThrottle(Generic[LineT]):
    """Decides which lines are written. For one thread at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` counts seconds from anywhere."""
        self._now = now
        self._kinds: dict[Hashable, _Kind[LineT]] = {}

    def passes(self, key: Hashable, line: LineT) -> bool:
        """Return whether to write `line`, one of the kind `key`; else it is counted."""
        now = self._now()
        if key not in self._kinds and len(self._kinds) >= MOST_KINDS:
            key = None
        kind = self._kinds.setdefault(key, _Kind(now, 0))
        if kind.said < FEW:
            kind.said += 1
            return True
        kind.held += 1
        kind.last = line
        return False

    def due(self) -> Iterator[tuple[int, LineT]]:
        """Yield, for each kind whose hour is over, the count of lines held back, and the last of them."""
        now = self._now()
        for key, kind in list(self._kinds.items()):
            if now - kind.since < HOUR_S:
                continue
            if kind.last is None:
                del self._kinds[key]
                continue
            yield kind.held, kind.last
            kind.since, kind.said, kind.held, kind.last = now, FEW, 0, None

    def reset(self) -> Iterator[tuple[int, LineT]]:
        """Forget all kinds, and yield as `due` does the lines held back until now."""
        kinds, self._kinds = self._kinds, {}
        for kind in kinds.values():
            if kind.last is not None:
                yield kind.held, kind.last
