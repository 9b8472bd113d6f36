"""A presence sensor: who counts as a visitor, when the kiosk greets, and when the visitor counts as gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.core import run
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running

from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.core.events import (
    Device,
    DeviceGone,
    Event,
    PresenceChanged,
    Pressed,
    Started,
    VoiceBegan,
    WakeCause,
    Woken,
)
from kioskd.core.levels import State
from kioskd.flow.link.outbox import Background
from kioskd.flow.runtime.device_supervisor import RETRY_S
from kioskd.flow.subjects.presence import PresenceRules, PresenceWorker

RULES = PresenceRules(steady_s=2.0, away_s=15.0, holdoff_s=60.0)
WAKE = Woken(WakeCause.PRESENCE)
CAME, LEFT = PresenceChanged(present=True), PresenceChanged(present=False)


class Bench:
    """A sensor, and a core that takes the events that the test lets it take."""

    def __init__(self, rules: PresenceRules = RULES, *, down: bool = False) -> None:
        self.clock, self.sensor = ManualClock(), MemoryButton(down=down)
        self.events: list[Event] = []
        self.used: list[Background] = []
        self.state = run(State(), Started())[0]
        self.worker = PresenceWorker(
            self.sensor, rules, self.events.append, self.clock, self, name="presence gpio:pi/23"
        )

    @property
    def status(self) -> str:
        """The worker's status of the sensor."""
        return self.worker.status

    def use(self, background: Background) -> None:
        self.used.append(background)

    def change(self, background: Background) -> None:
        raise AssertionError("a sensor changes nothing in a conversation")

    def step(self, event: Event) -> None:
        """Let the core take an event, and tell the worker of it."""
        before = self.state
        self.state, effects = run(before, event)
        self.worker.observe(self.clock.now(), event, before, self.state, tuple(effects))

    async def sees(self, person: bool, seconds: float) -> list[Event]:
        """Let the sensor see a person or no person for a time, and return the events of that time."""
        (self.sensor.hold if person else self.sensor.release)()
        await self.clock.advance(seconds)
        events, self.events[:] = list(self.events), []
        return events

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with running(self.worker.run()):
            await self.clock.advance(0)
            yield


async def test_a_visitor_who_stays_wakes_the_kiosk_and_one_who_walks_past_does_not() -> None:
    it = Bench()
    async with it.running():
        assert await it.sees(True, 1.9) == []
        assert await it.sees(False, 5.0) == []
        assert await it.sees(True, 1.9) == []
        assert await it.sees(True, 0.2) == [CAME, WAKE]
        assert it.status == "present"


async def test_the_visitor_has_left_when_the_gaps_of_the_sensor_are_too_long() -> None:
    it = Bench()
    async with it.running():
        await it.sees(True, 2.1)
        for _ in range(10):
            assert await it.sees(False, 14.0) == []
            assert await it.sees(True, 0.1) == []
        assert await it.sees(False, 15.1) == [LEFT]
        assert it.status == "absent"
        assert await it.sees(True, 2.1) == [CAME, WAKE]


async def test_a_stuck_sensor_never_wakes_the_kiosk() -> None:
    it = Bench(down=True)
    async with it.running():
        assert it.status == "present"
        assert await it.sees(True, 3600.0) == []
    once = Bench()
    async with once.running():
        assert await once.sees(True, 2.1) == [CAME, WAKE]
        once.step(WAKE)
        once.step(Pressed())
        assert not once.state.turn.awake
        assert await once.sees(True, 3600.0) == []


async def test_after_a_conversation_without_words_the_next_visitor_waits_for_the_end_of_the_holdoff() -> None:
    it = Bench()
    async with it.running():
        it.step(Pressed())
        it.step(Pressed())
        assert await it.sees(True, 59.9) == [CAME]
        assert await it.sees(True, 0.2) == [WAKE]


async def test_a_visitor_who_leaves_within_the_holdoff_does_not_wake_the_kiosk() -> None:
    it = Bench()
    async with it.running():
        it.step(Pressed())
        it.step(Pressed())
        assert await it.sees(True, 10.0) == [CAME]
        assert await it.sees(False, 100.0) == [LEFT]


async def test_after_a_conversation_with_words_there_is_no_holdoff() -> None:
    it = Bench()
    async with it.running():
        for event in (Pressed(), VoiceBegan(), Pressed()):
            it.step(event)
        assert not it.state.turn.awake
        assert await it.sees(True, 2.1) == [CAME, WAKE]


async def test_a_visitor_who_comes_into_a_conversation_wakes_nothing_later() -> None:
    it = Bench()
    async with it.running():
        it.step(Pressed())
        assert await it.sees(True, 2.1) == [CAME]
        it.step(VoiceBegan())
        it.step(Pressed())
        assert await it.sees(True, 100.0) == []


async def test_without_greetings_the_sensor_only_says_who_is_there() -> None:
    it = Bench(PresenceRules(greets=False))
    async with it.running():
        assert await it.sees(True, 2.1) == [CAME]
        assert await it.sees(False, 15.1) == [LEFT]


@pytest.mark.parametrize("woken", [True, False])
async def test_the_sensors_own_greeting_is_used_only_if_it_woke_the_kiosk(woken: bool) -> None:
    it = Bench(PresenceRules(greeting="Offer help."))
    async with it.running():
        _, event = await it.sees(True, 2.1)
        assert event == Woken(WakeCause.PRESENCE, greets=True)
        it.step(event if woken else Pressed())
        assert it.used == ([Background(greeting="Offer help.")] if woken else [])


async def test_a_lost_sensor_ends_no_conversation_and_its_return_is_no_visitor() -> None:
    it = Bench()
    async with it.running():
        assert await it.sees(True, 2.1) == [CAME, WAKE]
        await it.sees(False, 1.0)
        it.sensor.unplug()
        assert await it.sees(False, 0.1) == [DeviceGone(Device.BUTTON, "gpio:pi/23")]
        assert it.status == "missing"
        it.sensor.replug()
        await it.sees(True, RETRY_S + 100.0)
        assert it.status == "present"
        assert WAKE not in it.events
