"""HTTP peers on loopback, run by a test: a server with the test's answers, and a CONNECT proxy."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

CLOSE: Final = "Connection: close\r\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """HTTP request of a client."""

    line: str
    headers: dict[str, str]
    """The headers, with their names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """HTTP answer to a request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Peer:
    """A running peer: its port, and the requests that it got."""

    port: int
    asked: list[Asked] = field(default_factory=list)


Answerer = Callable[[Asked], Answer | None]


@asynccontextmanager
async def http_server(
    answer: Answerer, tls: ssl.SSLContext | None, *, gate: asyncio.Event | None = None
) -> AsyncIterator[Peer]:
    """Answer each request until the block ends, once `gate` is set. An answer of None is silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await _request(reader)
        peer.asked.append(asked)
        if gate is not None:
            await gate.wait()
        answered = answer(asked)
        if answered is None:
            await reader.read()  # until the client hangs up
            return
        headers = "".join(f"{name}: {value}\r\n" for name, value in answered.headers.items())
        length = f"Content-Length: {len(answered.body)}\r\n"
        head = f"HTTP/1.1 {answered.status} Answer\r\n{CLOSE}{length}{headers}\r\n"
        writer.write(head.encode() + answered.body)
        await writer.drain()

    async with _listening(serve, tls) as peer:
        yield peer


@asynccontextmanager
async def connect_proxy(ports: dict[str, int], *, status: int = 200) -> AsyncIterator[Peer]:
    """Pass CONNECT requests on to the loopback port of the host in `ports`, or refuse with `status`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await _request(reader)
        peer.asked.append(asked)
        host = asked.line.split()[1].rpartition(":")[0]
        if status != 200 or host not in ports:
            writer.write(f"HTTP/1.1 {status if status != 200 else 502} No\r\n{CLOSE}\r\n".encode())
            await writer.drain()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", ports[host])
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far_writer))
                both.create_task(_pass_on(far_reader, writer))
        finally:
            far_writer.transport.abort()

    async with _listening(serve, None) as peer:
        yield peer


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@asynccontextmanager
async def _listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], tls: ssl.SSLContext | None
) -> AsyncIterator[Peer]:
    writers: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with contextlib.suppress(OSError, EOFError):  # the client hung up
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield Peer(server.sockets[0].getsockname()[1])
        for writer in writers:
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> Asked:
    line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (header.partition(": ") for header in rest)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(line, headers, body)
