"""Reloading the settings of a running daemon. The old settings stay until the new ones are known to be good.

A rejected file is reported as a trouble. This ends when a reload accepts the file, or when the file again
holds the settings that the daemon uses.
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
"""The most faults of a file that the journal lists. `kioskd check` lists all."""

LONGEST: Final = 200
"""The most characters of a fault in the status line, which shows other facts, too."""

LOOK_S: Final = 10.0
"""The seconds between two checks of a file that was rejected."""


class Reload(Generic[T]):
    """Reads settings when asked, and hands them over."""

    def __init__(self, read: Callable[[], T], content: Callable[[], bytes] = bytes) -> None:
        """`read` returns new settings or raises ConfigError; `content` returns the file's bytes.

        Both may block, and are called in a thread later; `content` is also called here.
        """
        self._read = read
        self._content = content
        self._good = content()
        self._bad: bytes | None = None
        """The file's content when it was rejected; None if the file is not rejected."""
        self._since = ""
        self._refused = asyncio.Event()
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[T]] = []
        """The callers of `now` that wait for the next reading."""

    def ask(self) -> None:
        """Have the settings read again. Returns at once."""
        self._asked.set()

    async def now(self) -> T:
        """Have the settings read again, and return the new ones. After a cancellation the reading goes on.

        Raises:
            ConfigError: the new settings were rejected, and the old ones stay.
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
        """Read and `apply` the settings each time a reload is asked for. Runs until cancelled.

        Before and after each reload the service manager is told through `notifier`.
        """
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
        """Clear a rejection when the file is back to the content in use. Runs until cancelled."""
        while True:
            await self._refused.wait()
            self._refused.clear()
            while self._bad is not None:
                await clock.sleep(LOOK_S)
                bad = self._bad
                held = await asyncio.to_thread(self._content)
                # An unchanged file may be rejected, too: for a library that is missing by now. It stays
                # rejected.
                if self._bad is bad and bad not in (None, self._good) and held == self._good:
                    self._bad = None
                    post(SettingsRefused())


def _short(faults: str) -> str:
    """Return the first fault, and how many more there are."""
    first, *more = faults.splitlines() or [""]
    if len(first) > LONGEST:
        first = f"{first[:LONGEST]}…"
    return f"{first}; and {len(more)} more" if more else first


def _open(verdicts: list["asyncio.Future[T]"]) -> Iterator["asyncio.Future[T]"]:
    return (verdict for verdict in verdicts if not verdict.done())
