"""The watchdog: the service manager hears "alive" only while every part works."""

import logging

import pytest
from tests.support.fakes_devices import ManualClock, MemoryNotifier
from tests.support.kiosk import Inbox, running

from kioskd.core.events import Event, Heartbeat, Started
from kioskd.core.machine import State
from kioskd.flow.runtime.watchdog import WITHOUT_WATCHDOG_S, Watchdog

WATCHDOG_S = 9.0
LOOK_S = WATCHDOG_S / 3


class Patient:
    """A daemon of two parts and an engine. A test decides which of them work."""

    def __init__(self, *, watchdog_s: float | None = WATCHDOG_S) -> None:
        self.clock, self.notifier, self.inbox = ManualClock(), MemoryNotifier(watchdog_s), Inbox()
        self.counts: dict[str, int | None] = {"microphone": 0, "uplink": None}
        self.engine_runs = True
        self.health = Watchdog(
            self.clock,
            self._post,
            self.notifier,
            {
                "microphone": lambda: self.counts["microphone"],
                "uplink": lambda: self.counts["uplink"],
            },
        )

    def _post(self, event: Event) -> None:
        self.inbox.post(event)
        if self.engine_runs:
            self.health.observe(0.0, event, State(), State(), ())

    @property
    def fed(self) -> int:
        return self.notifier.told.count("alive")

    async def start(self) -> None:
        self.counts["microphone"] = 1
        await self.clock.advance(0.05)
        assert "ready" in self.notifier.told

    async def look(self, *working: str) -> int:
        """Have the watchdog check once while these parts work. Return how often it was fed."""
        before = self.fed
        for part in working:
            self.counts[part] = (self.counts[part] or 0) + 1
        await self.clock.advance(LOOK_S)
        return self.fed - before


async def test_ready_waits_for_the_first_sign_of_life_of_each_part() -> None:
    it = Patient()
    async with running(it.health.run()):
        await it.clock.advance(25.0)
        assert "ready" not in it.notifier.told
        assert it.fed == 0

        it.counts["microphone"] = 1
        await it.clock.advance(0.05)

        assert it.notifier.told[0] == "ready"
        assert it.inbox.events.count(Started()) == 1


async def test_ready_does_not_wait_for_a_part_that_is_known_to_be_missing() -> None:
    it = Patient()
    async with running(it.health.run()):
        await it.clock.advance(2.0)
        assert "ready" not in it.notifier.told

        it.counts["microphone"] = None  # tried, but missing
        await it.clock.advance(0.05)

        assert it.notifier.told[0] == "ready"
        assert [await it.look() for _ in range(5)] == [1, 1, 1, 1, 1], "a restart would not help"


async def test_a_part_that_comes_back_but_does_not_work_starves_the_watchdog(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Patient()
    async with running(it.health.run()):
        it.counts["microphone"] = None
        await it.clock.advance(0.05)
        it.counts["microphone"] = 1
        await it.look()

        assert [await it.look() for _ in range(5)] == [0, 0, 0, 0, 0]

        it.counts["microphone"] = None
        assert await it.look() == 1
    assert caplog.messages == [
        "microphone shows no sign of life: the watchdog is not fed until it does",
        "microphone is not expected to work now: after=15s",
    ]


async def test_ready_waits_for_the_engine_too() -> None:
    it = Patient()
    it.engine_runs = False
    it.counts["microphone"] = 1
    async with running(it.health.run()):
        await it.clock.advance(25.0)
        assert "ready" not in it.notifier.told
        assert it.inbox.events == [Heartbeat(1)], "an engine that hangs gets no second heartbeat"


async def test_the_watchdog_is_fed_three_times_in_its_period_while_all_parts_work() -> None:
    it = Patient()
    async with running(it.health.run()):
        await it.start()
        for _ in range(9):
            assert await it.look("microphone") == 1


@pytest.mark.parametrize("part", ["microphone", "uplink"])
async def test_the_watchdog_starves_when_a_part_stops_and_is_fed_when_it_works_again(
    part: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    it = Patient()
    others = {"microphone", "uplink"} - {part}
    async with running(it.health.run()):
        await it.start()
        await it.look("microphone", "uplink")

        assert [await it.look(*others) for _ in range(5)] == [0, 0, 0, 0, 0]
        assert await it.look("microphone", "uplink") == 1
        assert await it.look("microphone", "uplink") == 1

    assert caplog.messages == [
        f"{part} shows no sign of life: the watchdog is not fed until it does",
        f"{part} works again: after=15s",
    ]


async def test_the_watchdog_starves_when_the_engine_hangs() -> None:
    it = Patient()
    async with running(it.health.run()):
        await it.start()
        assert await it.look("microphone") == 1
        it.engine_runs = False

        # The heartbeat that was under way still counts. No other follows.
        await it.look("microphone")
        assert [await it.look("microphone") for _ in range(5)] == [0, 0, 0, 0, 0]


async def test_a_part_without_work_counts_as_working() -> None:
    it = Patient()
    async with running(it.health.run()):
        await it.start()
        it.counts["uplink"] = 7
        await it.look("microphone")
        it.counts["uplink"] = None

        assert [await it.look("microphone") for _ in range(3)] == [1, 1, 1]


async def test_without_a_watchdog_the_parts_are_checked_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Patient(watchdog_s=None)
    async with running(it.health.run()):
        await it.start()
        await it.clock.advance(2 * WITHOUT_WATCHDOG_S)
    assert "microphone shows no sign of life" in caplog.text
