"""The other end: a TLS WebSocket server that speaks just enough of the Live wire, in a process of its own.

It takes orders as JSON lines on stdin, and reports as JSON lines on stdout. Its times are CLOCK_MONOTONIC,
which all processes of a machine share. The time of a sent message is taken just before sending it. The time
of a received message is taken as soon as it is there, before it is parsed.

orders      {"do": "admit" | "refuse"}                     admits or refuses the next connections
            {"do": "reply", "ms": N, "paced": bool}        a tone; paced: 40 ms every 40 ms, else all at once
            {"do": "interrupt"}                            interrupted, then turnComplete
            {"do": "frames"}                               asks for the number of frames so far
reports     listening port / setup / refused / audio (a connection's first frame) /
            sound offset (samples into the frame where a quiet microphone became loud) / reply / interrupt /
            frames count / gone / cut
"""

import asyncio
import base64
import json
import math
import ssl
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

REPLY_HZ: Final = 24_000
PIECE_MS: Final = 40
LOUD: Final = 0.1
"""Part of full scale above which a sound begins: far above the microphone's noise, far below its clicks."""
QUIET_FRAMES: Final = 2
"""Number of frames below it after which the next sound is a new one."""
TONE_HZ: Final = 1000


def piece() -> str:
    """Return a message with 40 ms of a tone: whole waves, so that pieces join without a step."""
    count = REPLY_HZ * PIECE_MS // 1000
    wave = 0.8 * 32767 * np.sin(2 * math.pi * TONE_HZ / REPLY_HZ * np.arange(count))
    data = base64.b64encode(wave.astype("<i2").tobytes()).decode()
    blob = {"mimeType": f"audio/pcm;rate={REPLY_HZ}", "data": data}
    return json.dumps({"serverContent": {"modelTurn": {"role": "model", "parts": [{"inlineData": blob}]}}})


class Service:
    """Serves one client at a time."""

    def __init__(self) -> None:
        self._piece = piece()
        self._refusing = False
        self._client: ServerConnection | None = None
        self._frames = 0

    async def serve_client(self, client: ServerConnection) -> None:
        """Do what the Live service does on a connection, as far as the bench needs it."""
        try:
            await client.recv()
            if self._refusing:
                await client.close(1008, "models/bench is not found for this API version")
                report("refused")
                return
            await client.send('{"setupComplete":{"sessionId":"bench"}}')
            report("setup")
            self._client = client
            await self._listen(client)
        except ConnectionClosed:
            return  # clients of a bench come and go
        finally:
            self._client = None
            report("gone")

    async def _listen(self, client: ServerConnection) -> None:
        heard_any, quiet = False, 0
        while True:
            message = await client.recv()
            at = time.monotonic()
            audio = json.loads(message)["realtime_input"].get("audio")
            if audio is None:
                continue
            self._frames += 1
            if not heard_any:
                heard_any = True
                report("audio", at)
            sound = np.frombuffer(base64.urlsafe_b64decode(_urlsafe(audio["data"])), dtype="<i2")
            loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > LOUD * 32767)
            if loud.size and quiet >= QUIET_FRAMES:
                report("sound", at, offset=int(loud[0]))
            quiet = 0 if loud.size else quiet + 1

    async def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order."""
        if order["do"] in ("admit", "refuse"):
            self._refusing = order["do"] == "refuse"
            return
        if order["do"] == "frames":
            report("frames", count=self._frames)
            return
        if self._client is None:
            raise RuntimeError(f"{order['do']}: nobody is connected")
        if order["do"] == "reply":
            await self._say(self._client, order["ms"] // PIECE_MS, paced=order["paced"])
        elif order["do"] == "interrupt":
            at = time.monotonic()
            await self._client.send('{"serverContent":{"interrupted":true}}')
            await self._client.send('{"serverContent":{"turnComplete":true}}')
            report("interrupt", at)

    async def _say(self, client: ServerConnection, pieces: int, *, paced: bool) -> None:
        began = time.monotonic()
        for number in range(pieces):
            if paced:
                await asyncio.sleep(max(0.0, began + number * PIECE_MS / 1000 - time.monotonic()))
            await client.send(self._piece)
        if paced:
            # A reply that is sent all at once can be interrupted: the receiver still waits for its end.
            await client.send('{"serverContent":{"generationComplete":true}}')
            await client.send('{"serverContent":{"turnComplete":true}}')
        report("reply", began)


def _urlsafe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")


def report(event: str, at: float | None = None, **more: Any) -> None:
    """Tell the bench what happened, and when."""
    line = {"event": event, "at": time.monotonic() if at is None else at, **more}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main(chain_file: Path, key_file: Path) -> None:
    """Serve on a free port of loopback until stdin ends."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain_file, key_file)
    service = Service()
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    async with (
        serve(service.serve_client, "127.0.0.1", 0, ssl=tls, ping_interval=None, close_timeout=0.2) as server,
        asyncio.TaskGroup() as replies,
    ):
        report("listening", port=next(iter(server.sockets)).getsockname()[1])
        async for line in orders:
            order = json.loads(line)
            if order.get("paced"):
                replies.create_task(carry_out(service, order))  # other orders may come meanwhile
            else:
                await carry_out(service, order)


async def carry_out(service: Service, order: dict[str, Any]) -> None:
    """Have the service obey, as long as the client stays."""
    try:
        await service.obey(order)
    except ConnectionClosed:
        report("cut")  # the client left in mid-reply, as it may


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
