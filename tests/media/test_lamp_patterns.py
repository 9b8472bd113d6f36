"""Lamp patterns, for people who cannot tell red from green, and for lamps without colours."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kioskd.core.effects import KioskStatus, Overlay
from kioskd.errors import Code
from kioskd.media.lamp_patterns import (
    DAY_S,
    LONG_FLASHES,
    OVERLAYS,
    STATES,
    TELLING,
    NightDimming,
    Pattern,
    at,
    brightness_at,
    dimmed,
    pattern,
)

CODES = {code.value: pattern("fault", code) for code in Code}
ALL = {**STATES, **OVERLAYS, **CODES}


def flashes(shown: Pattern) -> list[float]:
    """Return the length of each flash of one round; a steady pattern has none."""
    return [seconds for seconds, level in shown.steps if level and seconds < math.inf]


def period(shown: Pattern) -> float:
    return sum(seconds for seconds, _ in shown.steps)


def share(shown: Pattern) -> float:
    """Return the share of time in which the pattern is lit."""
    if period(shown) == math.inf:
        return shown.steps[0][1]
    return sum(flashes(shown)) / period(shown)


def lengths(shown: Pattern) -> str:
    """Return the order of long and short flashes, whatever the first one that a person sees."""
    written = "".join("L" if seconds >= 0.5 else "S" for seconds in flashes(shown))
    return min((written[turn:] + written[:turn] for turn in range(len(written))), default="")


def read(shown: Pattern) -> str:
    """Read a code as a person would: count the long flashes, then the short ones."""
    seen = "".join("L" if seconds >= 0.5 else "S" for seconds in flashes(shown))
    letters = {count: letter for letter, count in LONG_FLASHES.items()}
    assert seen == "L" * seen.count("L") + "S" * seen.count("S")
    return f"{letters[seen.count('L')]}{seen.count('S')}"


# Patterns


def test_every_state_and_overlay_has_a_pattern() -> None:
    assert set(STATES) == set(KioskStatus)
    assert set(OVERLAYS) == set(Overlay) - {Overlay.NONE}


@pytest.mark.parametrize(("one", "other"), list(combinations(ALL, 2)))
def test_any_two_patterns_differ_by_rhythm_alone(one: str, other: str) -> None:
    a, b = ALL[one], ALL[other]
    pace = (
        max(period(a), period(b)) / min(period(a), period(b)) if math.inf not in (period(a), period(b)) else 9
    )
    assert lengths(a) != lengths(b) or pace >= 2 or abs(share(a) - share(b)) >= 0.25


@pytest.mark.parametrize("name", ALL)
def test_every_pattern_works_on_a_line_that_is_on_or_off(name: str) -> None:
    assert {level for _, level in ALL[name].steps} <= {0.0, 1.0}
    assert max(ALL[name].colour) == 1.0
    assert set(ALL[name].colour) <= {0.0, 1.0}


@pytest.mark.parametrize("name", ALL)
def test_no_pattern_flashes_more_than_three_times_a_second(name: str) -> None:
    moments, t_s, was = [], 0.0, 0.0
    while t_s < 20.0:
        level, until_s = at(ALL[name], t_s)
        if level and not was:
            moments.append(t_s)
        was, t_s = level, until_s
    assert all(fourth - first > 1.0 for first, fourth in zip(moments, moments[3:], strict=False))


@pytest.mark.parametrize("name", ALL)
def test_a_pattern_begins_lit_and_ends_dark_unless_it_is_steady(name: str) -> None:
    levels = [level for _, level in ALL[name].steps]
    assert levels == [1.0, 0.0] * (len(levels) // 2) or period(ALL[name]) == math.inf


def test_asleep_is_always_dark_and_listening_always_lit() -> None:
    assert at(pattern("asleep"), 5.0) == (0.0, math.inf)
    assert at(pattern("listening"), 5.0) == (1.0, math.inf)


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("state", sorted(TELLING))
def test_a_code_can_be_read_back_from_its_flashes(state: str, code: Code) -> None:
    told = pattern(state, code)
    assert read(told) == code.value
    assert told.colour == STATES[state].colour


def test_asleep_is_dark_unless_it_shows_a_code() -> None:
    assert read(pattern("asleep", "S1")) == "S1"
    assert pattern("asleep") == STATES["asleep"]


@pytest.mark.parametrize("code", Code)
def test_the_pause_after_a_code_is_longer_than_any_pause_within_it(code: Code) -> None:
    pauses = [seconds for seconds, level in pattern("fault", code).steps if not level]
    assert pauses[-1] >= 2 * max(pauses[:-1])


@pytest.mark.parametrize("state", sorted(set(STATES) - TELLING))
def test_states_of_a_working_kiosk_show_no_code(state: str) -> None:
    assert pattern(state, "W1") == STATES[state]


def test_an_overlay_hides_the_state_and_its_code() -> None:
    assert pattern("fault", "D1", "asking") == OVERLAYS["asking"]


@given(st.sampled_from(sorted(ALL)), st.floats(0.0, 1e8))
def test_every_moment_has_a_level_that_holds_for_a_while(name: str, t_s: float) -> None:
    level, until_s = at(ALL[name], t_s)
    assert 0.0 <= level <= 1.0
    assert until_s > t_s


@given(st.sampled_from(sorted(ALL)), st.integers(1, 1000))
def test_steps_follow_each_other_without_drifting(name: str, rounds: int) -> None:
    shown = ALL[name]
    if period(shown) == math.inf:
        return
    levels, t_s = [], rounds * period(shown) + 1e-6
    for _ in shown.steps:
        level, until_s = at(shown, t_s)
        levels.append(level)
        t_s = until_s + 1e-6
    assert levels == [level for _, level in shown.steps]
    assert t_s == pytest.approx((rounds + 1) * period(shown), abs=1e-4)


# Brightness

NIGHT = NightDimming(22 * 3600.0, 7 * 3600.0, 10.0)


@pytest.mark.parametrize(
    ("hour", "percent", "hours"),
    [
        (12, 80.0, 10),
        (21.5, 80.0, 0.5),
        (22, 10.0, 9),
        (23, 10.0, 8),
        (0, 10.0, 7),
        (6.5, 10.0, 0.5),
        (7, 80.0, 15),
    ],
)
def test_a_night_goes_over_midnight(hour: float, percent: float, hours: float) -> None:
    assert brightness_at(hour * 3600, 80.0, NIGHT) == (percent, hours * 3600)


def test_a_night_may_lie_within_a_day() -> None:
    siesta = NightDimming(13 * 3600.0, 15 * 3600.0, 0.0)
    assert brightness_at(14 * 3600, 50.0, siesta) == (0.0, 3600.0)
    assert brightness_at(15 * 3600, 50.0, siesta) == (50.0, 22 * 3600.0)


def test_without_a_night_the_brightness_never_changes() -> None:
    assert brightness_at(0.0, 50.0, None) == (50.0, math.inf)
    assert brightness_at(0.0, 50.0, NightDimming(3600.0, 3600.0, 10.0)) == (50.0, math.inf)


MOMENTS = st.integers(0, int(DAY_S) - 1)


@given(MOMENTS, MOMENTS, MOMENTS)
def test_the_night_brightness_applies_for_the_whole_night(day_s: int, from_s: int, to_s: int) -> None:
    percent, holds_s = brightness_at(day_s, 80.0, NightDimming(from_s, to_s, 10.0))
    after_dusk, before_dawn = day_s >= from_s, day_s < to_s
    dark = after_dusk and before_dawn if from_s <= to_s else after_dusk or before_dawn
    assert percent == (10.0 if dark else 80.0)
    assert 0.0 < holds_s <= DAY_S or from_s == to_s


def test_half_the_brightness_takes_a_fifth_of_the_light() -> None:
    assert dimmed(0) == 0.0
    assert dimmed(50) == pytest.approx(0.184, abs=0.001)
    assert dimmed(100) == pytest.approx(1.0)


@given(st.floats(0.0, 99.0), st.floats(0.01, 1.0))
def test_more_brightness_is_more_light(brightness: float, more: float) -> None:
    assert 0.0 <= dimmed(brightness) < dimmed(brightness + more) <= 1.0
