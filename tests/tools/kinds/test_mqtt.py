"""A tool that publishes to a broker, with a real mosquitto."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import SecretStr
from tests.support import broker as brokers
from tests.support.tools import mqtt_tool
from tests.support.until import until

from kioskd.tools.contract import ToolResult
from kioskd.tools.kinds.mqtt.tool import MqttTool

pytestmark = pytest.mark.skipif(brokers.missing() is not None, reason=brokers.missing() or "")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[brokers.Broker]:
    with brokers.broker(tmp_path) as running:
        yield running


def tool(url: str, **options: Any) -> MqttTool:
    return mqtt_tool(url, **({"topic": "gallery/{room}/light"} | options))


@asynccontextmanager
async def running(mqtt: MqttTool) -> AsyncIterator[MqttTool]:
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        worker = group.create_task(mqtt.run())
        try:
            await mqtt.ready()
            yield mqtt
        finally:
            worker.cancel()


@asynccontextmanager
async def listener(broker: brokers.Broker, topic: str = "#") -> AsyncIterator[aiomqtt.Client]:
    client = aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5)
    async with client:
        await client.subscribe(topic, qos=1)
        yield client


async def next_of(client: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(60):
        return await anext(aiter(client.messages))


async def test_the_payload_holds_the_arguments_that_the_topic_does_not_use(broker: brokers.Broker) -> None:
    async with listener(broker) as light, running(tool(broker.url)) as mqtt:
        result = await mqtt.call("light", {"room": "4", "on": True, "note": '"x"\n'})
        message = await next_of(light)
    assert result == ToolResult("ok", "sent")
    assert str(message.topic) == "gallery/4/light"
    assert isinstance(message.payload, bytes)
    assert json.loads(message.payload) == {"on": True, "note": '"x"\n'}


async def test_a_message_expires_with_the_tools_deadline(broker: brokers.Broker) -> None:
    async with listener(broker) as light, running(tool(broker.url, deadline_s=2.5)) as mqtt:
        await mqtt.call("light", {"room": "4"})
        message = await next_of(light)
    assert 0 < getattr(message.properties, "MessageExpiryInterval", 0) <= 3


async def test_a_payload_of_the_owners_is_filled_in_one_pass(broker: brokers.Broker) -> None:
    async with listener(broker) as light, running(tool(broker.url, payload="{state} {room}")) as mqtt:
        await mqtt.call("light", {"room": "4", "state": "{room}"})
        message = await next_of(light)
    assert message.payload == b"{room} 4"


async def test_a_value_stays_within_its_place_in_a_json_payload(broker: brokers.Broker) -> None:
    payload = '{"text": "{text}", "room": {room}, "door": "closed"}'
    text = 'hi", "door": "open", "x": "'
    async with listener(broker) as light, running(tool(broker.url, topic="t", payload=payload)) as mqtt:
        await mqtt.call("light", {"text": text, "room": 4})
        message = await next_of(light)
    assert isinstance(message.payload, bytes)
    assert json.loads(message.payload) == {"text": text, "room": 4, "door": "closed"}


@pytest.mark.parametrize("room", ["", "a/b", "+", "#", "a\0b", "a\nb"])
async def test_a_value_that_would_divide_the_topic_is_rejected(room: str) -> None:
    result = await tool("mqtt://127.0.0.1:9").call("light", {"room": room})
    assert result.status == "refused"


async def test_a_topic_reserved_for_the_broker_is_rejected() -> None:
    result = await tool("mqtt://127.0.0.1:9", topic="{room}").call("light", {"room": "$SYS"})
    assert result.status == "refused"


@asynccontextmanager
async def responder(
    broker: brokers.Broker, answers: dict[str, bytes], *, lie: bool = False
) -> AsyncIterator[None]:
    """Answer each request with the `q` of its payload; `lie` sends a wrongly correlated reply before."""

    async def work(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            asked: Any = message.properties
            question = json.loads(message.payload)["q"]
            for correlation in ([b"somebody else"] if lie else []) + [asked.CorrelationData]:
                # The library has no types there.
                told = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                told.CorrelationData = correlation
                said = b'"a lie"' if correlation == b"somebody else" else answers[question]
                await client.publish(asked.ResponseTopic, said, 1, properties=told)

    async with listener(broker, "gallery/#") as client, asyncio.TaskGroup() as group:
        worker = group.create_task(work(client))
        yield
        worker.cancel()


async def test_a_reply_is_found_by_its_correlation(broker: brokers.Broker) -> None:
    answers = {"a": b'{"is": "a"}', "b": b'{"is": "b"}'}
    async with responder(broker, answers, lie=True), running(tool(broker.url, reply=True)) as mqtt:
        first, second = await asyncio.gather(
            mqtt.call("light", {"room": "1", "q": "a"}), mqtt.call("light", {"room": "2", "q": "b"})
        )
    assert (first.data, second.data) == ({"is": "a"}, {"is": "b"})


async def test_an_empty_reply_says_no_results(broker: brokers.Broker) -> None:
    async with responder(broker, {"a": b"[]"}), running(tool(broker.url, reply=True)) as mqtt:
        assert (await mqtt.call("light", {"room": "1", "q": "a"})).status == "no_results"


async def test_a_missing_broker_gives_a_retryable_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(tool("mqtt://127.0.0.1:9")) as mqtt:
        result = await mqtt.call("light", {"room": "1"})
    assert (result.status, result.retryable) == ("error", True)
    assert caplog.text.count("broker lost or not reached") == 1
    assert "Connection refused; check that the broker runs, and correct broker" in caplog.text


async def test_a_broker_that_comes_back_is_used_again(broker: brokers.Broker) -> None:
    async with running(tool(broker.url)) as mqtt:
        broker.stop()
        await until(lambda: not mqtt.broker.connected)
        assert mqtt.condition.endswith(": broker not connected")
        assert (await mqtt.call("light", {"room": "1"})).status == "error"
        broker.start()
        await until(lambda: mqtt.broker.connected)
        assert (await mqtt.call("light", {"room": "1"})).status == "ok"


async def test_a_call_that_waits_for_a_reply_fails_if_the_broker_is_lost(broker: brokers.Broker) -> None:
    async with listener(broker) as light, running(tool(broker.url, reply=True)) as mqtt:
        async with asyncio.TaskGroup() as group:
            call = group.create_task(mqtt.call("light", {"room": "1"}))
            await next_of(light)
            broker.stop()
        result = call.result()
        broker.start()
    assert (result.status, result.retryable) == ("error", False)


async def test_a_cancelled_call_waits_for_no_reply(broker: brokers.Broker) -> None:
    async with listener(broker) as light, running(tool(broker.url, reply=True)) as mqtt:
        async with asyncio.TaskGroup() as group:
            call = group.create_task(mqtt.call("light", {"room": "1"}))
            await next_of(light)
            call.cancel()
        assert mqtt.broker.expected == {}


async def test_a_wrong_password_is_logged_with_its_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with brokers.broker(tmp_path, password="open-s3same") as broker:
        right = tool(broker.url, username="kiosk", password=SecretStr("open-s3same"))
        async with running(right) as mqtt:
            assert (await mqtt.call("light", {"room": "1"})).status == "ok"
        wrong = tool(broker.url, username="kiosk", password=SecretStr("wr0ng"))
        async with running(wrong) as mqtt:
            assert (await mqtt.call("light", {"room": "1"})).status == "error"
    [lost] = [line for line in caplog.messages if "not reached" in line]
    assert lost.startswith("MQTT broker lost or not reached, retrying: host=127.0.0.1 error=[code:13")
    assert "correct username and password_from" in lost
    assert "open-s3same" not in caplog.text
    assert "wr0ng" not in caplog.text
    assert "gallery" not in caplog.text
