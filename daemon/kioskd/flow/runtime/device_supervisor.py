"""Devices come and go: say so once, try again for ever, and end the process only where nothing else can help."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from kioskd import journal_ids
from kioskd.core.events import Device, DeviceCame, DeviceGone, Event
from kioskd.errors import DeviceLost, DeviceStuck
from kioskd.flow.runtime.workers import first_of
from kioskd.ports import Clock
from kioskd.retry import RetryDelays, TryEnded, retry

log = logging.getLogger(__name__)

RETRY_S: Final = 2.0
"""The most between two tries: who plugs a device in again is heard within 3 s, opening included."""

FIRST_RETRY_S: Final = 1.0

AGAIN_S: Final = 0.2
"""Before another try that is asked for at once (`DeviceLost.again`): long enough for others to let go."""

STEADY_S: Final = 2.0
"""A device that has worked so long is tried again at once; one that is lost as soon as it comes is not."""

HELD_S: Final = 15.0
"""Held so long is a sign of life by itself: a button that nobody pressed has no other. More than an opening and a
closing that hang may take (13 s), or a device that hangs would count as there."""

GIVE_UP_S: Final = 300.0
"""A device that is listed and cannot be made to work for so long is held by something in this very process."""


class DeviceSupervisor:
    """Keeps one device in use. A device that is not there is waited for, however long."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        post: Callable[[Event], None],
        *,
        device: Device | None = None,
        called: str = "",
        needed: bool = True,
        most_retry_s: float = RETRY_S,
        idles: bool = False,
    ) -> None:
        """Be away.

        Args:
            name: What the journal calls the device.
            clock: The time.
            post: Takes events for the core.
            device: Its kind, as the core knows it; None where the core does not know it.
            called: Its name as the owner wrote it, where there are several.
            needed: Whether a new process is worth trying for it.
            most_retry_s: The most seconds between two tries.
            idles: Whether the device is opened only now and then. Its use without an error is then no sign of life.
        """
        self._name = name
        self._clock = clock
        self._post = post
        self._device = device
        self._called = called
        self._needed = needed
        self._away = False
        self._there = False
        """Came, as far as anybody was told."""
        self._missing = False
        self._came_at = 0.0
        self._idles = idles
        self._delays = RetryDelays(FIRST_RETRY_S, most_retry_s)
        self._hurry = asyncio.Event()
        self._failing_since: float | None = None

    @property
    def away(self) -> bool:
        """Whether the device has given no sign of life since it was last opened or lost."""
        return self._away

    @property
    def missing(self) -> bool:
        """Whether the device is known to be away, and was said to be: nobody can expect it to work.

        Not the same as `away`: a device that is being opened for the first time is away, and not missing.
        """
        return self._missing

    def note_alive(self) -> None:
        """Note a sign of life. Called for every frame, so it does next to nothing."""
        if not self._away:
            return
        self._away = False
        self._came_at = self._clock.now()
        self._failing_since = None
        if self._there:  # its loss was told to nobody
            return
        self._there = True
        if self._missing or not self._idles:
            log.info("%s back" if self._missing else "%s ready", self._name)
        was_missing, self._missing = self._missing, False
        if self._device is not None and (was_missing or self._needed):
            self._post(DeviceCame(self._device, self._called))

    async def use(self, once: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run `once` (which uses the device and calls `note_alive`) again and again until cancelled.

        Raises:
            DeviceStuck: only a new process can help: the device or its driver does not let go, or it is `needed` and
                listed, and has given no sign of life for 5 minutes.
        """
        self._away = True
        self._there = False
        self._failing_since = None
        self._delays.reset()
        await retry(lambda: self._try(once), delays=self._delays, lost=lambda _error: None, pause=self._pause)

    def hurry(self, *, anew: bool = False) -> None:
        """Try a lost device at once, or with its next loss. `anew`: and count the tries from the beginning."""
        if anew:
            self._delays.reset()
        self._hurry.set()

    async def _try(self, once: Callable[[], Coroutine[Any, Any, object]]) -> TryEnded:
        """Use the device until it is lost, and tell of the loss."""
        held = None if self._idles else self._clock.call_later(HELD_S, self.note_alive)
        try:
            await once()
        except DeviceStuck:
            raise
        except DeviceLost as error:
            now = self._clock.now()
            steady = not self._away and now - self._came_at >= STEADY_S
            self._lose(error)
            self._escalate(error, now)
            if error.again and not steady:
                await self._clock.sleep(AGAIN_S)
            return TryEnded(str(error), worked=steady, at_once=steady or error.again)
        finally:
            if held is not None:
                held.cancel()
        return TryEnded("")

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try, or until it is hurried."""
        await first_of(self._clock.sleep(seconds), self._hurry.wait())
        self._hurry.clear()

    def _lose(self, error: DeviceLost) -> None:
        self._away = True
        if error.again and self._there:
            log.info("%s reopening: %s", self._name, error)
            return
        self._there = False
        if self._missing:
            log.debug("%s still away: %s", self._name, error)
            return
        self._missing = True
        log.warning(
            "%s lost, going on without, retrying: %s" if self._idles else "%s lost, retrying: %s",
            self._name,
            error,
            extra={"message_id": journal_ids.PART_LOST},
        )
        if self._device is not None:
            self._post(DeviceGone(self._device, self._called or error.device))

    def _escalate(self, error: DeviceLost, now: float) -> None:
        if not error.listed:
            self._failing_since = None
            return
        if self._failing_since is None:
            self._failing_since = now
        if self._needed and now - self._failing_since >= GIVE_UP_S:
            raise DeviceStuck(
                f"{self._name} is there and has not worked for {GIVE_UP_S:.0f} s, trying it in a new process: {error}",
                listed=True,
                device=error.device,
            ) from error
