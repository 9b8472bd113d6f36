"""Lamps: they show each state by its pattern, and a lost lamp does not end the daemon."""

import datetime
import logging
from itertools import accumulate

import pytest
from tests.support.fakes_devices import ManualClock, MemoryLamp
from tests.support.kiosk import Inbox, running

from kioskd.core.effects import KioskStatus, Overlay, ShowStatus
from kioskd.errors import Code
from kioskd.flow.controls.lamps import RECHECK_S, LampWorker
from kioskd.flow.runtime.device_supervisor import RETRY_S
from kioskd.media import lamp_patterns
from kioskd.media.lamp_patterns import NightDimming
from kioskd.ports import Light


class WatchedLamp(MemoryLamp):
    """A lamp that remembers its light over time."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.seen: list[tuple[float, float]] = []
        self._clock = clock

    def shine(self, light: Light) -> None:
        super().shine(light)
        self.seen.append((round(self._clock.now() - 1000.0, 6), light.level))


class WallClock:
    """A time of day that a test sets."""

    def __init__(self, clock: ManualClock, at: str) -> None:
        self._clock = clock
        self.asked = 0
        self.set(at)

    def set(self, at: str) -> None:
        """Set the time of day."""
        self._then = datetime.datetime.fromisoformat(f"2026-11-20T{at}")
        self._when = self._clock.now()

    def __call__(self) -> datetime.time:
        self.asked += 1
        return (self._then + datetime.timedelta(seconds=self._clock.now() - self._when)).time()


def no_time() -> datetime.time:
    raise AssertionError("nobody needs to know the time of the day")


def keeper(*lamps: MemoryLamp, clock: ManualClock) -> LampWorker:
    return LampWorker(lamps, clock, Inbox().post, local_time=no_time)


async def test_each_state_is_shown_at_once_by_its_name_and_its_colour() -> None:
    lamp = MemoryLamp()
    shows = keeper(lamp, clock=ManualClock())
    for shown in KioskStatus:
        shows.show(ShowStatus(shown))
        level, _ = lamp_patterns.at(lamp_patterns.STATES[shown], 0.0)
        red, green, blue = (part * level for part in lamp_patterns.STATES[shown].colour)
        assert lamp.light == Light(shown.value, red, green, blue)
    assert lamp.shown == [shown.value for shown in KioskStatus]


async def test_the_rhythm_is_played_step_by_step_without_drifting() -> None:
    clock = ManualClock()
    lamp = WatchedLamp(clock)
    async with running(keeper(lamp, clock=clock).run()):
        await clock.advance(100.0)
    assert lamp.seen == [(float(second), float(second % 2 == 0)) for second in range(101)]


async def test_a_code_is_shown_by_its_flashes() -> None:
    clock = ManualClock()
    lamp = WatchedLamp(clock)
    shows = keeper(lamp, clock=clock)
    async with running(shows.run()):
        await clock.advance(0)
        lamp.seen.clear()
        shows.show(ShowStatus(KioskStatus.FAULT, Code.MICROPHONE))
        steps = lamp_patterns.pattern("fault", "D1").steps
        await clock.advance(sum(seconds for seconds, _ in steps) - 0.01)
    starts = accumulate((seconds for seconds, _ in steps), initial=0.0)
    told = [(round(t_s, 6), level) for t_s, (_, level) in zip(starts, steps, strict=False)]
    # The first light comes from `show`, the second from the task that plays the pattern.
    assert lamp.seen == [told[0], *told]


async def test_a_sleeping_kiosk_is_dark_unless_it_shows_a_code() -> None:
    clock = ManualClock()
    lamp = WatchedLamp(clock)
    shows = keeper(lamp, clock=clock)
    async with running(shows.run()):
        shows.show(ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="No space left on device"))
        await clock.advance(0)
        lamp.seen.clear()
        await clock.advance(sum(seconds for seconds, _ in lamp_patterns.pattern("asleep", "S1").steps) - 0.01)
        assert [level for _, level in lamp.seen] == [0.0, 1.0] * 5 + [0.0]
        shows.show(ShowStatus(KioskStatus.LISTENING, Code.STORAGE))
        assert lamp.light == Light("listening", 0.0, 1.0, 0.0, "S1")
        shows.show(ShowStatus(KioskStatus.ASLEEP))
        assert lamp.light == Light("asleep", 0.0, 0.0, 0.0)


async def test_an_overlay_is_shown_over_a_state_and_ends() -> None:
    lamp = MemoryLamp()
    shows = keeper(lamp, clock=ManualClock())
    shows.show(ShowStatus(KioskStatus.LISTENING))
    shows.show(ShowStatus(KioskStatus.LISTENING, overlay=Overlay.ARMED_MUTE))
    assert lamp.light == Light("listening", 1.0, 0.0, 0.0, overlay="armed_mute")
    shows.show(ShowStatus(KioskStatus.LISTENING))
    assert lamp.light == Light("listening", 0.0, 1.0, 0.0)


async def test_a_new_state_begins_at_once_and_at_its_beginning() -> None:
    clock = ManualClock()
    lamp = WatchedLamp(clock)
    shows = keeper(lamp, clock=clock)
    async with running(shows.run()):
        await clock.advance(1.5)
        lamp.seen.clear()
        shows.show(ShowStatus(KioskStatus.WAKING))
        await clock.advance(0.3)
    assert lamp.seen == [(1.5, 1.0), (1.5, 1.0), (1.7, 0.0)]


async def test_showing_the_same_state_again_does_not_restart_its_pattern() -> None:
    clock = ManualClock()
    lamp = WatchedLamp(clock)
    shows = keeper(lamp, clock=clock)
    async with running(shows.run()):
        shows.show(ShowStatus(KioskStatus.OFFLINE, Code.WAY))
        await clock.advance(0.6)
        lamp.seen.clear()
        shows.show(ShowStatus(KioskStatus.OFFLINE, Code.WAY, what="anything"))
        await clock.advance(0.2)
    assert [t_s for t_s, level in lamp.seen if not level] == [0.7]


@pytest.mark.parametrize("shown", [KioskStatus.ASLEEP, KioskStatus.LISTENING])
async def test_a_steady_light_starts_no_timer(shown: KioskStatus) -> None:
    clock = ManualClock()
    lamp = WatchedLamp(clock)
    shows = keeper(lamp, clock=clock)
    async with running(shows.run()):
        shows.show(ShowStatus(shown))
        await clock.advance(0)
        before = len(lamp.seen)
        await clock.advance(100_000.0)
        assert len(lamp.seen) == before


async def test_all_lamps_look_the_same() -> None:
    clock, lamps = ManualClock(), [MemoryLamp() for _ in range(3)]
    shows = keeper(*lamps, clock=clock)
    async with running(shows.run()):
        shows.show(ShowStatus(KioskStatus.SPEAKING))
        await clock.advance(0.9)
        assert [(lamp.lit, lamp.light) for lamp in lamps] == [(True, Light("speaking", 0.0, 0.0, 0.0))] * 3
    assert not any(lamp.lit for lamp in lamps)


# Brightness


async def test_brightness_is_scaled_for_human_eyes() -> None:
    lamp, clock = MemoryLamp(), ManualClock()
    shows = LampWorker([lamp], clock, Inbox().post, local_time=no_time, brightness=50.0)
    shows.show(ShowStatus(KioskStatus.LISTENING))
    assert lamp.light == Light("listening", 0.0, lamp_patterns.dimmed(50.0), 0.0)
    assert lamp.light.level == pytest.approx(0.184, abs=0.001)


async def test_a_steady_light_gets_dimmer_at_night_and_brighter_in_the_morning() -> None:
    lamp, clock = MemoryLamp(), ManualClock()
    wall = WallClock(clock, "21:59:59")
    night = NightDimming(22 * 3600.0, 7 * 3600.0, 10.0)
    shows = LampWorker([lamp], clock, Inbox().post, local_time=wall, night=night)
    shows.show(ShowStatus(KioskStatus.LISTENING))
    async with running(shows.run()):
        await clock.advance(0.5)
        assert lamp.light.level == pytest.approx(1.0)
        await clock.advance(0.5)
        assert lamp.light.level == pytest.approx(lamp_patterns.dimmed(10.0))
        await clock.advance(9 * 3600.0 - 1.0)
        assert lamp.light.level == pytest.approx(lamp_patterns.dimmed(10.0))
        await clock.advance(1.0)
        assert lamp.light.level == pytest.approx(1.0)
        asked = wall.asked
        await clock.advance(3600.0)
        assert wall.asked - asked == 3600.0 / RECHECK_S


async def test_a_wall_clock_that_is_set_is_noticed() -> None:
    lamp, clock = MemoryLamp(), ManualClock()
    wall = WallClock(clock, "12:00:00")
    night = NightDimming(22 * 3600.0, 7 * 3600.0, 0.0)
    shows = LampWorker([lamp], clock, Inbox().post, local_time=wall, night=night)
    shows.show(ShowStatus(KioskStatus.LISTENING))
    async with running(shows.run()):
        await clock.advance(0)
        wall.set("23:00:00")
        await clock.advance(RECHECK_S)
        assert lamp.light.level == 0.0


# Loss


async def test_a_lamp_unplugged_after_an_hour_comes_back_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock, lamp, other = ManualClock(), MemoryLamp(), MemoryLamp()
    async with running(keeper(lamp, other, clock=clock).run()):
        for _ in range(2):
            await clock.advance(3600.0)
            lamp.unplug()
            await clock.advance(5.0)
            assert not lamp.lit
            assert other.lit
            lamp.replug()
            await clock.advance(RETRY_S + 20.0)
            assert lamp.lit
    assert [message.split(":")[0] for message in caplog.messages] == ["lamp 1 lost, retrying"] * 2


async def test_a_missing_lamp_is_waited_for_and_does_not_end_the_daemon() -> None:
    clock, lamp = ManualClock(), MemoryLamp()
    lamp.unplug()
    shows = keeper(lamp, clock=clock)
    async with running(shows.run()):
        await clock.advance(3600.0)
        shows.show(ShowStatus(KioskStatus.LISTENING))
        lamp.replug()
        await clock.advance(RETRY_S)
        assert lamp.lit
        assert lamp.light == Light("listening", 0.0, 1.0, 0.0)
