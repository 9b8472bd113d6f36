"""Filter for late sound, which comes in a burst after a device, its server or this process stood still.

It uses no sound library. A sound server that was stopped for two seconds delivers those two seconds at once
when it continues. An answer to them would come too late, and all later sound would be late by two seconds.
"""

from typing import Final

GAP_S: Final = 0.5
"""Seconds between callbacks that count as a standstill. Sound held back for less is not dropped."""

_FRESH_S: Final = 0.06
"""Seconds of lag that still count as new sound: a device's own buffer causes as much."""

_WINDOW_S: Final = 0.2
_FASTER: Final = 1.5
"""Factor of real time below which a burst is over: at most 0.3 s of sound in 0.2 s. How much was held back
does not matter, since a server may lose some or all of it.
"""


class StaleAudioFilter:
    """Filter that tells whether a piece of sound is old, i.e. came after a gap and faster than real time."""

    def __init__(self) -> None:
        self.gap_s = 0.0
        """Length of the last standstill, in seconds."""
        self.dropped_s = 0.0
        """Seconds of sound that counted as old since the last standstill."""
        self._last: float | None = None
        self._began: float | None = None
        self._window = (0.0, 0.0)

    @property
    def dropping(self) -> bool:
        """Whether a burst of old sound has not ended yet."""
        return self._began is not None

    def is_old(self, now: float, seconds: float) -> bool:
        """Return whether to drop a piece of `seconds` that came at the monotonic time `now`.

        After a standstill without a burst, at most 0.3 s of new sound are dropped. After a burst that ends
        early, at most twice that.
        """
        last, self._last = self._last, now
        if last is not None and now - last >= GAP_S:
            # A second standstill during the burst: the rest of the first burst is still to come.
            behind = self._lag_s(now) if self._began is not None else now - last
            self.gap_s, self.dropped_s, self._began, self._window = behind, 0.0, now, (now, 0.0)
        if self._began is None:
            return False
        if self._lag_s(now) <= _FRESH_S or self._in_real_time(now):
            self._began = None
            return False
        self.dropped_s += seconds
        return True

    def _in_real_time(self, now: float) -> bool:
        """Return whether sound comes no faster than real time."""
        since, dropped_s = self._window
        if now - since < _WINDOW_S:
            return False
        self._window = (now, self.dropped_s)
        return self.dropped_s - dropped_s < _FASTER * (now - since)

    def _lag_s(self, now: float) -> float:
        """Return the lag of the next piece in seconds, if the device recorded all the time."""
        assert self._began is not None
        return self.gap_s + (now - self._began) - self.dropped_s
