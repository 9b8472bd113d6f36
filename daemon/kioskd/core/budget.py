"""Judges what may still be spent by day, by conversation and by the clock: figures in, a verdict out.

The longest time of one conversation is not judged here: the core's own timers know it, and visitors can put
it off.

A day is a local date and begins with nothing spent. A clock may jump, so a day ends in two ways only. Either
the date is later than the day of the figures. Or the date is earlier, and has been for 24 hours: the clock
was set back, or the network has not set it yet. So a wrong clock gives no second budget. And a kiosk whose
clock was once far ahead is not closed until that date.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kioskd.core.ending import SHORT
from kioskd.errors import Code

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Budget:
    """The owner's limits; 0 means no limit."""

    seconds_per_day: float = 0.0
    """Seconds of connected conversation."""
    tokens_per_day: int = 0
    tokens_per_conversation: int = 0
    quiet: tuple[tuple[int, int], ...] = ()
    """Quiet hours as (from, to) in minutes of the local day; a `to` before `from` belongs to the next day."""
    warn_s: float = 60.0
    """Seconds before an end by time at which the end counts as near; 0: never."""
    warn_percent: float = 95.0
    """Percentage of the tokens at which the end counts as near; 100: never."""

    @property
    def daily(self) -> bool:
        """Whether any limit counts by the day."""
        return bool(self.seconds_per_day or self.tokens_per_day)


@dataclass(frozen=True, slots=True)
class Moment:
    """A local time, as a wall clock shows it, also in the hour that daylight saving time skips or repeats."""

    day: int
    """Ordinal number of the date; the next day has the next number."""
    second: float
    """Second of the day."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Usage of one day."""

    day: int
    seconds: float = 0.0
    tokens: int = 0
    behind_s: float = 0.0
    """Seconds for which the date has been earlier than `day`."""
    unknown: bool = False
    """The figures are lost. The day counts as spent, because the service bills it all the same."""
    calls: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Calls of each tool that has a daily limit, by the tool's name."""


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """Result of `judge`."""

    closed: Code | None
    """The reason why the kiosk is closed now; None: it is open."""
    over: bool
    """The present conversation has used up its tokens."""
    near: bool
    """A limit will soon end the conversation."""
    left_s: float
    """Seconds until a limit by time ends a connected conversation; `math.inf`: none does."""
    next_s: float
    """Seconds until time alone may change this verdict; `math.inf`: never."""


def roll(spent: Spent, now: Moment, passed_s: float) -> Spent:
    """Return the usage of the day of `now`: `spent` itself, or zero on a new day.

    `passed_s`: seconds since the previous call.
    """
    if now.day > spent.day:
        return Spent(now.day)
    if now.day == spent.day:
        return replace(spent, behind_s=0.0) if spent.behind_s else spent
    behind_s = spent.behind_s + passed_s
    return Spent(now.day) if behind_s >= DAY_S else replace(spent, behind_s=behind_s)


def judge(budget: Budget, spent: Spent, tokens: int, now: Moment) -> BudgetVerdict:
    """Return the verdict on a conversation that has used `tokens`; `spent` must belong to the present day.

    Without a conversation, `tokens` is 0.
    """
    spans = [_ahead(now.second, span) for span in budget.quiet]
    hours_s = (
        0.0 if any(inside for inside, _, _ in spans) else min((to for _, to, _ in spans), default=math.inf)
    )
    # Pairs: the seconds that are left, and the seconds below which the end is near.
    left = [
        (hours_s, budget.warn_s),
        *_in_time(budget.seconds_per_day, spent.seconds, budget.warn_s),
    ]
    closed = None
    if hours_s <= 0:
        closed = Code.HOURS
    elif budget.daily and (spent.unknown or _used_up(budget, spent)):
        closed = Code.BUDGET
    over = bool(budget.tokens_per_conversation) and tokens >= budget.tokens_per_conversation
    few = any(
        limit and used >= limit * budget.warn_percent / 100
        for limit, used in (
            (budget.tokens_per_day, spent.tokens),
            (budget.tokens_per_conversation, tokens),
        )
    )
    near = few and budget.warn_percent < 100
    changes = [seconds for left_s, warn_s in left for seconds in (left_s, left_s - warn_s) if seconds > 0]
    changes += [until_s for inside, _, until_s in spans if inside]
    return BudgetVerdict(
        closed=closed,
        over=over,
        near=near or any(left_s <= warn_s > 0 for left_s, warn_s in left),
        left_s=max(0.0, min(left_s for left_s, _ in left)),
        next_s=min(changes, default=math.inf),
    )


def opens_at(budget: Budget, spent: Spent, now: Moment, counted: Moment) -> float | None:
    """Return the second of the day at which a closed kiosk opens again; None: quiet hours never end.

    `counted` is the time by which the day's figures are counted. It differs from `now` after the clock has
    jumped.
    """
    ahead_s = 0.0
    if budget.daily and (spent.unknown or _used_up(budget, spent)):
        ahead_s = DAY_S - (counted.second if counted.day >= spent.day else spent.behind_s)
    for _ in range(2 * len(budget.quiet) + 1):
        second = (now.second + ahead_s) % DAY_S
        spans = [_ahead(second, span) for span in budget.quiet]
        ends = [ends_s for inside, _, ends_s in spans if inside]
        if not ends:
            return second
        ahead_s += min(ends)
    return None


def _used_up(budget: Budget, spent: Spent) -> bool:
    return (0 < budget.seconds_per_day <= spent.seconds) or (0 < budget.tokens_per_day <= spent.tokens)


def _in_time(limit_s: float, used_s: float, warn_s: float) -> list[tuple[float, float]]:
    return [(limit_s - used_s, min(warn_s, limit_s * SHORT))] if limit_s else []


def _ahead(second: float, span: tuple[int, int]) -> tuple[bool, float, float]:
    """Return whether `second` of the day lies in `span`, and the seconds until it begins and ends."""
    begins_s, ends_s = ((minute * 60.0 - second) % DAY_S or DAY_S for minute in span)
    # A span that begins at this very second has begun.
    return ends_s < begins_s, begins_s, ends_s
