"""The writer of data that outlives a restart: one write at a time. It reports disk faults to the core.

Without a working disk the kiosk only loses this data at a restart. A fault is reported when it is found. It
is cleared within a minute after it is mended, and then all failed writes are done.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from kioskd.core.events import Event, StorageFailed
from kioskd.ports import Clock

LOOK_S: Final = 60.0
"""The seconds between two checks of the places, and the least seconds between two tries of a failed write."""

DiskWork = Callable[[], None]
"""Runs in a thread. Raises OSError if the disk does not allow it."""


class DiskWriter:
    """Writes all data that outlives a restart. For the event loop's thread."""

    def __init__(
        self, clock: Clock, post: Callable[[Event], None], places: Mapping[str, DiskWork] | None = None
    ) -> None:
        """`places`: a check of each place where data is stored, by its name.

        A check writes nothing, and raises OSError if no data could be written there. Without places, only
        failed writes show a fault.
        """
        self._clock = clock
        self._post = post
        self._places = places or {}
        self._failed: dict[str, OSError] = {}
        """The error of each place and each write that fails now, by name."""
        self._again: dict[str, tuple[DiskWork, float]] = {}
        """The writes that have failed, each with the time of its last try."""
        self._one_at_a_time = asyncio.Lock()
        self._said = ""

    async def save(self, what: str, write: DiskWork) -> bool:
        """Call `write` in a thread, and return whether it worked. If not, it is called again until it works.

        So `write` must store the newest data each time. A failed write is tried at most once a minute, and at
        once when a place works again. Writes come one after the other. A write that has begun is waited for
        even when cancelled, so that a later one stores newer data.
        """
        async with self._one_at_a_time:
            if self._is_due(what):
                await self._write(what, write)
            if self._failed:
                await self._look()
            self._tell()
            return what not in self._failed

    async def run(self) -> NoReturn:
        """Check the places, and retry failed writes, until cancelled."""
        while True:
            async with self._one_at_a_time:
                await self._look()
                self._tell()
            await self._clock.sleep(LOOK_S)

    async def _look(self) -> None:
        """Check the places. Retry the failed writes that are due, or all if a place works again."""
        bad = self._failed.keys() & self._places.keys()
        for name, look in self._places.items():
            await self._try(name, look)
        mended = bad - self._failed.keys()
        for what, (write, _) in list(self._again.items()):
            if mended or self._is_due(what):
                await self._write(what, write)

    def _is_due(self, what: str) -> bool:
        return what not in self._again or self._clock.now() - self._again[what][1] >= LOOK_S

    async def _write(self, what: str, write: DiskWork) -> None:
        await self._try(what, write)
        if what in self._failed:
            self._again[what] = write, self._clock.now()
        else:
            self._again.pop(what, None)

    async def _try(self, name: str, work: DiskWork) -> None:
        if (trouble := await _in_thread(work)) is None:
            self._failed.pop(name, None)
        else:
            self._failed[name] = trouble

    def _tell(self) -> None:
        """Report a change. If there are several faults, only the oldest is reported."""
        name, trouble = next(iter(self._failed.items()), ("", None))
        why = "" if trouble is None else trouble.strerror or type(trouble).__name__
        if why == self._said:
            return
        self._said = why
        self._post(StorageFailed(why, "" if trouble is None else str(trouble.filename or name)))


async def _in_thread(work: DiskWork) -> OSError | None:
    """Return the OSError of `work`. Cancelling waits for its end, because a thread cannot be stopped."""
    working = asyncio.get_running_loop().run_in_executor(None, _trouble, work)
    try:
        await asyncio.wait([working])
    finally:
        await asyncio.wait([working])
    return working.result()


def _trouble(work: DiskWork) -> OSError | None:
    try:
        work()
    except OSError as error:
        return error
    return None
