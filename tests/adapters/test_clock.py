"""Both clocks: the machine's, and the one that tests move."""

import asyncio
import datetime
import time
from collections.abc import Callable

import pytest
from tests.support.fakes_devices import ManualClock

from kioskd.adapters.clock import SystemClock, wall
from kioskd.ports import Clock
from kioskd.tools.kinds.builtin.tool import _local_time


async def test_the_machines_clock_sleeps_for_the_given_time() -> None:
    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0.03)
    assert 0.03 <= clock.now() - before < 1.0


@pytest.mark.parametrize("now", [wall, _local_time])
def test_a_change_of_the_time_zone_is_noticed_at_once(
    monkeypatch: pytest.MonkeyPatch, now: Callable[[], datetime.datetime]
) -> None:
    try:
        monkeypatch.setenv("TZ", "UTC0")
        before = now()
        monkeypatch.setenv("TZ", "FAR-5")
        after = now()
        assert (after.hour - before.hour) % 24 in (5, 6), "6 if the hour has just ended"
    finally:
        monkeypatch.undo()
        time.tzset()


async def test_the_machines_clock_calls_later_unless_it_is_cancelled() -> None:
    clock = SystemClock()
    called: list[str] = []
    done = asyncio.Event()
    clock.call_later(0.01, lambda: called.append("cancelled")).cancel()
    clock.call_later(0.02, done.set)
    async with asyncio.timeout(2):
        await done.wait()
    assert called == []


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
async def test_a_sleep_of_zero_lets_other_tasks_run_once(clock: Clock) -> None:
    ran: list[int] = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    await clock.sleep(0)
    assert ran == [1]


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock = ManualClock(now=100.0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3.0), ("soon", 1.0), ("never too late", 3.0)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(2.9)
        assert woken == [("soon", 101.0)]
        await clock.advance(0.1)
    assert woken == [("soon", 101.0), ("late", 103.0), ("never too late", 103.0)]
    assert clock.now() == pytest.approx(103.0)


async def test_a_task_that_sleeps_again_wakes_again_within_one_advance() -> None:
    clock = ManualClock()
    ticks: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(1.0)
            ticks.append(clock.now())

    task = asyncio.create_task(ticker())
    await clock.advance(3.5)
    assert ticks == [1001.0, 1002.0, 1003.0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_callback_is_called_once_and_not_after_it_was_cancelled() -> None:
    clock = ManualClock()
    called: list[str] = []
    clock.call_later(1.0, lambda: called.append("kept"))
    dropped = clock.call_later(1.0, lambda: called.append("dropped"))
    dropped.cancel()
    await clock.advance(5.0)
    dropped.cancel()
    assert called == ["kept"]


async def test_a_cancelled_sleeper_does_not_affect_others() -> None:
    clock = ManualClock()
    first, second = asyncio.create_task(clock.sleep(1.0)), asyncio.create_task(clock.sleep(1.0))
    await clock.advance(0.5)
    first.cancel()
    await clock.advance(0.5)
    assert first.cancelled()
    assert second.done()
