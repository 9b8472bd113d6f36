"""Devices come and go: try again, say so once, and give up in the end."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from kioskd.core.events import Device, DeviceCame, DeviceGone, Event
from kioskd.errors import DeviceLost
from kioskd.ports import Clock

log = logging.getLogger(__name__)

RETRY_S = 1.0
HELD_S = 15.0
"""Held so long is a sign of life by itself: a button that nobody pressed has no other. More than an opening may take
(10 s), or a device whose opening hangs would never be given up."""

GIVE_UP_S = 30.0
"""A device that stays away so long is not having its cable changed. The process ends, and systemd starts a new one:
PortAudio and drivers that are stuck are cured by that and by nothing else."""


class Attendant:
    """Keeps one device in use."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        post: Callable[[Event], None],
        *,
        device: Device | None = None,
        needed: bool = True,
    ) -> None:
        self._name = name
        self._clock = clock
        self._post = post
        self._device = device
        self._needed = needed
        self._away_since: float | None = None
        self._told = False

    @property
    def away(self) -> bool:
        """Whether the device has given no sign of life since it was last opened or lost."""
        return self._away_since is not None

    def works(self) -> None:
        """Note a sign of life. Called for every frame, so it does next to nothing."""
        if self._away_since is not None:
            self._away_since = None
            log.info("%s back" if self._told else "%s ready", self._name)
            self._told = False
            if self._device is not None:
                self._post(DeviceCame(self._device))

    async def use(self, once: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run `once` (which uses the device and calls `works`) again and again until cancelled.

        Raises:
            DeviceLost: the device has given no sign of life for 30 s, and there is no kiosk without it (`needed`).
        """
        self._away_since = self._clock.now()
        while True:
            held = self._clock.call_later(HELD_S, self.works)
            try:
                await once()
            except DeviceLost as error:
                now = self._clock.now()
                if self._away_since is None:
                    self._away_since = now
                if not self._told:
                    self._told = True
                    log.warning("%s lost, retrying: %s", self._name, error)
                    if self._device is not None:
                        self._post(DeviceGone(self._device))
                if self._needed and now - self._away_since >= GIVE_UP_S:
                    raise
            finally:
                held.cancel()
            await self._clock.sleep(RETRY_S)
