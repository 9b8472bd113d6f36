"""The date for budgets: setting the clock gives no new day, but a synchronised clock does."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.fakes_devices import ManualClock

from kioskd.flow.storage.day_clock import BOOT_GRACE_S, DayClock

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = NOON.toordinal()


class Machine:
    """A machine whose wall clock can be set; a `ports.TimeEvidence`."""

    def __init__(self, at: datetime = NOON, *, boot: str = "first", up_s: float = 0.0) -> None:
        self.clock = ManualClock()
        self.at = at
        self.in_step = False
        self._boot, self._up_s = boot, up_s
        self._began = self.clock.now()

    def wall(self) -> datetime:
        return self.at + timedelta(seconds=self.clock.now() - self._began)

    def synchronised(self) -> bool:
        return self.in_step

    def boot(self) -> tuple[str, float]:
        return self._boot, self._up_s + self.clock.now() - self._began

    def days(self) -> DayClock:
        return DayClock(self.clock, self.wall, self)

    async def live(self, days: DayClock, hours: float) -> int:
        """Let time pass with a look every ten minutes; the daemon looks more often. Return today."""
        for _ in range(round(hours * 6)):
            await self.clock.advance(600)
            days.today()
        return days.today()


async def test_midnight_comes_by_itself() -> None:
    machine = Machine()
    days = machine.days()
    assert await machine.live(days, 11.9) == DAY
    assert await machine.live(days, 0.2) == DAY + 1


async def test_a_clock_set_forward_and_back_gives_no_new_day(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    days = machine.days()
    for forward in (1, 2, 40, 400):
        machine.at = NOON + timedelta(days=forward)
        assert days.today() == DAY
        machine.at = NOON
        assert days.today() == DAY
    machine.at = NOON + timedelta(days=3)
    assert days.today() == DAY
    assert await machine.live(days, 24) == DAY + 1, "a day that has really passed counts"
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "clock was set forward, but is not synchronised" in said[0].getMessage()


async def test_a_clock_that_is_synchronised_is_believed() -> None:
    machine = Machine(datetime(2024, 1, 1, tzinfo=UTC))
    days = machine.days()
    machine.at = NOON
    assert days.today() != DAY
    machine.in_step = True
    assert days.today() == DAY


async def test_a_restart_with_the_clock_set_forward_in_between_gives_no_new_day() -> None:
    machine = Machine()
    kept = machine.days().kept()
    for forward in (1, 2):
        again = Machine(NOON + timedelta(days=forward), up_s=30)
        days = again.days()
        days.restore(kept)
        assert days.today() == DAY
        kept = days.kept()


async def test_after_a_night_off_a_new_day_begins_with_a_synchronised_clock_or_after_an_hour() -> None:
    kept = Machine().days().kept()
    morning = Machine(NOON + timedelta(hours=20), boot="second", up_s=20)
    days = morning.days()
    days.restore(kept)
    assert days.today() == DAY
    assert await morning.live(days, BOOT_GRACE_S / 3600 + 0.2) == DAY + 1
    in_step = Machine(NOON + timedelta(hours=20), boot="second", up_s=20)
    in_step.in_step = True
    days = in_step.days()
    days.restore(kept)
    assert days.today() == DAY + 1


@pytest.mark.parametrize(
    "junk",
    [{}, {"clock": 5}, {"clock": {"wall": "x", "boot": 3, "boot_s": None, "ahead_s": 0}}]
    + [
        {"clock": {"wall": wall, "boot": "a", "boot_s": 0, "ahead_s": 0}}
        for wall in (10**400, float("nan"), -(2**70))
    ],
)
async def test_a_broken_clock_entry_does_no_harm(junk: dict[str, object]) -> None:
    days = Machine().days()
    days.restore(junk)
    assert days.today() == DAY


async def test_without_evidence_about_the_clock_one_jump_a_day_counts() -> None:
    machine = Machine()
    days = DayClock(machine.clock, machine.wall, None)
    machine.at = NOON + timedelta(days=1)
    assert days.today() == DAY + 1
    for forward in (2, 3):
        machine.at = NOON + timedelta(days=forward)
        assert days.today() == DAY + 1
    assert days.kept() == {}
