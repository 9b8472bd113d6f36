"""Both ends of the control socket, as tests need them."""

import asyncio
import json
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.support.kiosk import running, soon
from tests.support.until import until

from kioskd.adapters.clock import SystemClock
from kioskd.adapters.remote.control_socket import ControlSocket
from kioskd.ports import RequestHandler


@contextmanager
def open_place() -> Iterator[Path]:
    """Yield a socket path that every user can reach, and that is shorter than paths of pytest's folders."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "control"


@contextmanager
def daemon(place: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """Act as a daemon that gives `answers` one by one, whatever the requests are; yield the requests."""
    asked: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            caller, _ = listening.accept()
            with caller:
                asked.append(caller.makefile("rb").readline())
                caller.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join(10)


@asynccontextmanager
async def serving(place: Path, handle: RequestHandler) -> AsyncIterator[ControlSocket]:
    """Serve the daemon's end of the socket until the block ends."""
    made = ControlSocket(place, SystemClock())
    async with running(made.serve(handle)):
        await until(place.exists)
        yield made


class Caller:
    """One client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, request: Mapping[str, object] | bytes) -> None:
        """Send a request, or raw bytes."""
        data = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        self.writer.write(data)

    async def answer(self) -> Any:
        """Return the next answer; None if the daemon has hung up."""
        try:
            line = await soon(self._reader.readline())
        except ConnectionResetError:  # the daemon hung up without reading everything
            return None
        return json.loads(line) if line else None

    async def asks(self, request: Mapping[str, object] | bytes) -> Any:
        """Send a request and return its answer."""
        self.send(request)
        return await self.answer()


@asynccontextmanager
async def calling(path: Path) -> AsyncIterator[Caller]:
    """Connect to the socket."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**20)
    try:
        yield Caller(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)
