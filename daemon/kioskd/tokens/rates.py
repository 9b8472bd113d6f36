"""Limits within a minute: how often one device, and all of them, get a token; and JWTs that were used."""

from collections import defaultdict, deque
from typing import Final

MINUTE_S: Final = 60.0


class MinuteRate:
    """A number of events within any minute. Each name is counted apart, and bounded by the limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def wait_s(self, name: str, now: float) -> float:
        """Return the seconds after which one more event is allowed; 0 if it is allowed now."""
        times = self._times[name]
        while times and now - times[0] >= MINUTE_S:
            times.popleft()
        return 0.0 if len(times) < self.most else times[-self.most] + MINUTE_S - now

    def count(self, name: str, now: float) -> None:
        """Count an event that was allowed."""
        self._times[name].append(now)


class SpentProofs:
    """The identifiers of JWTs that were used, as long as these would be valid. Each device has its own."""

    def __init__(self, most: int) -> None:
        """`most`: identifiers that are kept for one device; with more of them it has to wait."""
        self._most = most
        self._until: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def spend(self, device: str, identifier: str, expires: float, now: float) -> float | None:
        """Note the use of an identifier; return the seconds to wait if there is no room for it, else 0.

        None: it was used before.
        """
        kept = {each: until for each, until in self._until[device].items() if until > now}
        self._until[device] = kept
        if identifier in kept:
            return None
        if len(kept) >= self._most:
            return max(1.0, min(kept.values()) - now)
        kept[identifier] = expires
        return 0.0
