"""The thread that owns one running camera: it starts it, takes pictures on request, stops it. Uses no camera
library.

Any call of a camera's driver may block. So each call is made in a thread and awaited with a deadline. A
thread that misses it is left alone: as a daemon thread it does not keep the process from ending.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Final, TypeVar

from kioskd.errors import DeviceLost, KioskError

log = logging.getLogger(__name__)

T = TypeVar("T")

START_S: Final = 10.0
"""Seconds allowed for starting. A Raspberry Pi's first import of its camera library takes three of them."""

SHOOT_S: Final = 5.0
"""Seconds without a picture after which a camera is lost."""

STOP_S: Final = 2.0
"""Seconds allowed for stopping; after that kioskd goes on without waiting."""

CameraDriver = Callable[[], bytes]
"""Function that takes one picture in the camera's thread, and returns or raises within `SHOOT_S`."""


class CameraThread:
    """A `ports.Camera` that runs in one thread at a time. Each kind of camera supplies how it is opened."""

    def __init__(self, name: str, opened: Callable[[], AbstractContextManager[CameraDriver]]) -> None:
        """`name`: for messages; `opened`: starts the camera, and stops it on exit; in the thread."""
        self._name = name
        self._opened = opened
        self._use: _Use | None = None

    @contextlib.asynccontextmanager
    async def look(self) -> AsyncIterator["_Use"]:
        """Open the camera in a thread, yield it, and close it in that thread; see `ports.Camera`.

        DeviceLost: the camera did not start within 10 s, or its last use has not ended yet.
        """
        if self._use is not None and not self._use.over:
            raise DeviceLost(
                f"{self._name}: its driver hangs, and has not released the camera since its last use; "
                "if this does not end, restart the machine",
                listed=True,
                device=self._name,
            )
        use = self._use = _Use(self._name)
        threading.Thread(target=use.own, args=(self._opened,), name=self._name, daemon=True).start()
        try:
            await use.started()
            yield use
        finally:
            await use.end()

    async def released(self) -> None:
        """Return when the camera has stopped; at once if it does not run."""
        if self._use is not None:
            await self._use.stopped()

    async def aclose(self) -> None:
        """Do nothing: no camera stays open between looks."""


class _Use:
    """One use of a camera, from start to stop; a `ports.RunningCamera`. Create it in the loop's thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        # Holds the request for one picture, and requests whose caller was cancelled. None asks to stop.
        self._asked: queue.SimpleQueue[asyncio.Future[bytes] | None] = queue.SimpleQueue()

    @property
    def over(self) -> bool:
        """Whether the thread has stopped the camera."""
        return self._stopped.done()

    async def started(self) -> None:
        """Wait until the camera runs."""
        try:
            async with asyncio.timeout(START_S):
                await asyncio.shield(self._started)
        except TimeoutError:
            raise self._lost(f"not started after {START_S:.0f} s") from None

    async def shoot(self) -> bytes:
        """Return a fresh picture; see `ports.RunningCamera`."""
        shot: asyncio.Future[bytes] = self._loop.create_future()
        self._asked.put(shot)
        try:
            async with asyncio.timeout(SHOOT_S):
                return await shot
        except TimeoutError:
            raise self._lost(f"no picture for {SHOOT_S:.0f} s") from None

    async def stopped(self) -> None:
        """Wait until the thread has stopped the camera, without a time limit."""
        await asyncio.wait([self._stopped])

    async def end(self) -> None:
        """Ask the thread to stop the camera, and wait for it up to `STOP_S`."""
        self._asked.put(None)
        # Not asyncio.timeout: on Python 3.11 it does not report an expiry in a task that is being cancelled.
        stopped, _ = await asyncio.wait([self._stopped], timeout=STOP_S)
        if not stopped:
            log.warning("%s does not stop, kioskd goes on without it: waited=%.1fs", self._name, STOP_S)
        else:
            self._stopped.result()

    def own(self, opened: Callable[[], AbstractContextManager[CameraDriver]]) -> None:
        """Run the camera until `end` is called; in the thread."""
        failure: BaseException | None = None
        try:
            with opened() as shutter:
                self._resolve(self._started, None, None)
                while (shot := self._asked.get()) is not None:
                    if not shot.done():
                        self._take(shot, shutter)
        except BaseException as error:  # noqa: BLE001 - raised again in the loop's thread
            failure = error
        self._resolve(self._started, None, failure)  # no effect if the camera had started
        self._resolve(self._stopped, None, failure if not isinstance(failure, KioskError) else None)

    def _take(self, shot: asyncio.Future[bytes], shutter: CameraDriver) -> None:
        try:
            picture = shutter()
        except BaseException as error:  # noqa: BLE001 - as above
            self._resolve(shot, b"", error)
        else:
            self._resolve(shot, picture, None)

    def _resolve(self, future: asyncio.Future[T], result: T, error: BaseException | None) -> None:
        def resolve() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
                future.exception()  # read it once: asyncio logs errors that are never read

        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(resolve)

    def _lost(self, what: str) -> DeviceLost:
        return DeviceLost(
            f"{self._name}: {what}; check its cable and its power supply", listed=True, device=self._name
        )
