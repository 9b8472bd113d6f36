"""A timer fires once, in time, and never after it was cancelled."""

from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import Inbox

from kioskd.core.effects import CancelTimer, SetTimer
from kioskd.core.events import Pressed, Timer, TimerFired
from kioskd.flow.runtime.timers import Timers

IDLE = TimerFired(Timer.IDLE)


async def test_a_timer_fires_once_when_its_time_has_come() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    timers.set(SetTimer(Timer.IDLE, 20.0))

    await clock.advance(19.9)
    assert inbox.events == []
    await clock.advance(100.0)

    assert inbox.events == [IDLE]
    assert timers.current(IDLE)


async def test_a_cancelled_timer_does_not_fire() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    timers.set(SetTimer(Timer.IDLE, 20.0))
    await clock.advance(19.9)

    timers.cancel(CancelTimer(Timer.IDLE))
    await clock.advance(100.0)

    assert inbox.events == []


async def test_a_running_timer_tells_the_seconds_until_it_fires() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    assert timers.left_s(Timer.IDLE) is None
    timers.set(SetTimer(Timer.IDLE, 20.0))
    await clock.advance(5.0)
    assert timers.left_s(Timer.IDLE) == 15.0
    timers.set(SetTimer(Timer.IDLE, 20.0))
    assert timers.left_s(Timer.IDLE) == 20.0
    await clock.advance(20.0)
    assert timers.left_s(Timer.IDLE) is None


async def test_cancelling_a_timer_that_is_not_running_does_nothing() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    timers.set(SetTimer(Timer.TAIL, 1.0))

    timers.cancel(CancelTimer(Timer.IDLE))
    await clock.advance(1.0)

    assert inbox.events == [TimerFired(Timer.TAIL)]


async def test_setting_a_running_timer_restarts_it() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    timers.set(SetTimer(Timer.IDLE, 20.0))
    await clock.advance(15.0)

    timers.set(SetTimer(Timer.IDLE, 20.0))

    await clock.advance(19.0)
    assert inbox.events == []
    await clock.advance(1.0)
    assert inbox.events == [IDLE]


async def test_a_timer_cancelled_after_it_fired_does_not_reach_the_core() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    timers.set(SetTimer(Timer.IDLE, 20.0))
    await clock.advance(20.0)

    timers.cancel(CancelTimer(Timer.IDLE))

    assert not timers.current(IDLE)


async def test_a_timer_set_again_after_it_fired_counts_only_the_second_time() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    timers.set(SetTimer(Timer.IDLE, 20.0))
    await clock.advance(20.0)

    timers.set(SetTimer(Timer.IDLE, 5.0))

    assert not timers.current(IDLE)
    await clock.advance(5.0)
    assert timers.current(IDLE)
    assert not timers.current(IDLE), "one firing counted twice"


async def test_other_events_always_reach_the_core() -> None:
    assert Timers(ManualClock(), Inbox().post).current(Pressed())


async def test_all_timers_can_be_stopped_at_once() -> None:
    clock, inbox = ManualClock(), Inbox()
    timers = Timers(clock, inbox.post)
    for timer in Timer:
        timers.set(SetTimer(timer, 1.0))

    timers.cancel_all()
    await clock.advance(10.0)

    assert inbox.events == []
