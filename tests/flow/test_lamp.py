"""The lamp shows the states, and its loss is nobody's end."""

import logging

import pytest
from tests.support.kiosk import Inbox, running

from kioskd.adapters.memory import ManualClock, MemoryLamp
from kioskd.core.effects import Show, Shown
from kioskd.flow.attendant import RETRY_S
from kioskd.flow.lamp import LampKeeper


async def test_the_lamp_shows_each_state_by_its_name() -> None:
    lamp = MemoryLamp()
    keeper = LampKeeper(lamp, ManualClock(), Inbox().post)
    for shown in Shown:
        keeper.show(Show(shown))
    assert lamp.shown == [
        "starting", "asleep", "waking", "listening", "thinking", "speaking", "offline", "fault",
    ]  # fmt: skip


async def test_the_lamp_is_driven_until_the_end() -> None:
    clock, lamp = ManualClock(), MemoryLamp()
    async with running(LampKeeper(lamp, clock, Inbox().post).run()):
        await clock.advance(0)
        assert lamp.lit
    assert not lamp.lit


async def test_a_lamp_unplugged_after_an_hour_comes_back_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    clock, lamp = ManualClock(), MemoryLamp()
    async with running(LampKeeper(lamp, clock, Inbox().post).run()):
        for _ in range(2):
            await clock.advance(3600.0)
            lamp.unplug()
            await clock.advance(5.0)
            assert not lamp.lit
            lamp.replug()
            await clock.advance(RETRY_S)
            assert lamp.lit
    assert len(caplog.messages) == 2, "each loss is said once"


async def test_a_lamp_that_never_comes_is_waited_for_and_ends_nothing() -> None:
    clock, lamp = ManualClock(), MemoryLamp()
    lamp.unplug()
    async with running(LampKeeper(lamp, clock, Inbox().post).run()):
        await clock.advance(3600.0)
        lamp.replug()
        await clock.advance(RETRY_S)
        assert lamp.lit
