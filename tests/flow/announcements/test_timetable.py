"""The timetable: each time comes once a day, also when the clock changes or is wrong at first."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.support.fakes_devices import ManualClock

from kioskd.flow.announcements.timetable import LATE_S, LOOK_S, Timetable

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Evidence:
    """Evidence of a clock that a test sets."""

    def __init__(self) -> None:
        self.is_set = True

    def synchronised(self) -> bool:
        return self.is_set

    def boot(self) -> tuple[str, float]:
        return "boot", 0.0


class Rig:
    """A timetable, and a wall clock that can jump."""

    def __init__(self, month: int, day: int, hour: int, minute: int = 0, *, year: int = 2026) -> None:
        self.clock = ManualClock()
        self.evidence = Evidence()
        self.zone = BERLIN
        self.reads = 0
        begin = datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp()
        self._offset = begin - self.clock.now()
        self.calls: list[str] = []
        self.timetable = Timetable(self.clock, self.wall, self.evidence)

    def wall(self) -> datetime:
        self.reads += 1
        return datetime.fromtimestamp(self._offset + self.clock.now(), self.zone)

    def jump(self, **much: float) -> None:
        self._offset += timedelta(**much).total_seconds()

    def at(self, hour: int, minute: int, days: tuple[int, ...] = (), *, once: bool = False) -> None:
        self.timetable.add(60 * hour + minute, self._call, days=days, once=once)

    def _call(self) -> None:
        self.calls.append(f"{self.wall():%a %d %H:%M}")

    async def passes(self, minutes: float) -> None:
        """Let time pass, with a look every half minute."""
        for _ in range(round(minutes * 2)):
            await self.clock.advance(30.0)

    async def passes_days(self, count: int) -> None:
        """Let days pass in jumps of 23 hours and 50 minutes, in which no time comes, and of 10 minutes."""
        for _ in range(count):
            self.jump(hours=23, minutes=50)
            await self.passes(10)


async def test_a_time_comes_each_day_at_its_minute() -> None:
    rig = Rig(12, 1, 17, 40)
    rig.at(17, 45)
    await rig.passes(10)
    await rig.passes_days(2)
    assert rig.calls == ["Tue 01 17:45", "Wed 02 17:45", "Thu 03 17:45"]


async def test_a_time_comes_on_its_days_only() -> None:
    rig = Rig(12, 1, 9, 5)
    rig.at(9, 0, days=(5, 6))
    assert rig.timetable.next == datetime(2026, 12, 5, 9, 0)  # noqa: DTZ001 - local time
    await rig.passes_days(7)
    assert rig.calls == ["Sat 05 09:00", "Sun 06 09:00"]


async def test_an_appointment_comes_once() -> None:
    rig = Rig(12, 1, 11, 5)
    rig.at(11, 0, once=True)
    await rig.passes_days(3)
    assert rig.calls == ["Wed 02 11:00"]
    assert len(rig.timetable) == 0


async def test_a_time_in_the_hour_that_autumn_repeats_comes_once() -> None:
    rig = Rig(10, 25, 2, 25)
    rig.at(2, 30)
    await rig.passes(80)
    assert rig.calls == ["Sun 25 02:30"]


async def test_a_time_in_the_hour_that_spring_skips_comes_an_hour_later() -> None:
    rig = Rig(3, 29, 1, 50)
    rig.at(2, 30)
    rig.at(4, 0)
    await rig.passes(80)
    assert rig.calls == ["Sun 29 03:30", "Sun 29 04:00"]


async def test_the_day_after_a_change_has_its_usual_times() -> None:
    rig = Rig(10, 25, 0, 40)
    rig.at(17, 45)
    rig.jump(hours=17)  # with the hour that comes twice
    await rig.passes(70)
    assert rig.calls == ["Sun 25 17:45"]


@pytest.mark.parametrize(("late_s", "calls"), [(LATE_S - LOOK_S - 1, 1), (LATE_S + 1, 0)])
async def test_a_clock_that_jumps_over_a_time_catches_up_for_a_minute_only(late_s: float, calls: int) -> None:
    rig = Rig(12, 1, 17, 40)
    rig.at(17, 45)
    rig.jump(seconds=300 + late_s)
    await rig.passes(1)
    assert len(rig.calls) == calls
    await rig.passes_days(1)
    assert len(rig.calls) == calls + 1


async def test_a_clock_that_is_set_back_a_little_repeats_nothing() -> None:
    rig = Rig(12, 1, 17, 40)
    rig.at(17, 45)
    await rig.passes(6)
    rig.jump(minutes=-10)
    await rig.passes(20)
    assert rig.calls == ["Tue 01 17:45"]


async def test_a_clock_that_was_far_ahead_has_today_all_the_same() -> None:
    rig = Rig(6, 1, 17, 40, year=2027)
    rig.at(17, 45)
    await rig.passes(10)
    rig.jump(days=-182, minutes=50)  # to winter time
    await rig.passes(10)
    assert rig.calls == ["Tue 01 17:45", "Tue 01 17:45"]


async def test_a_clock_that_no_time_server_has_set_calls_nothing(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(12, 1, 17, 40)
    rig.evidence.is_set = False
    rig.at(17, 45)
    await rig.passes(10)
    assert rig.calls == []
    assert "no time server has set this machine's clock" in caplog.text
    rig.evidence.is_set = True
    await rig.passes_days(1)
    assert rig.calls == ["Wed 02 17:45"]


async def test_a_clock_that_was_set_once_counts_when_its_time_server_is_gone() -> None:
    rig = Rig(12, 1, 17, 40)
    assert rig.timetable.clock_is_set
    rig.evidence.is_set = False
    rig.at(17, 45)
    await rig.passes(10)
    assert rig.calls == ["Tue 01 17:45"]


async def test_a_new_time_zone_moves_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(12, 1, 17, 0)
    rig.at(17, 45)
    await rig.passes(1)
    monkeypatch.setenv("TZ", "Europe/London")
    time.tzset()
    rig.zone = ZoneInfo("Europe/London")
    await rig.passes(50)
    assert rig.calls == [], "it is 16:51 in London"
    await rig.passes(60)
    assert rig.calls == ["Tue 01 17:45"]


async def test_an_empty_timetable_does_not_look_at_the_clock() -> None:
    rig = Rig(12, 1, 12, 58)
    rig.at(13, 0, once=True)
    await rig.passes(5)
    assert rig.timetable.next is None
    rig.reads = 0
    await rig.passes(10)
    assert rig.reads == 0
