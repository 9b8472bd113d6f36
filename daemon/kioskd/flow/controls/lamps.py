"""Lamps that show the kiosk's state."""

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
"""A step that ends within this time counts as ended. Timers fire that early, and eyes see no difference."""

RECHECK_S: Final = 600.0
"""The longest time between two looks at the time of day, for dimming at night: the clock may be set."""

LEAST_S: Final = 0.001
"""The least time between two steps. A rounding error could leave less, and no clock can wait for that."""


class LampWorker:
    """Drives all lamps: they show the state's pattern, dimmed by the time of day.

    A lamp that is lost is reported and retried, and the kiosk goes on. Between two steps of a pattern no code
    runs; a steady light needs none.
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
        """`name`: the journal's name of the lamps. `brightness`: in percent, as eyes see it.

        `local_time` returns the time of day. It is called only if there is a `night`.
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
        """Show a state with its code and its overlay at once. A pattern that does not change goes on."""
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
        """Set the lamps to their light of this moment. Return the seconds until it changes."""
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
