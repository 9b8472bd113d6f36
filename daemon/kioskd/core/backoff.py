"""Computes the delay before the next dial."""

from typing import Final

FIRST_S: Final = 0.5
MOST_S: Final = 30.0


def delay_s(tries: int, jitter: float, retry_after_s: float | None = None) -> float:
    """Return the seconds to wait before the next dial, after `tries` dials or connections in a row failed.

    The first retry comes at once; later delays grow exponentially with full jitter. `jitter` in [0, 1) picks
    a moment below the bound, so that many kiosks behind one failed router do not dial together. The delay is
    at least the service's `retry_after_s`.
    """
    bound = 0.0 if tries <= 1 else min(MOST_S, FIRST_S * 2.0 ** (min(tries, 16) - 1))
    return max(bound * jitter, retry_after_s or 0.0)
