"""The presence sensor wakes the kiosk when a visitor comes, and tells the core when no person is there."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kioskd.core.effects import Effect
from kioskd.core.events import Device, Event, PresenceChanged, WakeCause, Woken
from kioskd.core.machine import State
from kioskd.flow.link.outbox import Background
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.flow.subjects.subjects import BackgroundUser
from kioskd.ports import Button, Cancellable, Clock, Edge


@dataclass(frozen=True, slots=True)
class PresenceRules:
    """The owner's settings of a presence sensor; all times in seconds."""

    steady_s: float = 2.0
    away_s: float = 15.0
    holdoff_s: float = 60.0
    greets: bool = True
    """Whether a visitor who comes wakes the kiosk."""
    greeting: str = ""
    """The instruction for the model's first words then. Empty: the general greeting."""


class PresenceWorker:
    """Follows one sensor. Only a visitor who comes wakes the kiosk, so a stuck sensor wakes it once at most.

    A visitor who is there at the first look has not come. Pulses of a sensor count as one visit, as long as
    the gaps between them are shorter than `away_s`.
    """

    def __init__(
        self,
        sensor: Button,
        rules: PresenceRules,
        post: Callable[[Event], None],
        clock: Clock,
        outbox: BackgroundUser,
        *,
        name: str,
    ) -> None:
        """`sensor`: down while a person is there. `name`: `presence` with the sensor's source."""
        self._sensor = sensor
        self._rules = rules
        self._post = post
        self._clock = clock
        self._outbox = outbox
        self._here: bool | None = None
        """Whether a visitor is there; None before the first look."""
        self._down = False
        """The sensor's last edge."""
        self._came = False
        """Whether a visitor has come, and the kiosk has not answered yet."""
        self._awake = False
        self._free_s = -math.inf
        """The clock's time at which the hold-off ends."""
        self._timer: Cancellable | None = None
        """The end of the steady time while no person is there, or of the time away while a person is."""
        self._holdoff: Cancellable | None = None
        self._supervisor = DeviceSupervisor(
            name, clock, post, device=Device.BUTTON, called=name.removeprefix("presence "), needed=False
        )

    @property
    def status(self) -> Literal["missing", "unknown", "present", "absent"]:
        """Whether a visitor is there, in a word."""
        if self._supervisor.missing:
            return "missing"
        if self._here is None:
            return "unknown"
        return "present" if self._here else "absent"

    async def run(self) -> None:
        """Follow the sensor until cancelled. A lost sensor ends no conversation, and is opened again."""
        await self._supervisor.use(self._watch)

    def observe(
        self, now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        self._awake = after.turn.awake
        if self._awake:
            self._came = False  # the kiosk serves the visitor already
        elif before.turn.awake and not before.turn.spoke:
            self._free_s = now + self._rules.holdoff_s
        if not before.turn.awake and self._awake and self._greets_with_own_words(event):
            self._outbox.use(Background(greeting=self._rules.greeting))

    def _greets_with_own_words(self, event: Event) -> bool:
        by_us = isinstance(event, Woken) and event.cause is WakeCause.PRESENCE
        return by_us and bool(self._rules.greeting)

    async def _watch(self) -> None:
        self._here = None
        try:
            await self._sensor.watch(self._edge)
        finally:
            self._here, self._came = None, False
            self._stop_timers()

    def _edge(self, edge: Edge) -> None:
        self._supervisor.note_alive()
        if self._here is None:
            self._here = self._down = edge.down
            return
        if edge.down is self._down:
            return
        self._down = edge.down
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if edge.down and not self._here:
            self._timer = self._clock.call_later(self._rules.steady_s, self._come)
        elif not edge.down and self._here:
            self._timer = self._clock.call_later(self._rules.away_s, self._leave)

    def _come(self) -> None:
        self._timer, self._here, self._came = None, True, True
        self._post(PresenceChanged(present=True))
        self._greet()

    def _leave(self) -> None:
        self._timer, self._here, self._came = None, False, False
        self._post(PresenceChanged(present=False))

    def _greet(self) -> None:
        """Wake the kiosk for a visitor who has come, at the end of the hold-off at the earliest."""
        if self._holdoff is not None:
            self._holdoff.cancel()
            self._holdoff = None
        if not (self._came and self._rules.greets) or self._awake:
            return
        if (left_s := self._free_s - self._clock.now()) > 0:
            self._holdoff = self._clock.call_later(left_s, self._greet)
            return
        self._came = False
        self._post(Woken(WakeCause.PRESENCE, greets=bool(self._rules.greeting)))

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._holdoff):
            if timer is not None:
                timer.cancel()
        self._timer = self._holdoff = None
