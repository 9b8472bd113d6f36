"""Timers of the core: effects set them, and each sends `TimerFired` when its time is over."""

from collections.abc import Callable

from kioskd.core.effects import CancelTimer, SetTimer
from kioskd.core.events import Event, Timer, TimerFired
from kioskd.ports import Cancellable, Clock


class Timers:
    """The running timers, at most one for each `Timer`.

    The core must not get a timer that fired but was cancelled before the core saw it. The engine asks
    `current` whether a `TimerFired` still counts.
    """

    def __init__(self, clock: Clock, post: Callable[[Event], None]) -> None:
        self._clock = clock
        self._post = post
        self._running: dict[Timer, tuple[Cancellable, float]] = {}
        """The pending calls, each with the clock's time when it is due."""
        self._fired: set[Timer] = set()

    def set(self, effect: SetTimer) -> None:
        self.cancel(CancelTimer(effect.timer))
        due = self._clock.now() + effect.after_s
        pending = self._clock.call_later(effect.after_s, lambda: self._fire(effect.timer))
        self._running[effect.timer] = pending, due

    def cancel(self, effect: CancelTimer) -> None:
        """Stop a timer, even if it has fired and its event is still in the mailbox."""
        self._fired.discard(effect.timer)
        if (running := self._running.pop(effect.timer, None)) is not None:
            running[0].cancel()

    def left_s(self, timer: Timer) -> float | None:
        """Return the seconds until `timer` fires; None: it is not running."""
        running = self._running.get(timer)
        return None if running is None else max(0.0, running[1] - self._clock.now())

    def cancel_all(self) -> None:
        for timer in list(self._running):
            self.cancel(CancelTimer(timer))

    def current(self, event: Event) -> bool:
        """Return False for a `TimerFired` whose timer was cancelled or reset after it fired, else True."""
        if not isinstance(event, TimerFired):
            return True
        current = event.timer in self._fired
        self._fired.discard(event.timer)
        return current

    def _fire(self, timer: Timer) -> None:
        del self._running[timer]
        self._fired.add(timer)
        self._post(TimerFired(timer))
