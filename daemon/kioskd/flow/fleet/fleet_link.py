"""Tells the fleet's broker of this kiosk: its values, and what happens.

Nothing here waits for the voice, and the voice never waits for anything here. A broker that is away, slow
or hostile costs a message at most.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from kioskd.core.effects import Effect
from kioskd.core.events import Event, Pressed, TalkBegan
from kioskd.core.machine import State
from kioskd.flow.fleet.commands import FleetCommands
from kioskd.flow.fleet.entities import FleetTopics, Value, discovery, state
from kioskd.flow.reporting.turn_timing import TurnTiming
from kioskd.ports import BrokerMessage, Clock, FleetBroker

LEAST_S: Final = 1.0
"""The least seconds from one state to the next."""
REFRESH_S: Final = 60.0
"""Seconds after which the figures are read again, although nothing was reported."""
SEND_S: Final = 10.0
"""The most seconds that the broker gets for a message."""
LEAVE_S: Final = 1.0
"""The most seconds for the last message, when the daemon ends."""
MOST_EVENTS: Final = 50
ONLINE: Final = b"online"
OFFLINE: Final = b"offline"


@dataclass(frozen=True, slots=True)
class FleetIdentity:
    """How the fleet calls this kiosk."""

    name: str
    """Its name in topics, which no other kiosk has."""
    title: str
    """Its name for people."""
    site: str
    version: str
    home_assistant: bool
    """Whether Home Assistant is told of its entities."""


class FleetLink:
    """The broker's side of this kiosk: values, events and commands."""

    def __init__(
        self,
        broker: FleetBroker,
        identity: FleetIdentity,
        clock: Clock,
        *,
        status: Callable[[], Mapping[str, object]],
        today: Callable[[], Mapping[str, float]],
        commands: FleetCommands,
    ) -> None:
        """Store the arguments; `run` does the work.

        Args:
            broker: Keeps the connection.
            identity: How the fleet calls this kiosk.
            clock: Waits between messages.
            status: Returns the status, in the form of `kioskd status --json`.
            today: Returns the `minutes` of conversation and the `tokens` of this day.
            commands: Carries out the commands that come from the broker.
        """
        self._broker, self._identity, self._clock = broker, identity, clock
        self._status, self._today, self._commands = status, today, commands
        self._topics = FleetTopics(identity.name)
        self._timing = TurnTiming()
        self._waited_ms: int | None = None
        self._told: Mapping[str, Value] | None = None
        """The values that the broker has; None if it must be told of everything."""
        self._events: deque[BrokerMessage] = deque(maxlen=MOST_EVENTS)
        """Events that are not published yet. The oldest is dropped."""
        self._news = asyncio.Event()

    def observe(
        self, now: float, event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step of the core; see `engine.Observer`."""
        if isinstance(event, Pressed | TalkBegan):
            self._happened("press", "press" if isinstance(event, Pressed) else "hold")
        if after.turn.awake is not before.turn.awake:
            number = max(before.turn.conversation, after.turn.conversation)
            self._happened("conversation", "begun" if after.turn.awake else "ended", number=number)
        if (times := self._timing.observe(now, event, before, after)) is not None:
            if times.waited is not None:
                self._waited_ms = round(times.waited * 1000)
            self._happened("turn", times.ended)
        self._news.set()

    async def run(self) -> None:
        """Report and obey until cancelled. The last message tells others that the kiosk has left."""
        will = BrokerMessage(self._topics.availability, OFFLINE, retain=True)
        topics, take = [self._topics.command("+")], self._commands.take
        async with asyncio.TaskGroup() as group:
            group.create_task(self._broker.run(topics, will=will, take=take, came=self._came))
            try:
                async with asyncio.TaskGroup() as work:
                    work.create_task(self._report())
                    work.create_task(self._commands.run(self._answer))
            finally:  # the broker is still connected here
                if self._broker.connected:
                    await self._publish(will, within_s=LEAVE_S)

    def _came(self) -> None:
        self._told = None
        self._news.set()

    def _happened(self, key: str, what: str, **more: object) -> None:
        payload = json.dumps({"event_type": what, **more}).encode()
        self._events.append(BrokerMessage(self._topics.event(key), payload))

    async def _report(self) -> NoReturn:
        """Publish what is new, at most once a second."""
        while True:
            refresh = self._clock.call_later(REFRESH_S, self._news.set)
            try:
                await self._news.wait()
            finally:
                refresh.cancel()
            self._news.clear()
            if self._broker.connected:
                await self._tell()
            await self._clock.sleep(LEAST_S)

    async def _tell(self) -> None:
        """Publish the events, and the values that have changed."""
        if self._told is None:
            if self._identity.home_assistant:
                await self._publish(self._introduction())
            await self._publish(BrokerMessage(self._topics.availability, ONLINE, retain=True))
        while self._events and await self._publish(self._events[0]):
            self._events.popleft()
        status = {**self._status(), "waited_ms": self._waited_ms, "today": self._today()}
        values = state(status)
        if values != self._told:
            payload = json.dumps(values, ensure_ascii=False).encode()
            if await self._publish(BrokerMessage(self._topics.state, payload, retain=True)):
                self._told = values

    async def _answer(self, told: Mapping[str, object]) -> None:
        """Publish the answer to a command, and soon what it has changed."""
        await self._publish(BrokerMessage(self._topics.answer, json.dumps(told).encode()))
        self._news.set()

    def _introduction(self) -> BrokerMessage:
        identity = self._identity
        told = discovery(self._topics, identity.title, identity.site, identity.version)
        return BrokerMessage(self._topics.discovery, json.dumps(told).encode(), retain=True)

    async def _publish(self, message: BrokerMessage, within_s: float = SEND_S) -> bool:
        """Publish one message; return whether the broker has it."""
        try:
            async with asyncio.timeout(within_s):
                await self._broker.publish(message)
        except (ConnectionError, TimeoutError):
            return False
        return True
