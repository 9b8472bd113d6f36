"""States -> lamps."""

import asyncio
import datetime
import math
from collections.abc import Callable, Sequence
from typing import Final

from kioskd.core.effects import KioskStatus, ShowStatus
from kioskd.core.events import Device, Event
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.media import lamp_patterns
from kioskd.media.lamp_patterns import NightDimming
from kioskd.ports import Clock, Lamp, Light

GRAIN_S: Final = 0.001
"""A step that ends so soon has ended: timers are as early as that, and nobody sees it."""

RECHECK_S: Final = 600.0
"""The time of the day is asked for so often where it matters: it may be set, or jump with the season."""

LEAST_S: Final = 0.001
"""Between two steps: what is left of one by a rounding would be too short for any clock to get past."""


class LampWorker:
    """Has all lamps play the rhythm of what is shown, as bright as the time of the day wants it.

    A kiosk whose lamp is lost goes on: it is said, and the lamp comes back by itself. Between two steps of a rhythm
    nothing runs; a steady light wakes nobody.
    """

    def __init__(
        self,
        lamps: Sequence[Lamp],
        clock: Clock,
        post: Callable[[Event], None],
        *,
        local_time: Callable[[], datetime.time],
        brightness: float = 100.0,
        night: NightDimming | None = None,
        name: str = "lamp",
    ) -> None:
        """`name`: what the journal calls them. `brightness` is in percent, as eyes have it.

        `local_time` tells the time of the day, and is asked only where there is a `night`.
        """
        self._lamps = lamps
        self._clock = clock
        self._local_time = local_time
        self._brightness = brightness
        self._night = night
        names = [name] if len(lamps) == 1 else [f"{name} {number}" for number in range(1, len(lamps) + 1)]
        self._supervisors = [
            DeviceSupervisor(
                each, clock, post, device=Device.LAMP, called=each.removeprefix("lamp "), needed=False
            )
            for each in names
        ]
        self._shown = ShowStatus(KioskStatus.STARTING)
        self._pattern = lamp_patterns.pattern(self._shown.shown)
        self._began = clock.now()
        self._due = asyncio.Event()

    def show(self, effect: ShowStatus) -> None:
        """Show a state with its code and what lies over it, at once; a rhythm that is played already goes on."""
        self._shown = effect
        before, self._pattern = (
            self._pattern,
            lamp_patterns.pattern(effect.shown, effect.code, effect.overlay),
        )
        if before.steps != self._pattern.steps:
            self._began = self._clock.now()
        self._shine()
        self._due.set()

    async def run(self) -> None:
        """Drive the lamps until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lamp, supervisor in zip(self._lamps, self._supervisors, strict=True):
                group.create_task(supervisor.use(lamp.run))
            group.create_task(self._play())

    async def _play(self) -> None:
        while True:
            self._due.clear()
            after_s = self._shine()
            alarm = self._clock.call_later(after_s, self._due.set) if after_s < math.inf else None
            try:
                await self._due.wait()
            finally:
                if alarm is not None:
                    alarm.cancel()

    def _shine(self) -> float:
        """Have the lamps look as they should now; return for how many seconds."""
        elapsed_s = self._clock.now() - self._began
        level, until_s = lamp_patterns.at(self._pattern, elapsed_s + GRAIN_S)
        percent, holds_s = self._brightness, math.inf
        if self._night is not None:
            now = self._local_time()
            day_s = now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6
            percent, holds_s = lamp_patterns.brightness_at(day_s, self._brightness, self._night)
            holds_s = min(holds_s, RECHECK_S)
        red, green, blue = (part * level * lamp_patterns.dimmed(percent) for part in self._pattern.colour)
        show = self._shown
        light = Light(show.shown.value, red, green, blue, show.code or "", show.overlay.value, show.asking)
        for lamp in self._lamps:
            lamp.shine(light)
        return min(max(until_s - elapsed_s, LEAST_S), holds_s)
