"""An operator at the fleet's broker: sees what the kiosks tell, and sends commands."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiomqtt
from tests.support.kiosk import running

PATIENCE_S: Final = 60.0


class Operator:
    """All messages of a broker, with their newest payload by topic."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.newest: dict[str, Any] = {}
        self.told: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        """Keep messages until cancelled."""
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            if "/do/" in str(message.topic):
                continue  # a command, perhaps a hostile one
            text = message.payload.decode()
            payload = json.loads(text) if text[:1] == "{" else text
            self.newest[str(message.topic)] = payload
            self.told.append((str(message.topic), payload))
            self._changed.set()

    async def command(self, topic: str, payload: str | bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Send one message."""
        await self._client.publish(topic, payload, qos, retain)

    async def until(self, holds: Callable[[dict[str, Any]], object]) -> None:
        """Wait until `holds` is true of the newest messages by topic. A topic without one has none."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._holds(holds):
                self._changed.clear()
                await self._changed.wait()

    def _holds(self, holds: Callable[[dict[str, Any]], object]) -> bool:
        try:
            return bool(holds(self.newest))
        except KeyError:
            return False


@asynccontextmanager
async def operator(port: int, tls: aiomqtt.TLSParameters | None = None) -> AsyncIterator[Operator]:
    """Connect an operator to the broker at this port."""
    version = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client("127.0.0.1", port, protocol=version, tls_params=tls) as client:
        await client.subscribe("#", qos=1)
        it = Operator(client)
        async with running(it.listen()):
            yield it
