"""Simulates the owner's server, which mints ephemeral tokens."""

import asyncio
import email
import http
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakSet

from kioskd.simulator.auth import EphemeralTokens
from kioskd.simulator.connection import pause
from kioskd.simulator.event_feed import EventFeed
from kioskd.simulator.script import FaultSchedule
from kioskd.simulator.websocket import reset

PATH: Final = "/token"

_LARGEST_BYTES: Final = 1 << 16
_REQUEST_S: Final = 10.0
_TLS_S: Final = 5.0
_CLOSING_S: Final = 1.0


class TokenServer:
    """The server of `service.token_url`. It answers POST {"model": ...} with {"token": ...}."""

    def __init__(self, tokens: EphemeralTokens, faults: FaultSchedule, events: EventFeed) -> None:
        self._tokens = tokens
        self._faults = faults
        self._events = events
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: WeakSet[asyncio.StreamWriter] = WeakSet()

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext) -> AsyncIterator[str]:
        """Serve on loopback during the block; yield the URL."""
        server = await asyncio.start_server(
            self._serve,
            "127.0.0.1",
            0,
            ssl=tls,
            ssl_handshake_timeout=_TLS_S,
            ssl_shutdown_timeout=_CLOSING_S,
            limit=_LARGEST_BYTES,
        )
        try:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}{PATH}"
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            for writer in tuple(self._writers):
                writer.transport.abort()
            if self._serving:
                await asyncio.wait(self._serving)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._writers.add(writer)
        try:
            async with asyncio.timeout(_REQUEST_S):
                line, body = await _request(reader)
            if not await self._play_faults(reader, writer):
                self._answer(writer, line, body)
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            writer.transport.abort()  # The request is no HTTP, or the client has disconnected.
        finally:
            writer.close()
            self._serving.discard(task)

    async def _play_faults(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Execute the faults that are due; return whether they have answered the request."""
        due = self._faults.due("token")
        for fault in due:
            await pause(fault.after_s)
            self._events.emit("fault", do=fault.do)
            if fault.do == "refuse":
                self._refuse(writer, fault.status, fault.retry_after_s)
                await writer.drain()
                continue
            try:
                if fault.do == "silent":
                    async with asyncio.timeout(fault.lasts_s):
                        await reader.read()  # until the client gives up
            finally:
                reset(writer.transport)
        return bool(due)

    def _answer(self, writer: asyncio.StreamWriter, line: str, body: bytes) -> None:
        method, _, target = line.partition(" ")
        if target.partition(" ")[0] != PATH:
            self._refuse(writer, 404)
        elif method != "POST":
            self._refuse(writer, 405)
        elif not _names_model(body):
            self._refuse(writer, 400)
        else:
            self._events.emit("token_minted")
            _write(writer, 200, {"token": self._tokens.mint()})

    def _refuse(self, writer: asyncio.StreamWriter, status: int, retry_after_s: int | None = None) -> None:
        self._events.emit("token_refused", status=status)
        _write(writer, status, {"error": http.HTTPStatus(status).phrase}, retry_after_s)


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Return the request line and the body.

    Raises:
        ValueError: the length of the body is not a number, or is too large.
        EOFError, asyncio.LimitOverrunError: the request is incomplete.
    """
    line, _, headers = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    length = int(email.message_from_bytes(headers).get("content-length", "0"))
    if not 0 <= length <= _LARGEST_BYTES:
        raise ValueError(length)
    return line.decode("latin-1"), await reader.readexactly(length)


def _names_model(body: bytes) -> bool:
    try:
        asked = json.loads(body)
    except ValueError:
        return False
    return isinstance(asked, dict) and isinstance(asked.get("model"), str) and bool(asked["model"])


def _write(
    writer: asyncio.StreamWriter, status: int, answer: dict[str, str], retry_after_s: int | None = None
) -> None:
    body = json.dumps(answer).encode()
    head = [
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *([] if retry_after_s is None else [f"Retry-After: {retry_after_s}"]),
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
