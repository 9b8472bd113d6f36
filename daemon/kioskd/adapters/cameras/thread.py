"""The thread that owns one running camera: starts it, takes pictures on request, stops it. No camera library here.

What a camera's driver does to its caller is not known: any call may block. So each is made in a thread, awaited with a
deadline, and left alone when it runs out; a daemon thread cannot keep the process from ending.
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
"""Seconds that starting may take: a Raspberry Pi's first import of its camera library is three of them."""

SHOOT_S: Final = 5.0
"""Seconds without a picture after which a camera is lost."""

STOP_S: Final = 2.0
"""Seconds that stopping may take before the camera is left to itself."""

CameraDriver = Callable[[], bytes]
"""Takes one picture, in the camera's thread; ends within `SHOOT_S` whatever the camera does."""


class CameraThread:
    """A `ports.Camera` that runs in one thread at a time; what there is of each kind is how it is opened."""

    def __init__(self, name: str, opened: Callable[[], AbstractContextManager[CameraDriver]]) -> None:
        """`name`: for messages; `opened` starts the camera and stops it, both in the thread."""
        self._name = name
        self._opened = opened
        self._use: _Use | None = None

    @contextlib.asynccontextmanager
    async def look(self) -> AsyncIterator["_Use"]:
        """Enter `opened()` in a thread, yield what takes pictures, and leave it in the same thread; see `ports.Camera`.

        DeviceLost: it did not start within 10 s, or has not let go since it was left.
        """
        if self._use is not None and not self._use.over:
            raise DeviceLost(
                f"{self._name}: has not let go since it was used last; its driver hangs: restart the machine if it stays so",
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
        """Return when the camera has been stopped; at once if it does not run."""
        if self._use is not None:
            await self._use.stopped()

    async def aclose(self) -> None:
        """Do nothing: nothing is kept open between looks."""


class _Use:
    """One use of a camera, from its start to its stop; a `ports.RunningCamera`. Made in the loop's thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        # Holds the one picture that is asked for, and those whose caller was cancelled.
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
        """Wait until the thread has stopped the camera, however long that takes."""
        await asyncio.wait([self._stopped])

    async def end(self) -> None:
        """Have the camera stopped, and wait for it a while."""
        self._asked.put(None)
        # Not asyncio.timeout: in a task that is being cancelled, Python 3.11's does not tell that it ran out.
        stopped, _ = await asyncio.wait([self._stopped], timeout=STOP_S)
        if not stopped:
            log.warning("%s does not stop, left alone: waited=%.1fs", self._name, STOP_S)
        else:
            self._stopped.result()

    def own(self, opened: Callable[[], AbstractContextManager[CameraDriver]]) -> None:
        """Run the camera until it is to be stopped; in the thread."""
        failure: BaseException | None = None
        try:
            with opened() as shutter:
                self._resolve(self._started, None, None)
                while (shot := self._asked.get()) is not None:
                    if not shot.done():
                        self._take(shot, shutter)
        except BaseException as error:  # noqa: BLE001 - the loop's side raises it
            failure = error
        self._resolve(self._started, None, failure)  # nothing happens if it had started
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
                future.exception()  # read once: asyncio logs an error that is never read

        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(resolve)

    def _lost(self, what: str) -> DeviceLost:
        return DeviceLost(
            f"{self._name}: {what}; see its cable, and the power supply", listed=True, device=self._name
        )
