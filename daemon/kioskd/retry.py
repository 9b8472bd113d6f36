"""Trying again, for ever: how long to wait between tries, and to say once that something is lost."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn


class RetryDelays:
    """The seconds between tries: `first_s`, then twice as long each time, `most_s` at most."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s = first_s

    def next(self) -> float:
        """Return the seconds to wait now; the next time it is twice as long."""
        delay_s, self._next_s = self._next_s, min(self._next_s * 2, self._most_s)
        return delay_s

    def reset(self) -> None:
        """Begin with `first_s` again."""
        self._next_s = self._first_s


@dataclass(frozen=True, slots=True)
class TryEnded:
    """How one try to use something ended, which is always a loss."""

    error: str
    """What went wrong, in words for the journal."""
    worked: bool = False
    """Whether it was in use meanwhile: then the delays begin again, and the loss is said."""
    at_once: bool = False
    """Whether the next try needs no delay."""


async def retry(
    once: Callable[[], Awaitable[TryEnded]],
    *,
    delays: RetryDelays,
    lost: Callable[[str], None],
    pause: Callable[[float], Awaitable[None]],
) -> NoReturn:
    """Use something again and again until cancelled; an error of `once` ends it.

    Args:
        once: tries it, and returns when it is lost or was not reached.
        delays: between tries.
        lost: gets the error of the first failed try, and of the first after it has worked.
        pause: waits for so many seconds, as `Clock.sleep` does; it may return sooner.
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
