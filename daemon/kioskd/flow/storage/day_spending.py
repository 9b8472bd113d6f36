"""The day's figures: seconds of connected conversation, tokens, calls of tools. They outlive restarts."""

import asyncio
import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from kioskd import journal_ids
from kioskd.core.budget import DAY_S, Moment, Spent, roll
from kioskd.flow.storage.day_clock import DayClock
from kioskd.flow.storage.disk_writer import DiskWriter
from kioskd.ports import Clock, TimeEvidence

log = logging.getLogger(__name__)

WHAT: Final = "the day's count"

KEEP_S: Final = 60.0
"""The least seconds between two writes. A killed daemon loses at most this; one that ends writes all."""

MOST: Final = 10**12
"""The greatest believable figure of seconds, tokens or calls in a day. A larger one is damage."""


class BudgetStore(Protocol):
    """The storage of the day's figures. It may block, and is called in a thread."""

    def load(self) -> Mapping[str, object] | None:
        """Return the figures that were saved last; None if there are none; nonsense if they are damaged."""

    def save(self, entry: Mapping[str, object]) -> None:
        """Replace the stored figures.

        Raises:
            OSError: they cannot be written. The old figures stay.
        """


class DaySpending:
    """Adds up the day's figures, from zero each day. For the event loop's thread."""

    def __init__(
        self,
        clock: Clock,
        wall: Callable[[], datetime.datetime],
        disk_writer: DiskWriter,
        *,
        store: BudgetStore | None = None,
        time: TimeEvidence | None = None,
        limited: bool = True,
    ) -> None:
        """Read the stored figures. This blocks.

        Args:
            clock: Monotonic time.
            wall: The local time.
            disk_writer: Calls `store`.
            store: The storage of the figures; None: they are not stored.
            time: Evidence of how far `wall` can be believed.
            limited: Whether the owner limits the day's seconds or tokens. If not, only tool calls are stored.
        """
        self.limited = limited
        self._clock = clock
        self._disk_writer = disk_writer
        self._store = store
        self._looked = clock.now()
        self._day = DayClock(clock, wall, time)
        kept = store.load() if store is not None else None
        self._day.restore(kept or {})
        self.spent = _parsed(kept, self._day.today())
        """The day's figures so far."""
        self._kept = self.spent
        self._unkept = asyncio.Event()

    def calls_today(self, tool: str) -> int | None:
        """Return the number of today's calls of `tool`; None if the day's figures were lost."""
        self.roll()
        return None if self.spent.unknown else self.spent.calls.get(tool, 0)

    def count_call(self, tool: str) -> None:
        """Count a call of a `tool` that the owner limits by the day."""
        calls = self.spent.calls
        self._set(replace(self.spent, calls={**calls, tool: calls.get(tool, 0) + 1}))

    def add(self, *, seconds: float = 0.0, tokens: int = 0) -> None:
        spent = self.spent
        self._set(replace(spent, seconds=spent.seconds + seconds, tokens=spent.tokens + tokens))

    def roll(self) -> Moment:
        """Begin a new day if the date has changed. Return the time that is used for days."""
        now, counted = self._clock.now(), moment(self._day.now())
        self._set(roll(self.spent, counted, now - self._looked))
        self._looked = now
        return counted

    async def keep(self, last_look: Callable[[], None]) -> None:
        """Store changes at most once a minute until cancelled. Then call `last_look`, and store the rest."""
        if self._store is None:
            return
        try:
            while True:
                await self._unkept.wait()
                self._unkept.clear()
                await self._disk_writer.save(WHAT, self._write)
                await self._clock.sleep(KEEP_S)
        finally:
            last_look()
            if (self.limited and self.spent != self._kept) or self.spent.calls != self._kept.calls:
                await self._disk_writer.save(WHAT, self._write)

    def _write(self) -> None:
        """Store the present figures. Called in a thread."""
        assert self._store is not None
        spent = self.spent
        self._store.save(_entry(spent) | self._day.kept())
        self._kept = spent

    def _set(self, spent: Spent) -> None:
        if spent == self.spent:
            return
        # A clock that is only behind is stored once an hour; figures without a limit are not stored.
        counts = replace(spent, behind_s=spent.behind_s // 3600) != replace(
            self.spent, behind_s=self.spent.behind_s // 3600
        )
        called = spent.calls != self.spent.calls
        self.spent = spent
        if (counts and self.limited) or called:
            self._unkept.set()


def moment(at: datetime.datetime) -> Moment:
    """Return a local time in the core's form: the day, and the seconds since its midnight."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return Moment(at.toordinal(), (at.replace(tzinfo=None) - midnight).total_seconds())


def _entry(spent: Spent) -> dict[str, object]:
    return {
        "day": datetime.date.fromordinal(spent.day).isoformat(),
        "seconds": round(spent.seconds, 1),
        "tokens": spent.tokens,
        "behind_s": round(spent.behind_s),
        "unknown": spent.unknown,
        "calls": dict(spent.calls),
    }


def _parsed(entry: Mapping[str, Any] | None, today: int) -> Spent:
    """Return the figures from an entry of `_entry`. A broken entry means that the day's figures are lost."""
    if entry is None:
        return Spent(today)
    try:
        spent = Spent(
            datetime.date.fromisoformat(entry["day"]).toordinal(),
            float(entry["seconds"]),
            int(entry["tokens"]),
            float(entry["behind_s"]),
            entry["unknown"] is True,
            {str(tool): int(calls) for tool, calls in entry.get("calls", {}).items()},
        )
        counts = [spent.seconds, spent.tokens, *spent.calls.values()]
        sane = all(0 <= count <= MOST for count in counts) and 0 <= spent.behind_s <= DAY_S
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        sane, spent = False, Spent(today)
    if sane:
        return spent
    log.error(
        "the day's figures are lost, so a day with a limit counts as spent until midnight; "
        "to open the kiosk now, remove budget.json from the state directory and restart",
        extra={"message_id": journal_ids.COUNT_LOST},
    )
    return Spent(today, unknown=True)
