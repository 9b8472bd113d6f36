"""Both ends of the control socket, doing as a test likes."""

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
    """Lend a socket's place that every user can get to: pytest's own folders are closed, and too deep for its name."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "control"


@contextmanager
def daemon(place: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """Be a daemon that answers so, whatever it is asked; yield the requests."""
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
    """Have the daemon's own end of the socket attended to until the block ends."""
    made = ControlSocket(place, SystemClock())
    async with running(made.serve(handle)):
        await until(place.exists)
        yield made


class Caller:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, request: Mapping[str, object] | bytes) -> None:
        """Send a request, or bytes as they are."""
        data = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        self.writer.write(data)

    async def answer(self) -> Any:
        """Return the next answer; None where the daemon has hung up."""
        try:
            line = await soon(self._reader.readline())
        except ConnectionResetError:  # it hung up on something that it had not read
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
