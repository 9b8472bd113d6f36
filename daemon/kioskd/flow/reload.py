"""New settings while the daemon runs: the old ones hold until the new ones are known to be good."""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from kioskd import messages
from kioskd.errors import ConfigError
from kioskd.ports import Notifier

log = logging.getLogger(__name__)

T = TypeVar("T")


class Reload(Generic[T]):
    """Waits to be asked, reads, and hands over what was read."""

    def __init__(self, read: Callable[[], T]) -> None:
        """`read` may block, and raises ConfigError; it is called in a thread."""
        self._read = read
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have the settings read again; returns at once."""
        self._asked.set()

    async def run(self, apply: Callable[[T], None], notifier: Notifier) -> None:
        """Read and `apply` each time it is asked for, until cancelled; `notifier` is told when it begins and ends."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            notifier.reloading()
            try:
                new = await asyncio.to_thread(self._read)
            except ConfigError as error:
                log.warning(
                    "settings not reloaded, the old ones stay: %s",
                    error,
                    extra={"message_id": messages.RELOAD_REFUSED, "visitor": True},
                )
            else:
                apply(new)
            notifier.ready()
