"""Connections to a Live service that fails. They leave nothing behind, even if a peer freezes."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from tests.support.live_server import (
    Handler,
    LiveServer,
    accept_setup,
    certificate,
    live_server,
)
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.adapters.gemini.connection import GeminiConnection
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.ports import Connection


def live_at(endpoint: str, ca_file: Path | None = None, deadlines: Deadlines | None = None) -> GeminiLive:
    config = GeminiConfig(
        key=SecretStr("a-key"),
        model="m",
        voice="Kore",
        endpoint=endpoint,
        ca_file=ca_file or certificate().certificate_file,
    )
    return GeminiLive(config, deadlines=deadlines)


async def dial(live: GeminiLive, handle: str | None = None) -> None:
    """Dial and hang up."""
    async with asyncio.timeout(60), live.connect(SecretStr(handle) if handle else None):
        pass


@contextlib.asynccontextmanager
async def connected(
    service: Handler, deadlines: Deadlines | None = None, handle: str | None = None, **options: Any
) -> AsyncIterator[GeminiConnection]:
    """Connect to `service` for 60 s at most; afterwards check that nothing is left on either side."""
    async with asyncio.timeout(60), live_server(service, **options) as server:
        live = live_at(server.endpoint, server.ca_file, deadlines)
        async with live.connect(SecretStr(handle) if handle else None) as connection:
            assert isinstance(connection, GeminiConnection)
            yield connection
        await thaw(server)
        await no_other_task()


async def thaw(server: LiveServer) -> None:
    """Let frozen peers read again, and wait until all have seen the end of their connection."""
    for peer in server.open:
        peer.transport.resume_reading()
    async with asyncio.timeout(60):
        await server.emptied.wait()


async def no_other_task() -> None:
    """Wait until this task is the only one."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, still_there = await asyncio.wait(others, timeout=5)
        assert not still_there


async def talk(connection: Connection) -> None:
    """Send more than all buffers hold, in noise that does not compress."""
    noise = os.urandom(256 * 1024)
    for _ in range(1000):
        await connection.send_audio(noise)


async def deaf(peer: ServerConnection) -> None:
    """Accept, then freeze: read and answer nothing more."""
    await accept_setup(peer)
    peer.transport.pause_reading()
    await peer.wait_closed()
