"""The floor: the smallest program that talks to the Live service with these devices.

It has no SDK, no state and no second try.

One WebSocket, two PyAudio callbacks, JSON made by hand. It has the same 20 ms frames as kioskd, and keeps
none of kioskd's promises: it cannot redial, lose a device, keep a first word, or fade. So it costs no more
than Python, PortAudio and TLS do. The device periods are 10 or 20 ms: longer ones cost less, and short ones
are heard and cut sooner.

It runs as a script (`floor.py PORT CA_FILE PERIOD_MS`), and starts fast: it imports nothing that it does not
need.
"""

import asyncio
import base64
import collections
import json
import signal
import ssl
import sys
from typing import Any

import pyaudio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FRAME_BYTES = 640
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SETUP = '{"setup":{"model":"models/bench","generationConfig":{"responseModalities":["AUDIO"]}}}'


class Floor:
    """Frames up, sound down."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._half = b""
        self._reply: collections.deque[bytes] = collections.deque()
        self._chunk = b""
        self._at = 0
        # Ten seconds. No task reads it while the service is away.
        self.frames: collections.deque[bytes] = collections.deque(maxlen=500)
        self.more = asyncio.Event()

    def heard(self, data: bytes | None, _frames: int, _times: Any, _flags: int) -> tuple[None, int]:
        """Take a period from the microphone, in its thread; two of 10 ms make a frame."""
        whole = self._half + (data or b"")
        if len(whole) >= FRAME_BYTES:
            self._loop.call_soon_threadsafe(self._offer, whole)
            whole = b""
        self._half = whole
        return None, pyaudio.paContinue

    def _offer(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.more.set()

    def wanted(self, _data: bytes | None, frames: int, _times: Any, _flags: int) -> tuple[bytes, int]:
        """Give the speaker a period, in its thread."""
        need, parts = frames * 2, []
        while need:
            if self._at >= len(self._chunk):
                try:
                    self._chunk, self._at = self._reply.popleft(), 0
                except IndexError:
                    parts.append(bytes(need))
                    break
            part = self._chunk[self._at : self._at + need]
            self._at += len(part)
            need -= len(part)
            parts.append(part)
        return b"".join(parts), pyaudio.paContinue

    async def send(self, socket: ClientConnection) -> None:
        """Send frames as they come."""
        while True:
            await self.more.wait()
            self.more.clear()
            while self.frames:
                data = base64.b64encode(self.frames.popleft()).decode()
                await socket.send(
                    f'{{"realtime_input":{{"audio":{{"data":"{data}","mime_type":"audio/pcm;rate=16000"}}}}}}'
                )

    async def receive(self, socket: ClientConnection) -> None:
        """Queue the reply's sound. Drop it when the reply is interrupted."""
        async for message in socket:
            content = json.loads(message).get("serverContent", {})
            if content.get("interrupted"):
                self._reply.clear()
                self._chunk = b""
            for part in content.get("modelTurn", {}).get("parts", ()):
                self._reply.append(base64.b64decode(part["inlineData"]["data"]))


async def talk(port: int, ca_file: str, period_ms: int) -> None:
    """Talk until SIGTERM. When the service hangs up, the devices go on."""
    floor = Floor()
    left = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, left.set)
    talking = asyncio.create_task(_talk(floor, port, ca_file))
    audio = await asyncio.to_thread(pyaudio.PyAudio)
    streams = [
        await asyncio.to_thread(_open, audio, 16_000, period_ms, floor.heard, capture=True),
        await asyncio.to_thread(_open, audio, 24_000, period_ms, floor.wanted, capture=False),
    ]
    await left.wait()
    talking.cancel()
    await asyncio.wait([talking])
    for stream in streams:
        stream.close()
    audio.terminate()


def _open(
    audio: pyaudio.PyAudio, rate_hz: int, period_ms: int, callback: Any, *, capture: bool
) -> pyaudio.Stream:
    return audio.open(
        rate=rate_hz,
        channels=1,
        format=pyaudio.paInt16,
        input=capture,
        output=not capture,
        frames_per_buffer=rate_hz * period_ms // 1000,
        stream_callback=callback,
    )


async def _talk(floor: Floor, port: int, ca_file: str) -> None:
    # No compression: it takes time, and the floor may waste bandwidth.
    async with connect(
        f"wss://127.0.0.1:{port}{PATH}",
        ssl=ssl.create_default_context(cafile=ca_file),
        compression=None,
        proxy=None,
    ) as socket:
        await socket.send(SETUP)
        try:
            await socket.recv()
            async with asyncio.TaskGroup() as group:
                group.create_task(floor.send(socket))
                group.create_task(floor.receive(socket))
        except* ConnectionClosed:
            sys.stderr.write("the service has hung up\n")


if __name__ == "__main__":
    asyncio.run(talk(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
