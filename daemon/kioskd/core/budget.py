"""What may still be spent: by day, by conversation, by the clock. Figures in, a verdict out.

A day is a local date, and begins with nothing spent. A clock may jump, so a day is over in two ways only: the date is
later than the one that the figures belong to, or it is earlier (somebody has set the clock back, or the machine has
none before its network comes), and a day's length has been lived through since. So nobody gets a second budget from a
clock that is wrong, and a kiosk that once believed in a far future is not closed until then.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kioskd.errors import Code

DAY_S: Final = 86_400.0

SHORT: Final = 0.25
"""The most of a limit in time that is left when it counts as near: a conversation of a minute has no last minute."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the owner allows. 0 is no limit."""

    seconds_per_day: float = 0.0
    """Of connected conversation."""
    tokens_per_day: int = 0
    seconds_per_conversation: float = 0.0
    """When it ends by the core's own clock; known here for the notice before it."""
    tokens_per_conversation: int = 0
    quiet: tuple[tuple[int, int], ...] = ()
    """Spans in which the kiosk is closed, from and to, in minutes of the local day; `to` before `from` is the next
    day's."""
    warn_s: float = 60.0
    """How long before an end by time it is near; 0: never."""
    warn_percent: float = 95.0
    """How much of the tokens may be spent before the end is near; 100: it never is."""

    @property
    def daily(self) -> bool:
        """Whether anything is counted by the day."""
        return bool(self.seconds_per_day or self.tokens_per_day)


@dataclass(frozen=True, slots=True)
class Moment:
    """A local time. In the hour that a clock skips or has twice, it is what clocks on the wall show."""

    day: int
    """The date's number; the next day's is one more."""
    second: float
    """Of the day."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a day has cost."""

    day: int
    seconds: float = 0.0
    tokens: int = 0
    behind_s: float = 0.0
    """How long the date has been earlier than `day`."""
    unknown: bool = False
    """The figures are lost: the day counts as spent, since the bill cannot be undone."""
    calls: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Of those tools that may be called only so often a day, by name."""


@dataclass(frozen=True, slots=True)
class ConversationCost:
    """What the conversation at hand has taken so far; None is going on where all is 0."""

    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class BudgetVerdict:
    """What follows."""

    closed: Code | None
    """Why nobody may talk to the kiosk now."""
    over: bool
    """The conversation at hand has had all that it may have."""
    near: bool
    """It will end soon, one way or another."""
    next_s: float
    """For how many seconds nothing of this changes but by tokens; `math.inf`: for ever."""


def roll(spent: Spent, now: Moment, passed_s: float) -> Spent:
    """Return what belongs to the day of `now`, `passed_s` after the last time that this was asked."""
    if now.day > spent.day:
        return Spent(now.day)
    if now.day == spent.day:
        return replace(spent, behind_s=0.0) if spent.behind_s else spent
    behind_s = spent.behind_s + passed_s
    return Spent(now.day) if behind_s >= DAY_S else replace(spent, behind_s=behind_s)


def judge(budget: Budget, spent: Spent, talk: ConversationCost, now: Moment) -> BudgetVerdict:
    """Return what follows from `spent` (which belongs to the day) and `talk` for a conversation that is going on."""
    spans = [_ahead(now.second, span) for span in budget.quiet]
    hours_s = (
        0.0 if any(inside for inside, _, _ in spans) else min((to for _, to, _ in spans), default=math.inf)
    )
    # What is left by time, and when it counts as little.
    left = [
        (hours_s, budget.warn_s),
        *_in_time(budget.seconds_per_day, spent.seconds, budget.warn_s),
        *_in_time(budget.seconds_per_conversation, talk.seconds, budget.warn_s),
    ]
    closed = None
    if hours_s <= 0:
        closed = Code.HOURS
    elif budget.daily and (spent.unknown or _used_up(budget, spent)):
        closed = Code.BUDGET
    over = bool(budget.tokens_per_conversation) and talk.tokens >= budget.tokens_per_conversation
    few = any(
        limit and tokens >= limit * budget.warn_percent / 100
        for limit, tokens in (
            (budget.tokens_per_day, spent.tokens),
            (budget.tokens_per_conversation, talk.tokens),
        )
    )
    near = few and budget.warn_percent < 100
    changes = [seconds for left_s, warn_s in left for seconds in (left_s, left_s - warn_s) if seconds > 0]
    changes += [until_s for inside, _, until_s in spans if inside]
    return BudgetVerdict(
        closed=closed,
        over=over,
        near=near or any(left_s <= warn_s > 0 for left_s, warn_s in left),
        next_s=min(changes, default=math.inf),
    )


def opens_at(budget: Budget, spent: Spent, now: Moment, counted: Moment) -> float | None:
    """Return the second of the day at which a closed kiosk opens again; None where quiet hours have no end.

    `counted` is the time that the day's figures go by, where a clock that jumped is not believed.
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
    # Where it begins at this very second, it has begun.
    return ends_s < begins_s, begins_s, ends_s
