"""The fleet's broker gets the newest values, a bounded number of events, and the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running
from tests.support.until import until

from kioskd.core.events import Pressed
from kioskd.core.machine import State
from kioskd.flow.fleet.commands import FleetCommands
from kioskd.flow.fleet.fleet_link import LEAST_S, MOST_EVENTS, REFRESH_S, FleetIdentity, FleetLink
from kioskd.ports import BrokerMessage, SendLine


class SlowBroker:
    """A `FleetBroker` that confirms messages only while its gate is open."""

    def __init__(self) -> None:
        self.connected = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.got: list[BrokerMessage] = []
        self.came: Callable[[], None] | None = None

    async def run(
        self,
        topics: Sequence[str],
        *,
        will: BrokerMessage,
        take: Callable[[BrokerMessage], None],
        came: Callable[[], None],
    ) -> NoReturn:
        del topics, will, take
        self.came = came
        await asyncio.Event().wait()
        raise AssertionError

    def connect(self) -> None:
        assert self.came is not None
        self.connected = True
        self.came()

    async def publish(self, message: BrokerMessage) -> None:
        await self.gate.wait()
        if not self.connected:
            raise ConnectionError
        self.got.append(message)

    def newest(self, topic: str) -> Any:
        """Return the newest payload of a topic."""
        found = [message.payload for message in self.got if message.topic == f"kioskd/hall-1/{topic}"]
        return found[-1].decode() if found else None


STATUS: dict[str, Any] = {
    "state": "asleep",
    "words": "Asleep",
    "code": None,
    "troubles": [],
    "version": "1.0",
    "microphone": "working",
    "muted": False,
    "volume": 70,
    "log_level": "info",
}


async def _no_request(
    _request: Mapping[str, object], _attachment: bytes, _answer: SendLine, *, privileged: bool
) -> None:
    raise AssertionError(privileged)


class Linked:
    """A link to a broker, and the status that it reads."""

    def __init__(self) -> None:
        self.broker, self.clock = SlowBroker(), ManualClock()
        self.status = dict(STATUS)
        self.reads = 0
        self.link = FleetLink(
            self.broker,
            FleetIdentity("hall-1", "Hall", "", "1.0", home_assistant=False),
            self.clock,
            status=self._read,
            today=lambda: {"minutes": 0.0, "tokens": 0},
            commands=FleetCommands("kioskd/hall-1/do/", _no_request, lambda: None),
        )

    def _read(self) -> dict[str, Any]:
        self.reads += 1
        return self.status

    def press(self) -> None:
        """Let the core make a step."""
        self.link.observe(self.clock.now(), Pressed(), State(), State(), ())

    async def pass_time(self, holds: Callable[[], bool]) -> None:
        """Let simulated time pass until something holds."""
        async with asyncio.timeout(30):
            while not holds():
                await self.clock.advance(LEAST_S)
                await asyncio.sleep(0)


@asynccontextmanager
async def linked() -> AsyncIterator[Linked]:
    it = Linked()
    async with running(it.link.run()):
        await until(lambda: it.broker.came is not None)
        yield it


async def test_equal_values_are_told_once() -> None:
    async with linked() as it:
        it.broker.connect()
        await it.pass_time(lambda: it.broker.newest("state") is not None)
        told = len(it.broker.got)
        for _ in range(5):
            await it.clock.advance(120.0)
        assert len(it.broker.got) == told
        it.status["volume"] = 30
        await it.pass_time(lambda: json.loads(it.broker.newest("state"))["volume"] == 30)


async def test_a_kiosk_in_which_nothing_happens_looks_once_a_minute() -> None:
    async with linked() as it:
        it.broker.connect()
        await it.pass_time(lambda: it.broker.newest("state") is not None)
        for _ in range(20):  # single steps, with pauses between them
            it.press()
            await it.clock.advance(2 * LEAST_S)
        before = it.reads
        for _ in range(60):
            await it.clock.advance(REFRESH_S)
        assert 1 <= it.reads - before <= 60


async def test_a_slow_broker_gets_the_newest_values_and_the_newest_events() -> None:
    async with linked() as it:
        it.broker.connect()
        await it.pass_time(lambda: it.broker.newest("state") is not None)
        it.broker.gate.clear()
        for volume in range(200):
            it.status["volume"] = volume % 100
            it.press()
            await it.clock.advance(LEAST_S)
        it.broker.gate.set()
        await it.pass_time(lambda: json.loads(it.broker.newest("state"))["volume"] == 99)
        presses = [one for one in it.broker.got if one.topic == "kioskd/hall-1/event/press"]
        # One more was with the broker already when the others were dropped.
        assert MOST_EVENTS <= len(presses) <= MOST_EVENTS + 1


async def test_a_broker_that_comes_back_is_told_everything_again() -> None:
    async with linked() as it:
        it.broker.connect()
        await it.pass_time(lambda: it.broker.newest("state") is not None)
        it.broker.connected = False
        it.broker.got.clear()
        it.press()
        await it.clock.advance(5.0)
        assert it.broker.got == []
        it.broker.connect()
        await it.pass_time(lambda: it.broker.newest("state") is not None)
        assert it.broker.newest("availability") == "online"


async def test_the_last_message_says_that_the_kiosk_has_left() -> None:
    it = Linked()
    async with running(it.link.run()):
        await until(lambda: it.broker.came is not None)
        it.broker.connect()
        await until(lambda: it.broker.newest("availability") == "online")
    assert it.broker.newest("availability") == "offline"
