"""A kiosk of a fleet, with a real mosquitto: an operator sees it, and sends commands."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from tests.support import broker as brokers
from tests.support.fleet import Authority
from tests.support.fleet_operator import Operator, operator
from tests.support.kiosk import Kiosk, running, soon
from tests.support.parts import changed
from tests.support.until import until

from kioskd import app
from kioskd.adapters.clock import SystemClock
from kioskd.adapters.remote.fleet_broker import MqttFleetBroker
from kioskd.core.effects import KioskStatus
from kioskd.core.levels import ANNOUNCEMENT
from kioskd.errors import RestartAsked
from kioskd.flow.fleet.entities import COMMANDED
from kioskd.mqtt.connection import BrokerAccess
from kioskd.settings.model import Settings

pytestmark = pytest.mark.skipif(brokers.missing() is not None, reason=brokers.missing() or "")

STATE = "kioskd/hall-1/state"
AVAILABILITY = "kioskd/hall-1/availability"
DISCOVERY = "homeassistant/device/kioskd-hall-1/config"


class FleetKiosk(Kiosk):
    """A kiosk that belongs to a fleet."""

    def __init__(self, broker: brokers.Broker, access: BrokerAccess | None = None) -> None:
        fleet = {"name": "hall-1", "title": "Entrance hall", "mqtt": {"broker": broker.url}}
        patient = {"idle_s": 3600, "longest_s": 3600}  # simulated time passes while the broker is waited for
        settings = Settings.model_validate({"fleet": fleet, "conversation": patient})
        super().__init__(settings, watchdog_s=None)
        self.broker = MqttFleetBroker(access or BrokerAccess(broker.url), SystemClock())

    def parts(self) -> app.Parts:
        return changed(super().parts(), fleet=self.broker)

    async def tells(self, seen: Operator, holds: Callable[[dict[str, Any]], object]) -> None:
        """Let time pass until the operator has seen something. The kiosk tells news once a second."""
        waiting = asyncio.create_task(seen.until(holds))
        while not waiting.done():
            await self.clock.advance(1.0)
            await asyncio.wait([waiting], timeout=0.05)
        await waiting


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[brokers.Broker]:
    with brokers.broker(tmp_path) as made:
        yield made


@asynccontextmanager
async def enrolled(broker: brokers.Broker) -> AsyncIterator[tuple[FleetKiosk, Operator]]:
    it = FleetKiosk(broker)
    async with operator(broker.port) as seen, running(it.serve()):
        await it.start()
        await it.tells(seen, lambda told: told[STATE]["state"] == "asleep")
        yield it, seen


async def test_a_later_operator_learns_of_the_kiosk_and_of_its_end(broker: brokers.Broker) -> None:
    it = FleetKiosk(broker)
    async with running(it.serve()):
        await it.start()
        async with operator(broker.port) as first:
            await it.tells(first, lambda told: told[STATE])
        async with operator(broker.port) as later:
            await later.until(lambda told: told[STATE] and told[DISCOVERY])
            assert later.newest[AVAILABILITY] == "online"
            assert later.newest[DISCOVERY]["device"]["name"] == "Entrance hall"
            assert later.newest[STATE]["volume"] == 70
    async with operator(broker.port) as last:
        await last.until(lambda told: told[AVAILABILITY] == "offline")


async def test_each_command_does_what_the_control_socket_does(broker: brokers.Broker) -> None:
    async with enrolled(broker) as (it, seen):
        await seen.command("kioskd/hall-1/do/mute", "ON")
        await it.tells(seen, lambda told: told[STATE]["mute"] is True)
        assert it.shown is KioskStatus.MUTED
        await seen.command("kioskd/hall-1/do/mute", "OFF")
        await it.tells(seen, lambda told: told[STATE]["mute"] is False)
        await seen.command("kioskd/hall-1/do/volume", "35")
        await it.tells(seen, lambda told: told[STATE]["volume"] == 35)
        await seen.command("kioskd/hall-1/do/log", "debug")
        await it.tells(seen, lambda told: told[STATE]["log"] == "debug")
        await seen.command("kioskd/hall-1/do/log", "info")
        await seen.command("kioskd/hall-1/do/wake", "PRESS")
        await soon(it.live.accept())
        await it.tells(seen, lambda told: told[STATE]["state"] == "listening")
        await seen.command("kioskd/hall-1/do/sleep", "PRESS")
        await it.tells(seen, lambda told: told[STATE]["state"] == "asleep")
        await it.tells(seen, lambda told: told["kioskd/hall-1/event/conversation"]["event_type"] == "ended")
    begun = [payload for topic, payload in seen.told if topic == "kioskd/hall-1/event/conversation"]
    assert [one["event_type"] for one in begun] == ["begun", "ended"]


async def test_a_question_reaches_the_model(broker: brokers.Broker) -> None:
    async with enrolled(broker) as (it, seen):
        await seen.command("kioskd/hall-1/do/ask", "When do you close?")
        connection = await soon(it.live.accept())
        await connection.until(lambda: "When do you close?" in connection.texts)


async def test_an_announcement_is_spoken_word_by_word(broker: brokers.Broker) -> None:
    async with enrolled(broker) as (it, seen):
        await seen.command("kioskd/hall-1/do/say", "We close in ten minutes.")
        await it.tells(
            seen, lambda told: told["kioskd/hall-1/answer"] == {"entity": "say", "ok": True, "why": ""}
        )
        await it.until(lambda: it.state.prompt == ANNOUNCEMENT)


async def test_a_refused_command_is_answered_with_its_cause(broker: brokers.Broker) -> None:
    async with enrolled(broker) as (it, seen):
        await seen.command("kioskd/hall-1/do/volume", "loud")
        await it.tells(seen, lambda told: told["kioskd/hall-1/answer"]["ok"] is False)
        why = "it takes a number from 0 to 100"
        assert seen.newest["kioskd/hall-1/answer"] == {"entity": "volume", "ok": False, "why": why}


async def test_a_restart_ends_the_process_and_tells_so(broker: brokers.Broker) -> None:
    it = FleetKiosk(broker)
    async with operator(broker.port) as seen:
        serving = asyncio.create_task(it.serve())
        await it.start()
        await it.tells(seen, lambda told: told[STATE])
        await seen.command("kioskd/hall-1/do/restart", "PRESS")
        with pytest.raises(RestartAsked):
            await asyncio.wait_for(serving, 60)
        await seen.until(lambda told: told[AVAILABILITY] == "offline")


async def test_a_retained_command_is_older_than_the_kiosk_and_does_nothing(broker: brokers.Broker) -> None:
    async with operator(broker.port) as before:
        await before.command("kioskd/hall-1/do/mute", "ON", retain=True)
    async with enrolled(broker) as (it, seen):
        await seen.command("kioskd/hall-1/do/volume", "35")
        await it.tells(seen, lambda told: told[STATE]["volume"] == 35)
        assert seen.newest[STATE]["mute"] is False


async def insists(seen: Operator, topic: str, payload: str) -> None:
    """Repeat a command, which may be dropped in a flood, until cancelled."""
    while True:
        await seen.command(topic, payload)
        await asyncio.sleep(0.2)


async def test_ten_thousand_hostile_commands_change_nothing(
    broker: brokers.Broker, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(20261201)
    payloads = [b"press", b"\xff\xfe", b"{}", b"ON ", b"1e99", bytes(5000), b"\x00ON"]
    keys = [*(COMMANDED.keys() - {"ask", "say"}), "key", "reload", "wake/../key", "\u00e9"]
    async with enrolled(broker) as (it, seen):
        before = seen.newest[STATE]
        for _ in range(100):
            for _ in range(100):
                command = f"kioskd/hall-1/do/{chance.choice(keys)}"
                await seen.command(command, b"!" + chance.choice(payloads), qos=0)
            await it.clock.advance(0.01)
        async with running(insists(seen, "kioskd/hall-1/do/volume", "36")):
            await it.tells(seen, lambda told: told[STATE]["volume"] == 36)
        assert seen.newest[STATE] == before | {"volume": 36}
    assert not [line for record in caplog.records if "!" in (line := record.getMessage())]


async def test_a_conversation_goes_on_without_the_broker_which_is_told_again_when_it_is_back(
    broker: brokers.Broker,
) -> None:
    it = FleetKiosk(broker)
    async with running(it.serve()):
        await it.start()
        await until(lambda: it.broker.connected)
        await asyncio.to_thread(broker.stop)
        await until(lambda: not it.broker.connected)
        it.button.press()
        await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)
        await asyncio.to_thread(broker.start)
        async with operator(broker.port) as seen:
            await it.tells(seen, lambda told: told[STATE]["state"] == "listening" and told[DISCOVERY])


async def test_a_kiosk_is_known_by_its_certificate_and_has_only_its_own_topics(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, other, person = (authority.issue(name) for name in ("hall-1", "hall-2", "operator"))
    ca_file = str(authority.ca_file)
    tls = aiomqtt.TLSParameters(ca_certs=ca_file, certfile=str(person.certificate), keyfile=str(person.key))
    with brokers.broker(tmp_path, authority=authority) as broker:
        for issued in (other, ours):
            access = BrokerAccess(
                broker.url, ca_file=authority.ca_file, certificate=issued.certificate, key=issued.key
            )
            it = FleetKiosk(broker, access)
            async with operator(broker.port, tls) as seen, running(it.serve()):
                await it.start()
                if issued is ours:
                    await it.tells(seen, lambda told: told[STATE]["state"] == "asleep")
                else:
                    await until(lambda it=it: it.broker.connected)  # type: ignore[misc]  # bound at once
            assert (STATE in seen.newest) is (issued is ours)
