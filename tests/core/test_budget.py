"""Budgets: days that begin, clocks that jump, limits that are near or reached, and quiet hours."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kioskd.core.budget import DAY_S, Budget, BudgetVerdict, Moment, Spent, judge, roll
from kioskd.errors import Code

NOON = Moment(7, 12 * 3600.0)
HOUR = Budget(seconds_per_day=3600, warn_s=60)
NIGHT = Budget(quiet=((22 * 60, 7 * 60),), warn_s=60)


def at(clock: str, day: int = 7) -> Moment:
    hours, minutes, seconds = map(int, clock.split(":"))
    return Moment(day, hours * 3600.0 + minutes * 60.0 + seconds)


def verdict(
    budget: Budget,
    *,
    seconds: float = 0.0,
    tokens: int = 0,
    talk_tokens: int = 0,
    now: Moment = NOON,
) -> BudgetVerdict:
    return judge(budget, Spent(now.day, seconds, tokens), talk_tokens, now)


# Days


def test_a_new_day_begins_with_nothing_spent() -> None:
    assert roll(Spent(7, 3600.0, 500), Moment(8, 0.0), 1.0) == Spent(8)


def test_a_day_goes_on_with_what_it_has_spent() -> None:
    assert roll(Spent(7, 3600.0, 500), Moment(7, DAY_S - 1), 1.0) == Spent(7, 3600.0, 500)


def test_a_clock_set_back_gives_no_second_budget() -> None:
    spent = roll(Spent(7, 3600.0, 500), Moment(6, 0.0), 10.0)
    assert (spent.day, spent.seconds, spent.tokens) == (7, 3600.0, 500)
    # When the network sets the clock, the day is still the one that was spent.
    assert roll(spent, NOON, 10.0) == Spent(7, 3600.0, 500)


def test_a_day_in_the_far_future_is_over_after_24_hours() -> None:
    spent = Spent(90_000, 3600.0, 500)
    for _ in range(23):
        spent = roll(spent, NOON, 3600.0)
        assert spent.seconds == 3600.0
    assert roll(spent, NOON, 3600.0) == Spent(7)


def test_lost_figures_close_the_kiosk_until_the_next_day() -> None:
    lost = Spent(7, unknown=True)
    assert judge(HOUR, roll(lost, NOON, 1.0), 0, NOON).closed is Code.BUDGET
    assert judge(HOUR, roll(lost, Moment(8, 0.0), 1.0), 0, Moment(8, 0.0)).closed is None


def test_lost_figures_do_not_close_a_kiosk_without_daily_limits() -> None:
    assert judge(NIGHT, Spent(7, unknown=True), 0, NOON).closed is None


# Limits


def test_without_limits_the_verdict_never_changes() -> None:
    assert verdict(Budget(), seconds=1e9, tokens=10**9, talk_tokens=10**9) == BudgetVerdict(
        None, over=False, near=False, left_s=math.inf, next_s=math.inf
    )


@pytest.mark.parametrize(
    ("seconds", "closed", "near", "next_s"),
    [
        (0.0, None, False, 3540.0),
        (3539.0, None, False, 1.0),
        (3540.0, None, True, 60.0),
        (3599.5, None, True, 0.5),
        (3600.0, Code.BUDGET, True, math.inf),
    ],
)
def test_a_notice_comes_before_the_days_minutes_are_spent(
    seconds: float, closed: Code | None, near: bool, next_s: float
) -> None:
    assert verdict(HOUR, seconds=seconds) == BudgetVerdict(
        closed, over=False, near=near, left_s=3600.0 - seconds, next_s=next_s
    )


@pytest.mark.parametrize(
    ("tokens", "closed", "near"),
    [(949, None, False), (950, None, True), (999, None, True), (1000, Code.BUDGET, True)],
)
def test_a_notice_comes_before_the_days_tokens_are_spent(
    tokens: int, closed: Code | None, near: bool
) -> None:
    found = verdict(Budget(tokens_per_day=1000), tokens=tokens)
    assert (found.closed, found.near) == (closed, near)


@pytest.mark.parametrize(
    ("tokens", "over", "near"), [(949, False, False), (950, False, True), (1000, True, True)]
)
def test_a_conversations_tokens_end_it_without_closing_the_kiosk(tokens: int, over: bool, near: bool) -> None:
    found = verdict(Budget(tokens_per_conversation=1000), talk_tokens=tokens)
    assert (found.closed, found.over, found.near) == (None, over, near)


def test_the_notice_of_a_short_limit_comes_in_its_last_quarter() -> None:
    budget = Budget(seconds_per_day=60)
    assert not verdict(budget, seconds=44.0).near
    assert verdict(budget, seconds=45.0).near


def test_the_time_left_is_that_of_the_nearest_limit() -> None:
    assert verdict(HOUR, seconds=3000.0).left_s == 600.0
    assert verdict(replace(HOUR, quiet=NIGHT.quiet), now=at("21:58:00")).left_s == 120.0
    assert verdict(HOUR, seconds=3700.0).left_s == 0.0
    assert verdict(Budget(tokens_per_day=10)).left_s == math.inf


def test_notices_can_be_switched_off() -> None:
    silent = replace(HOUR, tokens_per_day=1000, quiet=NIGHT.quiet, warn_s=0, warn_percent=100)
    assert not verdict(silent, seconds=3599.0, tokens=999, now=at("21:59:59")).near


# Hours


@pytest.mark.parametrize(
    ("clock", "closed"),
    [
        ("21:59:59", None),
        ("22:00:00", Code.HOURS),
        ("23:59:59", Code.HOURS),
        ("00:00:00", Code.HOURS),
        ("06:59:59", Code.HOURS),
        ("07:00:00", None),
        ("12:00:00", None),
    ],
)
def test_quiet_hours_can_cross_midnight(clock: str, closed: Code | None) -> None:
    assert verdict(NIGHT, now=at(clock)).closed is closed


@pytest.mark.parametrize(
    ("clock", "closed"),
    [("12:59:59", None), ("13:00:00", Code.HOURS), ("13:59:59", Code.HOURS), ("14:00:00", None)],
)
def test_quiet_hours_can_lie_within_a_day(clock: str, closed: Code | None) -> None:
    assert verdict(Budget(quiet=((13 * 60, 14 * 60),)), now=at(clock)).closed is closed


def test_adjacent_quiet_hours_leave_no_gap() -> None:
    budget = Budget(quiet=((22 * 60, 0), (0, 7 * 60)))
    assert verdict(budget, now=at("00:00:00")).closed is Code.HOURS


def test_a_notice_comes_before_quiet_hours_begin() -> None:
    assert not verdict(NIGHT, now=at("21:58:59")).near
    assert verdict(NIGHT, now=at("21:59:00")).near


def test_quiet_hours_follow_the_clock_that_skips_an_hour() -> None:
    budget = Budget(quiet=((2 * 60 + 30, 3 * 60 + 30),))
    # The clock goes from 01:59:59 to 03:00:00.
    assert [verdict(budget, now=at(clock)).closed for clock in ("01:59:59", "03:00:00", "03:30:00")] == [
        None,
        Code.HOURS,
        None,
    ]


def test_quiet_hours_come_before_a_spent_budget_as_the_reason() -> None:
    spent = replace(HOUR, quiet=NIGHT.quiet)
    assert verdict(spent, seconds=3600.0, now=at("23:00:00")).closed is Code.HOURS


budgets = st.builds(
    Budget,
    seconds_per_day=st.sampled_from([0.0, 600.0, 7200.0]),
    quiet=st.lists(
        st.tuples(st.integers(0, 1439), st.integers(0, 1439)).filter(lambda span: span[0] != span[1]),
        max_size=3,
    ).map(tuple),
    warn_s=st.sampled_from([0.0, 1.0, 60.0]),
)


@given(budgets, st.floats(0, 7200), st.floats(0, DAY_S - 1), st.floats(0, 1))
@example(Budget(seconds_per_day=7200.0), 7199.999999999999, 0.0, 1.0)
def test_the_verdict_does_not_change_before_the_stated_time(
    budget: Budget, seconds: float, second: float, share: float
) -> None:
    first = judge(budget, Spent(7, seconds), 0, Moment(7, second))
    # A microsecond less: sums of seconds are rounded, and may reach a limit that is nearer than that.
    later_s = min(max(first.next_s - 1e-6, 0.0), DAY_S - 1 - second) * share
    later = judge(budget, Spent(7, seconds + later_s), 0, Moment(7, second + later_s))
    assert (later.closed, later.over, later.near) == (first.closed, first.over, first.near)
