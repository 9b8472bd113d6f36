"""A limit for repeated log lines: a few an hour are written, and the rest are only counted."""

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

FEW: Final = 3
"""The number of lines of one kind that are written before further ones are only counted.

After that, one line an hour gives the count. The throttle forgets a kind after an hour without a line of it.
"""

HOUR_S: Final = 3600.0

MOST_KINDS: Final = 500
"""The most kinds that are counted apart. Further lines share one, as libraries may format numbers in."""

LineT = TypeVar("LineT")


@dataclass(slots=True)
class _Kind(Generic[LineT]):
    since: float
    said: int
    held: int = 0
    last: LineT | None = None


class LogThrottle(Generic[LineT]):
    """Decides which log lines are written. Not thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns seconds from any starting point."""
        self._now = now
        self._kinds: dict[Hashable, _Kind[LineT]] = {}

    def passes(self, key: Hashable, line: LineT) -> bool:
        """Return whether to write `line`, whose kind is `key`. If not, the line is counted."""
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
        """Yield count and last of the held lines of each kind whose hour is over."""
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
        """Forget all kinds. Yield count and last of the held lines of each kind that has some."""
        kinds, self._kinds = self._kinds, {}
        for kind in kinds.values():
            if kind.last is not None:
                yield kind.held, kind.last
