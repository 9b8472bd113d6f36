"""New settings while the daemon runs: the old ones hold until the new ones are known to be good."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from kioskd import messages
from kioskd.errors import ConfigError
from kioskd.ports import Notifier

log = logging.getLogger(__name__)

T = TypeVar("T")

FAULTS: Final = 10
"""How many faults of a file are written to the journal; `kioskd check` names all."""


class Reload(Generic[T]):
    """Waits to be asked, reads, and hands over what was read."""

    def __init__(self, read: Callable[[], T]) -> None:
        """`read` may block, and raises ConfigError; it is called in a thread."""
        self._read = read
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[T]] = []
        """Those who wait for what comes of the next reading."""

    def ask(self) -> None:
        """Have the settings read again; returns at once."""
        self._asked.set()

    async def now(self) -> T:
        """Have the settings read again, and return what was taken over. May be cancelled; the reading goes on.

        Raises:
            ConfigError: they were refused, and the old ones hold.
        """
        verdict: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(verdict)
        self.ask()
        return await verdict

    async def run(self, apply: Callable[[T], None], notifier: Notifier) -> None:
        """Read and `apply` each time it is asked for, until cancelled; `notifier` is told when it begins and ends."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            notifier.reloading()
            try:
                new = await asyncio.to_thread(self._read)
            except ConfigError as error:
                for fault in str(error).splitlines()[:FAULTS]:
                    log.warning(
                        "settings not reloaded, the old ones stay: %s",
                        fault,
                        extra={"message_id": messages.RELOAD_REFUSED, "visitor": True},
                    )
                for verdict in _open(waiting):
                    verdict.set_exception(error)
            else:
                apply(new)
                for verdict in _open(waiting):
                    verdict.set_result(new)
            notifier.ready()


def _open(verdicts: list["asyncio.Future[T]"]) -> Iterator["asyncio.Future[T]"]:
    """Yield those that somebody still waits for."""
    return (verdict for verdict in verdicts if not verdict.done())
