"""Timer effects in, `TimerFired` out."""

from collections.abc import Callable

from kioskd.core.effects import CancelTimer, SetTimer
from kioskd.core.events import Event, Timer, TimerFired
from kioskd.ports import Cancellable, Clock


class Timers:
    """At most one running clock for each `Timer`.

    A timer that fired but was cancelled before the core saw it would be a surprise: `current` tells the engine's
    door whether a `TimerFired` is still wanted.
    """

    def __init__(self, clock: Clock, post: Callable[[Event], None]) -> None:
        self._clock = clock
        self._post = post
        self._running: dict[Timer, Cancellable] = {}
        self._fired: set[Timer] = set()

    def set(self, effect: SetTimer) -> None:
        """Start or restart one."""
        self.cancel(CancelTimer(effect.timer))
        self._running[effect.timer] = self._clock.call_later(effect.after_s, lambda: self._fire(effect.timer))

    def cancel(self, effect: CancelTimer) -> None:
        """Stop one, be it on its way already."""
        self._fired.discard(effect.timer)
        if (running := self._running.pop(effect.timer, None)) is not None:
            running.cancel()

    def cancel_all(self) -> None:
        """Stop them all: the daemon is leaving."""
        for timer in list(self._running):
            self.cancel(CancelTimer(timer))

    def current(self, event: Event) -> bool:
        """Whether `event` should reach the core: anything but a timer that was cancelled or set anew after it fired."""
        if not isinstance(event, TimerFired):
            return True
        current = event.timer in self._fired
        self._fired.discard(event.timer)
        return current

    def _fire(self, timer: Timer) -> None:
        del self._running[timer]
        self._fired.add(timer)
        self._post(TimerFired(timer))
