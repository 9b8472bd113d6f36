"""When the visitor's sound arrived at the service's stand-in, as seen from outside of it."""

import bisect
import itertools
from collections.abc import Callable, Iterable

from kioskd.media import pcm
from kioskd.ports import Clock


class Arrivals:
    """The growth of what the service has received. Looked at often (`look`), so exact to some 10 ms."""

    def __init__(self, clock: Clock, received: Callable[[], int]) -> None:
        """`received` says how many bytes there are so far."""
        self.times: list[float] = []
        self._totals: list[int] = []
        self._clock = clock
        self._received = received

    def look(self) -> None:
        """Note what has come since the last look."""
        total = self._received()
        if total > (self._totals[-1] if self._totals else 0):
            self.times.append(self._clock.now())
            self._totals.append(total)

    def time_of(self, frame: int) -> float | None:
        """Return when a frame was there, which is counted in the order of arrival; None: it was not seen to come."""
        at = bisect.bisect_left(self._totals, (frame + 1) * pcm.FRAME_BYTES)
        return self.times[at] if at < len(self.times) else None

    def longest_gap_s(self, spans: Iterable[tuple[float, float]]) -> float | None:
        """Return the longest time between two arrivals within one of `spans`; None where there were no two."""
        gaps = []
        for began, ended in spans:
            first, last = bisect.bisect_left(self.times, began), bisect.bisect_right(self.times, ended)
            within = self.times[first:last]
            gaps += [after - before for before, after in itertools.pairwise(within)]
        return max(gaps, default=None)
