"""How long to wait before dialing again."""

from typing import Final

FIRST_S: Final = 0.5
MOST_S: Final = 30.0


def delay_s(tries: int, jitter: float, retry_after_s: float | None = None) -> float:
    """Return the seconds before the next dial, after `tries` dials or connections in a row came to nothing.

    Exponential with full jitter: `jitter` in [0, 1) picks a moment below the bound, so that many kiosks behind one
    failed router do not return together. The first is tried at once. A `retry_after_s` of the service is the least.
    """
    bound = 0.0 if tries <= 1 else min(MOST_S, FIRST_S * 2.0 ** (min(tries, 16) - 1))
    return max(bound * jitter, retry_after_s or 0.0)
