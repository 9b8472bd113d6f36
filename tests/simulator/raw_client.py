"""A Live client that uses only JSON and WebSockets, as clients without an SDK do."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from kioskd.simulator import Simulator

DEVELOPER = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
VERTEX = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
MODEL = "models/gemini-3.8-live"
FRAME = 640
DEADLINE_S = 15.0


class RawClient:
    """A connection whose waits all have a deadline."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.backlog: list[dict[str, Any]] = []

    async def send(self, **message: object) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            received: dict[str, Any] = json.loads(await self.socket.recv())
            return received

    async def until(self, *keys: str) -> list[dict[str, Any]]:
        """Return all messages up to the first that holds one of `keys`, at the top or in serverContent."""
        got: list[dict[str, Any]] = []
        while True:
            message = await self.receive()
            got.append(message)
            if any(key in message or key in message.get("serverContent", {}) for key in keys):
                return got

    async def closing(self) -> tuple[int | None, str]:
        """Read to the end; return close code and reason (None and "" without a close frame)."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")

    async def setup(self, **fields: object) -> list[dict[str, Any]]:
        """Set up, with handles; return everything up to the first handle."""
        await self.send(setup={"model": MODEL, "sessionResumption": {}, **fields})
        return await self.until("sessionResumptionUpdate")

    async def say(self, sound: bytes, mime: str = "audio/pcm;rate=16000") -> None:
        """Send audio as fast as the connection accepts it."""
        for start in range(0, len(sound), FRAME):
            data = base64.b64encode(sound[start : start + FRAME]).decode()
            await self.send(realtimeInput={"audio": {"data": data, "mimeType": mime}})


@asynccontextmanager
async def dial(
    simulator: Simulator, path: str = DEVELOPER, headers: Mapping[str, str] | None = None
) -> AsyncIterator[RawClient]:
    """Open a WebSocket with the right key, or with the `headers` given."""
    if headers is None:
        headers = {"x-goog-api-key": simulator.key.get_secret_value()}
    context = ssl.create_default_context(cafile=simulator.ca_file)
    url = simulator.endpoint.replace("https", "wss") + path
    async with connect(url, ssl=context, additional_headers=headers, proxy=None, close_timeout=1) as socket:
        yield RawClient(socket)


def audio_of(messages: list[dict[str, Any]]) -> bytes:
    """Return all audio in the messages, also beside other content."""
    sound = b""
    for message in messages:
        for part in message.get("serverContent", {}).get("modelTurn", {}).get("parts", []):
            sound += base64.b64decode(part["inlineData"]["data"])
    return sound


def handle_of(messages: list[dict[str, Any]]) -> str:
    """Return the newest handle that can be used."""
    updates = [entry["sessionResumptionUpdate"] for entry in messages if "sessionResumptionUpdate" in entry]
    handles: list[str] = [update["newHandle"] for update in updates if update.get("resumable")]
    return handles[-1]
