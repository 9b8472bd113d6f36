"""Brokers that support only MQTT 3.1.1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.tools import mqtt_tool

from kioskd.tools.kinds.mqtt.tool import MqttTool


class OldBroker:
    """Accepts MQTT 3.1.1, and answers another version with `refusal`; confirms messages with QoS 1."""

    def __init__(self, refusal: bytes) -> None:
        self.refusal, self.port = refusal, 0
        self.versions: list[int] = []
        self.published: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(4096)
        self.versions.append(asked[asked.find(b"MQTT") + 4])
        writer.write(bytes([0x20, 2, 0, 0]) if self.versions[-1] == 4 else self.refusal)
        while self.versions[-1] == 4 and (packet := await reader.read(4096)):
            if packet[0] >> 4 == 3:
                topic = int.from_bytes(packet[2:4], "big")
                self.published.append(packet[6 + topic :])
                writer.write(bytes([0x40, 2]) + packet[4 + topic : 6 + topic])
        writer.close()


@asynccontextmanager
async def broker(refusal: bytes = bytes([0x20, 2, 0, 1])) -> AsyncIterator[OldBroker]:
    old = OldBroker(refusal)
    server = await asyncio.start_server(old.serve, "127.0.0.1", 0)
    old.port = server.sockets[0].getsockname()[1]
    async with server:
        yield old


def tool(old: OldBroker, **options: Any) -> MqttTool:
    return mqtt_tool(f"mqtt://127.0.0.1:{old.port}", **({"topic": "hall/light"} | options))


async def test_a_broker_that_rejects_mqtt_5_is_used_by_3_1_1(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(60), broker() as old, asyncio.TaskGroup() as group:
        mqtt = tool(old)
        worker = group.create_task(mqtt.run())
        assert (await mqtt.call("light", {"on": True})).status == "ok"
        worker.cancel()
    assert (old.versions, old.published) == ([5, 4], [b'{"on":true}'])
    assert "lost" not in caplog.text


async def test_after_a_close_without_an_answer_the_next_try_uses_3_1_1() -> None:
    async with asyncio.timeout(60), broker(b"") as old, asyncio.TaskGroup() as group:
        mqtt = tool(old)
        worker = group.create_task(mqtt.run())
        await mqtt.ready()
        while not old.published:
            await mqtt.call("light", {"on": True})
            await asyncio.sleep(0.1)
        worker.cancel()
    assert old.versions == [5, 4]


async def test_the_journal_says_that_a_reply_needs_mqtt_5(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(60), broker() as old, asyncio.TaskGroup() as group:
        mqtt = tool(old, reply=True, clock=ManualClock())
        worker = group.create_task(mqtt.run())
        await mqtt.ready()
        assert (await mqtt.call("light", {})).status == "error"
        worker.cancel()
    assert "it does not support MQTT 5, which a reply needs" in caplog.text
    assert "username" not in caplog.text
