"""The thread that owns one sound device: it opens, watches and closes it, and reports to the loop. Uses no
sound library.

A lost device stops its callbacks, and gives no other sign. So the thread counts callbacks, and reports the
device as lost after a second without any. PortAudio's own state does not help: it calls an unplugged card
active. A paused device has no callbacks. Its last callback waits in `wait_while_paused`, and the thread looks
whether the device still exists. A device that does not close in time is freed by a new process only
(DeviceStuck). The thread is a daemon thread, so a driver that hangs cannot keep the process from ending.
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
"""Seconds without a callback after which a device counts as lost."""

OPEN_S: Final = 10.0
"""Seconds allowed for opening: PortAudio tries every device of the machine first."""

CLOSE_S: Final = 3.0
"""Seconds allowed for closing; after that only a new process frees the device."""

_TICK_S: Final = 0.25


class DeviceThread:
    """One use of a device, from opening to closing. Create it in the loop's thread, for one `run`."""

    def __init__(self, name: str, device: str = "") -> None:
        """`name`: for messages; `device`: the device's name in the settings."""
        self.name = name
        self.device = device
        self.calls = 0
        """Callbacks so far. The device's callback adds one at each call, as a sign of life."""
        self.is_there: Callable[[], bool] = lambda: True
        """Returns whether the device still exists; it is asked while the device pauses."""
        self._changed = threading.Condition()
        self._paused = False
        self._waiting = False
        self._loop = asyncio.get_running_loop()
        self._quit = threading.Event()
        self._error: BaseException | None = None
        self._opened = asyncio.Event()
        self._ended = asyncio.Event()
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def quitting(self) -> bool:
        """Whether the device is lost or about to close: its sound is dropped, and none is sent to it."""
        return self._error is not None or self._quit.is_set()

    @property
    def paused(self) -> bool:
        """Whether the device shall pause."""
        return self._paused

    def pause(self) -> None:
        """Have the device's callback wait from its next call on, in `wait_while_paused`."""
        self._paused = True

    def resume(self) -> None:
        """End the pause."""
        with self._changed:
            self._paused = False
            self._changed.notify()

    def wait_while_paused(self, most_s: float | None) -> None:
        """Return at the end of the pause, when the device is to be closed, or after `most_s` seconds.

        Called by the device's callback. To stop the stream and start it again would do the same, but
        PortAudio cannot start a stream whose device went away: it keeps a mutex locked, and hangs.
        """
        with self._changed:
            self._waiting = True
            self._changed.wait_for(lambda: not self._paused or self.quitting, most_s)
            self._waiting = False

    def lose(self, error: BaseException) -> None:
        """End the use with `error`, unless an error came before. May be called from any thread."""
        if self._error is None:
            self._error = error
        self._end_wait()
        self.call_in_loop(self._ended.set)

    def call_in_loop(self, what: Callable[[], object]) -> None:
        """Call `what` in the loop's thread. May be called from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(what)

    async def run(self, opened: Callable[[], AbstractContextManager[object]]) -> NoReturn:
        """Open the device in the thread, and close it when the task is cancelled or the device is lost.

        Raises:
            DeviceLost: the device cannot be opened, or has been silent for a second.
            DeviceStuck: the device does not close. A caller that ends the process may ignore this.
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
                f"{self.name}: not open after {OPEN_S:.0f} s, as the sound system hangs; restart kioskd",
                listed=True,
                device=self.device,
            ) from None
        await self._ended.wait()
        assert self._error is not None
        raise self._error

    async def _close(self, cause: BaseException) -> None:
        """Close the device because of `cause`, and wait. A cancellation meanwhile is raised after that.

        DeviceStuck: the device does not close. If `cause` is a bug, this is not raised, as the bug itself
        ends the process.
        """
        self._quit.set()
        self._end_wait()
        cancelled: asyncio.CancelledError | None = None
        until = self._loop.time() + CLOSE_S
        while not self._closed.done() and (left_s := until - self._loop.time()) > 0:
            try:
                # Not asyncio.timeout: on Python 3.11 it does not report an expiry in a task that is being
                # cancelled.
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
                f"{self.name}: it did not close within {CLOSE_S:.0f} s, as its driver or sound server hangs; "
                "kioskd must restart to free it",
                listed=True,
                device=self.device,
            ) from cause
        if cancelled is not None:
            raise cancelled

    def _end_wait(self) -> None:
        with self._changed:
            self._changed.notify()

    def _hold_device(self, opened: Callable[[], AbstractContextManager[object]]) -> None:
        try:
            with opened():
                self.call_in_loop(self._opened.set)
                self._watch()
        except BaseException as error:  # noqa: BLE001 - `run` raises it in the loop
            self.lose(error)
        finally:
            self.call_in_loop(self._opened.set)
            self.call_in_loop(lambda: self._closed.set_result(None))

    def _watch(self) -> None:
        """Return when the device is to be closed. Counts ticks, as time passes on a suspended machine."""
        seen, silent_s = self.calls, 0.0
        while not self._quit.wait(_TICK_S):
            silent_s = silent_s + _TICK_S if self.calls == seen and not self._waiting else 0.0
            seen = self.calls
            # Report a loss before closing, as closing may hang.
            if silent_s >= SILENCE_S:
                self._report_lost(
                    f"the device gave no sign of life for {SILENCE_S:.0f} s; "
                    "plug it in again, or restart its sound server"
                )
                return
            if self._waiting and not self.is_there():
                self._report_lost("the device was unplugged while it paused; plug it in again")
                return

    def _report_lost(self, why: str) -> None:
        self.lose(DeviceLost(f"{self.name}: {why}", listed=True, device=self.device))
