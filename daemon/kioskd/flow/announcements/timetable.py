"""Calls functions at local times of the day, through changes of daylight saving time and of the clock.

Times are compared as seconds since the epoch. So a time in the hour that autumn repeats comes once. A time in
the hour that spring skips comes as much later as the clock jumps. A clock that no time server has set yet
calls nothing.
"""

import logging
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Final

from kioskd.ports import Cancellable, Clock, TimeEvidence

log = logging.getLogger(__name__)

LOOK_S: Final = 30.0
"""The most seconds between two looks at the wall clock, which may jump at any time."""

LATE_S: Final = 60.0
"""The most seconds after its time at which a function is still called."""

DAY_S: Final = 86_400.0


@dataclass(slots=True, eq=False)
class _Appointment:
    """A time of the day, and what happens then."""

    minute: int
    """Minute of the local day."""
    days: Collection[int]
    """Days of the week, Monday is 0; empty: every day."""
    call: Callable[[], None] = field(repr=False)
    once: bool
    due: float
    """Seconds since the epoch of the next call."""
    done: float = -math.inf
    """Seconds since the epoch of the last time that is over."""


class Timetable:
    """Appointments of the local day. For the loop's thread; it has no task of its own.

    It costs nothing while it is empty.
    """

    def __init__(
        self, clock: Clock, wall: Callable[[], datetime], evidence: TimeEvidence | None = None
    ) -> None:
        """`wall` returns the local time. `evidence` tells whether it can be believed; None: it can."""
        self._clock = clock
        self._wall = wall
        self._evidence = evidence
        self._appointments: list[_Appointment] = []
        self._alarm: Cancellable | None = None
        self._seen = -math.inf
        """The wall clock at the last look."""
        self._set = evidence is None
        self._offset: timedelta | None = None
        """The local time's offset at the last look."""

    def __len__(self) -> int:
        return len(self._appointments)

    @property
    def next(self) -> datetime | None:
        """The local time of the next appointment; None if there is none."""
        due = min((each.due for each in self._appointments), default=math.inf)
        return datetime.fromtimestamp(due) if math.isfinite(due) else None  # noqa: DTZ006 - local time

    @property
    def clock_is_set(self) -> bool:
        """Whether a time server has set the clock since the start, as far as the machine can tell."""
        self._set = self._set or self._evidence is None or self._evidence.synchronised()
        return self._set

    def add(
        self, minute: int, call: Callable[[], None], *, days: Collection[int] = (), once: bool = False
    ) -> datetime:
        """Call `call` at this minute of the local day, on these days of the week; or once, the next time.

        Return the local time of the next call.
        """
        due = _next(minute, days, self._wall().timestamp())
        self._appointments.append(_Appointment(minute, days, call, once, due))
        self._set_alarm()
        return datetime.fromtimestamp(due)  # noqa: DTZ006 - local time

    def _look(self) -> None:
        wall = self._wall()
        now, offset = wall.timestamp(), wall.utcoffset()
        moved = now < self._seen - LATE_S or offset != self._offset
        self._seen, self._offset = now, offset
        for each in list(self._appointments):
            if moved and each.due > now:
                # A clock that was a day ahead has passed times that are still to come.
                over = each.done if each.done - now < DAY_S else now
                each.due = _next(each.minute, each.days, max(over, now))
            if each.due <= now:
                self._come(each, now)
        self._set_alarm()

    def _come(self, each: _Appointment, now: float) -> None:
        late_s = now - each.due
        if each.once:
            self._appointments.remove(each)
        each.done = each.due
        each.due = _next(each.minute, each.days, max(now, each.done))
        if late_s > LATE_S:
            log.warning("announcement left out, its time has passed: late=%.0fs", late_s)
        elif not self.clock_is_set:
            log.warning("announcement left out: no time server has set this machine's clock; see timedatectl")
        else:
            each.call()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._appointments:
            left_s = min(each.due for each in self._appointments) - self._wall().timestamp()
            self._alarm = self._clock.call_later(min(max(left_s, 0.01), LOOK_S), self._look)


def _next(minute: int, days: Collection[int], after: float) -> float:
    """Return the first time later than `after`, in seconds since the epoch."""
    date = datetime.fromtimestamp(after).date()  # noqa: DTZ006 - local time
    at = time(minute // 60, minute % 60)
    for ahead in range(9):
        day = date + timedelta(days=ahead)
        due = datetime.combine(day, at).timestamp()
        if due > after and (not days or day.weekday() in days):
            return due
    return math.inf
