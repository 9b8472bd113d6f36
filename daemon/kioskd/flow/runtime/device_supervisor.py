"""Supervision of devices that come and go. A loss is reported once, and retried without end."""

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
"""The longest delay between two tries. With the opening, a device that is plugged in again works in 3 s."""

FIRST_RETRY_S: Final = 1.0

AGAIN_S: Final = 0.2
"""The delay before a try that `DeviceLost.again` asks for: others can close the device meanwhile."""

STEADY_S: Final = 2.0
"""A device is tried again at once if it worked for at least this time before its loss."""

HELD_S: Final = 15.0
"""A device that is open for this time counts as working. A button that is never pressed has no other sign.

An opening and a closing that hang take 13 s. This time is longer, so that a hanging device does not count.
"""

GIVE_UP_S: Final = 300.0
"""A listed device that cannot be used for this time is probably held by a fault in this very process."""


class DeviceSupervisor:
    """Keeps one device in use. If it is not there, the supervisor waits for it without end."""

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
        """Begin with a device that is away.

        Args:
            name: The journal's name of the device.
            clock: The time.
            post: Takes events for the core.
            device: Its kind, as the core knows it; None if the core does not know it.
            called: Its name as the owner wrote it, for a kind with several devices.
            needed: Whether the daemon is restarted if nothing else helps.
            most_retry_s: The longest delay between two tries, in seconds.
            idles: Whether the device is opened only now and then. Then use without an error is not a sign of
                life.
        """
        self._name = name
        self._clock = clock
        self._post = post
        self._device = device
        self._called = called
        self._needed = needed
        self._away = False
        self._there = False
        """Whether the device works, as far as it was reported."""
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
        """Whether the device's loss was reported, so that it cannot be expected to work.

        This differs from `away`: a device that is being opened for the first time is away, but not missing.
        """
        return self._missing

    def note_alive(self) -> None:
        """Note a sign of life. It is called for every frame, so it must cost almost nothing."""
        if not self._away:
            return
        self._away = False
        self._came_at = self._clock.now()
        self._failing_since = None
        if self._there:  # its loss was not reported
            return
        self._there = True
        if self._missing or not self._idles:
            log.info("%s back" if self._missing else "%s ready", self._name)
        was_missing, self._missing = self._missing, False
        if self._device is not None and (was_missing or self._needed):
            self._post(DeviceCame(self._device, self._called))

    async def use(self, once: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run `once`, which uses the device and calls `note_alive`, again and again until cancelled.

        Raises:
            DeviceStuck: only a new process can help. Either the device or its driver hangs, or it is `needed`
            and
                listed, and has given no sign of life for 5 minutes.
        """
        self._away = True
        self._there = False
        self._failing_since = None
        self._delays.reset()
        await retry(lambda: self._try(once), delays=self._delays, lost=lambda _error: None, pause=self._pause)

    def hurry(self, *, anew: bool = False) -> None:
        """Retry a lost device at once, or after its next loss. `anew`: also begin with short delays again."""
        if anew:
            self._delays.reset()
        self._hurry.set()

    async def _try(self, once: Callable[[], Coroutine[Any, Any, object]]) -> TryEnded:
        """Use the device until it is lost, and report the loss."""
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
        """Wait before the next try. `hurry` ends the wait."""
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
            "%s lost, continuing without it, retrying: %s" if self._idles else "%s lost, retrying: %s",
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
                f"{self._name} is listed, but has not worked for {GIVE_UP_S:.0f} s; "
                f"trying it in a new process: {error}",
                listed=True,
                device=error.device,
            ) from error
