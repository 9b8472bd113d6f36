"""Repeated lines are logged a few times, and then counted in one line an hour."""

from kioskd.log_throttle import FEW, HOUR_S, MOST_KINDS, LogThrottle


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at


def said(repeats: LogThrottle[str], count: int, key: str = "link lost") -> int:
    return sum(repeats.passes(key, f"{key} {number}") for number in range(count))


def test_a_few_lines_of_a_kind_are_logged_and_the_others_counted() -> None:
    clock = Clock()
    repeats: LogThrottle[str] = LogThrottle(clock.now)
    assert said(repeats, 10) == FEW
    assert list(repeats.due()) == []

    clock.at = HOUR_S
    assert list(repeats.due()) == [(10 - FEW, "link lost 9")]


def test_a_kind_that_goes_on_is_one_line_an_hour() -> None:
    clock = Clock()
    repeats: LogThrottle[str] = LogThrottle(clock.now)
    said(repeats, 10)
    lines = 0
    for _ in range(72):
        clock.at += HOUR_S
        lines += sum(1 for _ in repeats.due())
        lines += said(repeats, 200)
    assert lines == 72


def test_after_a_quiet_hour_a_kind_is_new_again() -> None:
    clock = Clock()
    repeats: LogThrottle[str] = LogThrottle(clock.now)
    said(repeats, 10)
    clock.at = HOUR_S
    assert len(list(repeats.due())) == 1
    clock.at = 2 * HOUR_S
    assert list(repeats.due()) == []
    assert said(repeats, 10) == FEW


def test_a_visitor_makes_all_kinds_new_and_has_the_counts_logged() -> None:
    repeats: LogThrottle[str] = LogThrottle(Clock().now)
    said(repeats, 10)
    said(repeats, 2, "asleep")
    assert list(repeats.reset()) == [(10 - FEW, "link lost 9")]
    assert said(repeats, 10) == FEW


def test_each_kind_has_a_count_of_its_own() -> None:
    repeats: LogThrottle[str] = LogThrottle(Clock().now)
    assert said(repeats, 10, "one") == said(repeats, 10, "another") == FEW


def test_there_is_a_bound_on_kinds() -> None:
    clock = Clock()
    repeats: LogThrottle[str] = LogThrottle(clock.now)
    for number in range(MOST_KINDS):
        assert repeats.passes(number, "")
    assert sum(repeats.passes(number, "") for number in range(MOST_KINDS, MOST_KINDS + 100)) == FEW
    clock.at = HOUR_S
    assert len(list(repeats.due())) == 1
    assert repeats.passes(1, "")
