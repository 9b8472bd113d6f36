"""Old sound that comes in a burst after a device, its server or this process stood still. No sound library here.

A sound server that was stopped for two seconds goes on recording when it goes on running, and then delivers those two
seconds at once: an answer to them would come too late, and all that follows would be late by as much.
"""

from typing import Final

GAP_S: Final = 0.5
"""A pause between callbacks that is no hiccup of a busy machine: what it held back is late, and still one sentence."""

_FRESH_S: Final = 0.06
"""Sound that is not older than this is new: what a device has in its own buffer anyway."""

_WINDOW_S: Final = 0.2
_FASTER: Final = 1.5
"""A burst is over when in 0.2 s no more than 0.3 s of sound came, however much was held back: a server may have lost
some of it, or all."""


class StaleAudioFilter:
    """Says of each piece of sound whether it is old: one that came behind a gap, faster than time passes."""

    def __init__(self) -> None:
        self.gap_s = 0.0
        """How long the last standstill was, in seconds."""
        self.dropped_s = 0.0
        """Seconds of sound called old since the last standstill."""
        self._last: float | None = None
        self._began: float | None = None
        self._window = (0.0, 0.0)

    @property
    def dropping(self) -> bool:
        """Whether the old sound has not come to its end yet."""
        return self._began is not None

    def is_old(self, now: float, seconds: float) -> bool:
        """Take a piece that lasts `seconds` and came at the monotonic second `now`; say whether to drop it.

        Behind a standstill without a burst, no more than 0.3 s of new sound are dropped; behind a burst that ends too
        early, twice that.
        """
        last, self._last = self._last, now
        if last is not None and now - last >= GAP_S:
            # A second standstill before the first was made up for: its sound is to come as well.
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
        """Whether the sound comes no faster than time passes."""
        since, dropped_s = self._window
        if now - since < _WINDOW_S:
            return False
        self._window = (now, self.dropped_s)
        return self.dropped_s - dropped_s < _FASTER * (now - since)

    def _lag_s(self, now: float) -> float:
        """How old the next piece is, if the device has recorded all the while."""
        assert self._began is not None
        return self.gap_s + (now - self._began) - self.dropped_s
