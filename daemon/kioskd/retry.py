"""Retrying without end: the delays between tries, and one report when the thing in use is lost."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn


class RetryDelays:
    """The seconds between tries: `first_s`, then each time twice as long, at most `most_s`."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s = first_s

    def next(self) -> float:
        """Return the seconds to wait now. The next call returns twice as many."""
        delay_s, self._next_s = self._next_s, min(self._next_s * 2, self._most_s)
        return delay_s

    def reset(self) -> None:
        self._next_s = self._first_s


@dataclass(frozen=True, slots=True)
class TryEnded:
    """The end of one try to use something. A try always ends with a loss."""

    error: str
    """The cause of the loss, in words for the journal."""
    worked: bool = False
    """Whether the thing worked before the loss. Then the delays begin again, and the loss is reported."""
    at_once: bool = False
    """Whether the next try needs no delay."""


async def retry(
    once: Callable[[], Awaitable[TryEnded]],
    *,
    delays: RetryDelays,
    lost: Callable[[str], None],
    pause: Callable[[float], Awaitable[None]],
) -> NoReturn:
    """Use something again and again until cancelled, or until `once` raises.

    Args:
        once: Tries to use it. Returns when it is lost or could not be reached.
        delays: The delays between tries.
        lost: Gets the error of the first failed try, and of each loss after it had worked.
        pause: Waits for that many seconds, as `Clock.sleep` does. It may return sooner.
    """
    reported = False
    while True:
        ended = await once()
        if ended.worked:
            delays.reset()
        if ended.worked or not reported:
            lost(ended.error)
            reported = True
        if not ended.at_once:
            await pause(delays.next())
