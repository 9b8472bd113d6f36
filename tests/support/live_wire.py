"""A Live service that keeps all messages, and connections to it by the real SDK."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from tests.support.live_server import LiveServer, accept_setup, live_server
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.ports import Connection

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))


@dataclass
class Named:
    name: str
    blocking: bool = False
    description: str = "Does something."
    parameters: Mapping[str, object] = field(default_factory=dict)


def live_at(server: LiveServer, **config: Any) -> GeminiLive:
    given: dict[str, Any] = {"key": SecretStr("key"), "model": "gemini-3.8-live", "voice": "Kore"}
    return GeminiLive(GeminiConfig(**given | config, endpoint=server.endpoint, ca_file=server.ca_file))


class Wire:
    """The service's side of a connection: it keeps the client's messages in order."""

    def __init__(self) -> None:
        self.setups: list[dict[str, Any]] = []
        self.peer: ServerConnection
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def serve(self, peer: ServerConnection) -> None:
        self.peer = peer
        self.setups.append(await accept_setup(peer))
        async for message in peer:
            assert isinstance(message, str)
            self._said.put_nowait(json.loads(message))

    async def next(self) -> dict[str, Any]:
        return await self._said.get()

    @property
    def nothing_more(self) -> bool:
        return self._said.empty()


@asynccontextmanager
async def connected(**config: Any) -> AsyncIterator[tuple[Connection, Wire]]:
    wire = Wire()
    async with (
        asyncio.timeout(60),
        live_server(wire.serve) as server,
        live_at(server, **config).connect(None) as connection,
    ):
        yield connection, wire


async def setup_with(**config: Any) -> dict[str, Any]:
    async with connected(**config) as (_, wire):
        return wire.setups[0]


def shown(picture: bytes) -> dict[str, str]:
    return {"data": base64.urlsafe_b64encode(picture).decode(), "mime_type": "image/jpeg"}
