"""New settings while the daemon runs: the old ones hold until the new ones are known to be good.

A file that was refused is a trouble until a reload takes the file over, or until it is again what the daemon goes by.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Generic, NoReturn, TypeVar

from kioskd import journal_ids
from kioskd.core.events import SettingsRefused
from kioskd.errors import ConfigError
from kioskd.ports import Clock, Notifier

log = logging.getLogger(__name__)

T = TypeVar("T")

FAULTS: Final = 10
"""How many faults of a file are written to the journal; `kioskd check` names all."""

LONGEST: Final = 200
"""Characters of a fault in the status line, which has more to say."""

LOOK_S: Final = 10.0
"""Between two looks at a file that was refused."""


class Reload(Generic[T]):
    """Waits to be asked, reads, and hands over what was read."""

    def __init__(self, read: Callable[[], T], content: Callable[[], bytes] = bytes) -> None:
        """`read` may block, and raises ConfigError; it is called in a thread, and so is `content`: what the file holds."""
        self._read = read
        self._content = content
        self._good = content()
        self._bad: bytes | None = None
        """What the file held when it was refused; None where it was not."""
        self._since = ""
        self._refused = asyncio.Event()
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

    async def run(
        self,
        apply: Callable[[T], None],
        notifier: Notifier,
        *,
        post: Callable[[SettingsRefused], None] = lambda _event: None,
        wall: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Read and `apply` each time it is asked for, until cancelled; `notifier` is told when it begins and ends."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            notifier.reloading()
            held = await asyncio.to_thread(self._content)
            try:
                new = await asyncio.to_thread(self._read)
            except ConfigError as error:
                for fault in str(error).splitlines()[:FAULTS]:
                    log.warning(
                        "settings not reloaded, the old ones stay: %s",
                        fault,
                        extra={"message_id": journal_ids.RELOAD_REFUSED, "visitor": True},
                    )
                if self._bad is None:
                    self._since = f"{wall():%Y-%m-%d %H:%M}"
                self._bad = held
                self._refused.set()
                post(SettingsRefused(_short(str(error)), self._since))
                for verdict in _open(waiting):
                    verdict.set_exception(error)
            else:
                self._good, self._bad = held, None
                apply(new)
                post(SettingsRefused())
                for verdict in _open(waiting):
                    verdict.set_result(new)
            notifier.ready()

    async def watch(self, clock: Clock, post: Callable[[SettingsRefused], None]) -> NoReturn:
        """Find out when a file that was refused has been put back as it was, until cancelled."""
        while True:
            await self._refused.wait()
            self._refused.clear()
            while self._bad is not None:
                await clock.sleep(LOOK_S)
                bad = self._bad
                held = await asyncio.to_thread(self._content)
                # The same file may be refused for what the machine lacks by now: that is not mended by itself.
                if self._bad is bad and bad not in (None, self._good) and held == self._good:
                    self._bad = None
                    post(SettingsRefused())


def _short(faults: str) -> str:
    """Return the first of the faults, and how many more there are."""
    first, *more = faults.splitlines() or [""]
    if len(first) > LONGEST:
        first = f"{first[:LONGEST]}…"
    return f"{first}; and {len(more)} more" if more else first


def _open(verdicts: list["asyncio.Future[T]"]) -> Iterator["asyncio.Future[T]"]:
    """Yield those that somebody still waits for."""
    return (verdict for verdict in verdicts if not verdict.done())
