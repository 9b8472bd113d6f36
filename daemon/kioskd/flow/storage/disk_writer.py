"""What is to outlive a restart -> the disk, one write at a time; and what the disk says of it -> the core.

A disk that is full, or that cannot be written to, takes nothing of the kiosk but its memory over a restart. It is said
as soon as it is known, and over within a minute of being mended: then all that could not be written is.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from kioskd.core.events import Event, StorageFailed
from kioskd.ports import Clock

LOOK_S: Final = 60.0
"""Between two looks at the places, and at least between two tries of a write that has failed."""

DiskWork = Callable[[], None]
"""Runs in a thread; raises OSError where the disk does not let it."""


class DiskWriter:
    """The one who writes what is to outlive a restart. For the loop's thread."""

    def __init__(
        self, clock: Clock, post: Callable[[Event], None], places: Mapping[str, DiskWork] | None = None
    ) -> None:
        """`places`: by its name, a look at each place where something is kept: it writes nothing, and raises OSError
        while nothing could be written there. Without places, only writes tell.
        """
        self._clock = clock
        self._post = post
        self._places = places or {}
        self._failed: dict[str, OSError] = {}
        """What does not work, and why: places and writes, by name."""
        self._again: dict[str, tuple[DiskWork, float]] = {}
        """The writes that have failed, and when they were tried last."""
        self._one_at_a_time = asyncio.Lock()
        self._said = ""

    async def save(self, what: str, write: DiskWork) -> bool:
        """Call `write` in a thread, and return whether that has worked; if not, it is called again until it has.

        So it must write what is newest when it is called. What has failed is tried once a minute at most, and at once where
        a place is good again. Writes of all who keep something come one after the other; one that was begun is waited for
        even when cancelled, so what is written after it is newer.
        """
        async with self._one_at_a_time:
            if self._is_due(what):
                await self._write(what, write)
            if self._failed:
                await self._look()
            self._tell()
            return what not in self._failed

    async def run(self) -> NoReturn:
        """Look at the places, and try again what has failed, until cancelled."""
        while True:
            async with self._one_at_a_time:
                await self._look()
                self._tell()
            await self._clock.sleep(LOOK_S)

    async def _look(self) -> None:
        """See how the places are, and try again what is due: at once where one of them is good again."""
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
        """Say what has changed. Of several troubles the oldest stands for all."""
        name, trouble = next(iter(self._failed.items()), ("", None))
        why = "" if trouble is None else trouble.strerror or type(trouble).__name__
        if why == self._said:
            return
        self._said = why
        self._post(StorageFailed(why, "" if trouble is None else str(trouble.filename or name)))


async def _in_thread(work: DiskWork) -> OSError | None:
    """Return what `work` raises. Cancelling waits for its end: a thread cannot be stopped."""
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
