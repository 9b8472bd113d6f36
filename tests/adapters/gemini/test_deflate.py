"""Compression of small messages on a Live connection."""

import asyncio
import base64
import os
from typing import Any

from tests.support.live_server import accept_setup, live_server, read_json
from tests.support.live_wire import live_at
from websockets.asyncio.server import ServerConnection
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from kioskd.adapters.gemini.connection import GeminiConnection
from kioskd.adapters.gemini.deflate import SmallMessageDeflate


def test_small_messages_are_compressed_and_large_ones_are_not() -> None:
    sparing = SmallMessageDeflate(False, False, 15, 15)
    theirs = PerMessageDeflate(False, False, 15, 15)
    for size in (1_000, 60_000, 1_000, 16_385, 2_000):
        data = base64.b64encode(os.urandom(size))[:size]
        sent = sparing.encode(Frame(Opcode.TEXT, data))
        assert sent.rsv1 == (size <= 16_384)
        assert bytes(theirs.decode(sent).data) == data


async def test_the_real_client_compresses_small_messages() -> None:
    agreed: list[Any] = []

    async def service(peer: ServerConnection) -> None:
        agreed.extend(peer.protocol.extensions)
        await accept_setup(peer)
        assert (await read_json(peer))["realtime_input"]["audio"]

    async with (
        live_server(service) as server,
        asyncio.timeout(60),
        live_at(server).connect(None) as connection,
    ):
        assert isinstance(connection, GeminiConnection)
        await connection.send_audio(bytes(640))
        await server.emptied.wait()
        (ours,) = connection.socket.protocol.extensions
    assert [extension.name for extension in agreed] == ["permessage-deflate"]
    assert isinstance(ours, SmallMessageDeflate)
