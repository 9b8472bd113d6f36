"""The thread that owns one opened sound device: opens, watches, closes, and tells the loop. No sound library here.

A lost device is silent: its callbacks stop, and nothing else happens. So the thread counts callbacks, and calls the
device lost when none came for a second, whatever the library says of it (PortAudio goes on calling a pulled card active). A
device that does not let go in time is cured by a new process and by nothing else (DeviceStuck). It is a daemon thread:
an opening or closing that hangs in a driver cannot keep the process from ending.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, NoReturn

from kioskd.errors import DeviceLost, DeviceStuck

log = logging.getLogger(__name__)

SILENCE_S: Final = 1.0
"""Seconds without a callback after which a device is lost."""

OPEN_S: Final = 10.0
"""Seconds that opening may take: every device of the machine is tried first."""

CLOSE_S: Final = 3.0
"""Seconds that closing may take; then only a new process is free of the device."""

_TICK_S: Final = 0.25


class DeviceThread:
    """One use of a device, from opening to closing. Made in the loop's thread, for one `run`."""

    def __init__(self, name: str, device: str = "") -> None:
        """`name`: for messages; `device`: as the owner wrote it."""
        self.name = name
        self.device = device
        self.calls = 0
        """Callbacks so far: the sign of life. The device's callback counts them."""
        self._loop = asyncio.get_running_loop()
        self._quit = threading.Event()
        self._error: BaseException | None = None
        self._opened = asyncio.Event()
        self._ended = asyncio.Event()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def quitting(self) -> bool:
        """Whether the device is lost or to be closed: what it still gives is not wanted, and it gets no more."""
        return self._error is not None or self._quit.is_set()

    def lose(self, error: BaseException) -> None:
        """End the use with `error`, unless another came first; from any thread."""
        if self._error is None:
            self._error = error
        self.call_in_loop(self._ended.set)

    def call_in_loop(self, what: Callable[[], object]) -> None:
        """Have `what` called in the loop's thread; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(what)

    async def run(self, opened: Callable[[], AbstractContextManager[object]]) -> NoReturn:
        """Enter `opened()` in the thread, leave it when cancelled or lost, and return after that.

        Raises:
            DeviceLost: the device cannot be opened, or has been silent for a second.
            DeviceStuck: it does not close. A caller that cancels because the process ends may ignore this.
        """
        threading.Thread(target=self._hold_device, args=(opened,), name=self.name, daemon=True).start()
        try:
            await self._wait_until_lost()
        except BaseException as error:
            await self._close(error)
            raise

    async def _wait_until_lost(self) -> NoReturn:
        try:
            async with asyncio.timeout(OPEN_S):
                await self._opened.wait()
        except TimeoutError:
            raise DeviceLost(
                f"{self.name}: not open after {OPEN_S:.0f} s; the sound system hangs: restart kioskd",
                listed=True,
                device=self.device,
            ) from None
        await self._ended.wait()
        assert self._error is not None
        raise self._error

    async def _close(self, cause: BaseException) -> None:
        """Close the device because of `cause`, and return when it is closed; a cancellation meanwhile is raised only then.

        DeviceStuck: it does not close. A bug is not hidden by that: it ends the process by itself.
        """
        self._quit.set()
        cancelled: asyncio.CancelledError | None = None
        until = self._loop.time() + CLOSE_S
        while not self._closed.done() and (left_s := until - self._loop.time()) > 0:
            try:
                # Not asyncio.timeout: in a task that is being cancelled, Python 3.11's does not tell that it ran out.
                await asyncio.wait([self._closed], timeout=left_s)
            except asyncio.CancelledError as error:
                cancelled = error
        closed = self._closed.done()
        if not closed:
            log.warning("%s does not close: waited=%.1fs", self.name, CLOSE_S)
        if not isinstance(cause, DeviceLost | asyncio.CancelledError):
            return
        if not closed:
            raise DeviceStuck(
                f"{self.name}: does not close within {CLOSE_S:.0f} s: "
                "its driver or sound server hangs, only a new process is free of it",
                listed=True,
                device=self.device,
            ) from cause
        if cancelled is not None:
            raise cancelled

    def _hold_device(self, opened: Callable[[], AbstractContextManager[object]]) -> None:
        try:
            with opened():
                self.call_in_loop(self._opened.set)
                self._watch()
        except BaseException as error:  # noqa: BLE001 - no thread may die unseen: run() raises it
            self.lose(error)
        finally:
            self.call_in_loop(self._opened.set)
            self.call_in_loop(lambda: self._closed.set_result(None))

    def _watch(self) -> None:
        """Return when the device is to be closed. Counts ticks, not time: a sleep of the machine is no silence."""
        seen, silent_s = self.calls, 0.0
        while not self._quit.wait(_TICK_S):
            silent_s = silent_s + _TICK_S if self.calls == seen else 0.0
            seen = self.calls
            if silent_s >= SILENCE_S:
                # Told before the closing, which may hang.
                self.lose(
                    DeviceLost(
                        f"{self.name}: silent for {SILENCE_S:.0f} s; plug it in, or restart its sound server",
                        listed=True,
                        device=self.device,
                    )
                )
                return
