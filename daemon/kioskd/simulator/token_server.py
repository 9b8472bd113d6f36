"""Simulates the servers that mint ephemeral tokens: the owner's, and the service's own."""

import asyncio
import email
import http
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qs
from weakref import WeakSet

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from kioskd.simulator.auth import is_key
from kioskd.simulator.connection import pause
from kioskd.simulator.ephemeral_tokens import LIFE_S, OPEN_S, TokenTerms
from kioskd.simulator.state import ServiceState
from kioskd.simulator.token_locks import parsed_lock
from kioskd.simulator.websocket import reset

PATH: Final = "/token"
"""The path of the owner's server."""

_MINTING: Final = re.compile(r"/(?P<version>v1beta|v1alpha)/auth_tokens")
_LONGEST_S: Final = 20 * 3600.0
"""Seconds for which the service lets a token live at most."""

_LARGEST_BYTES: Final = 1 << 16
_REQUEST_S: Final = 10.0
_TLS_S: Final = 5.0
_CLOSING_S: Final = 1.0


class TokenServer:
    """Two servers at one address.

    The owner's server of `service.token_url` answers POST {"model": ...} with {"token": ...}. The service's
    own `auth_tokens` answers the holder of the key with {"name": ...}.
    """

    def __init__(self, state: ServiceState) -> None:
        self._tokens = state.tokens
        self._key = state.key
        self._faults = state.faults
        self._events = state.events
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: WeakSet[asyncio.StreamWriter] = WeakSet()

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext) -> AsyncIterator[str]:
        """Serve on loopback during the block; yield the address of its root."""
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
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
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
                request = await _request(reader)
            if not await self._play_faults(reader, writer):
                self._answer(writer, request)
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            writer.transport.abort()  # The request is no HTTP, or the client has disconnected.
        finally:
            writer.close()
            # Python 3.11 cannot abort a TLS connection that is closed. It ends by its own deadline.
            self._writers.discard(writer)
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

    def _answer(self, writer: asyncio.StreamWriter, request: "_Request") -> None:
        minting = _MINTING.fullmatch(request.path)
        if minting is None and request.path != PATH:
            self._refuse(writer, 404)
        elif request.method != "POST":
            self._refuse(writer, 405)
        elif minting is not None:
            self._mint(writer, request, minting["version"])
        elif not _names_model(request.body):
            self._refuse(writer, 400)
        else:
            self._events.emit("token_minted")
            _write(writer, 200, {"token": self._tokens.mint()})

    def _mint(self, writer: asyncio.StreamWriter, request: "_Request", version: str) -> None:
        """Mint a token for the holder of the key, as `auth_tokens` of the service does."""
        if not request.key:
            self._refuse(writer, 403)
            return
        if not is_key(request.key, self._key):
            self._refuse(writer, 400, why="API key not valid. Please pass a valid API key.")
            return
        try:
            terms = MintingRequest.model_validate_json(request.body).terms(self._tokens.now(), version)
        except ValueError as error:
            first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            self._refuse(writer, 400, why=first)
            return
        self._events.emit("token_minted")
        _write(writer, 200, {"name": self._tokens.mint(terms)})

    def _refuse(
        self, writer: asyncio.StreamWriter, status: int, retry_after_s: int | None = None, why: str = ""
    ) -> None:
        self._events.emit("token_refused", status=status)
        phrase = http.HTTPStatus(status)
        error = {"code": status, "message": why or phrase.phrase, "status": phrase.name}
        _write(writer, status, {"error": error}, retry_after_s)


class MintingRequest(BaseModel):
    """A request for a token to the service itself."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    uses: Annotated[int, Field(ge=0)] = 1
    expire_time: AwareDatetime | None = None
    new_session_expire_time: AwareDatetime | None = None
    bidi_generate_content_setup: dict[str, Any] | None = None
    field_mask: str | None = None

    def terms(self, now: float, version: str) -> TokenTerms:
        """Return the terms of the token. Raises ValueError for a request that the service rejects."""
        ends = now + LIFE_S if self.expire_time is None else self.expire_time.timestamp()
        opens = self.new_session_expire_time
        until = now + OPEN_S if opens is None else opens.timestamp()
        if not (now < ends < now + _LONGEST_S and now < until < now + _LONGEST_S):
            raise ValueError("expire_time must be in the future, and less than 20 hours away")
        lock = parsed_lock(self.bidi_generate_content_setup, self.field_mask)
        return TokenTerms(ends, until, self.uses, version, lock)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    key: str
    """The key that the client shows; empty without one."""
    body: bytes


async def _request(reader: asyncio.StreamReader) -> _Request:
    """Return a client's request.

    Raises:
        ValueError: the length of the body is not a number, or is too large.
        EOFError, asyncio.LimitOverrunError: the request is incomplete.
    """
    line, _, headers = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
    fields = email.message_from_bytes(headers)
    length = int(fields.get("content-length", "0"))
    if not 0 <= length <= _LARGEST_BYTES:
        raise ValueError(length)
    method, _, target = line.decode("latin-1").partition(" ")
    path, _, query = target.partition(" ")[0].partition("?")
    key = fields.get("x-goog-api-key") or parse_qs(query).get("key", [""])[0]
    return _Request(method, path, key, await reader.readexactly(length))


def _names_model(body: bytes) -> bool:
    try:
        asked = json.loads(body)
    except ValueError:
        return False
    return isinstance(asked, dict) and isinstance(asked.get("model"), str) and bool(asked["model"])


def _write(
    writer: asyncio.StreamWriter, status: int, answer: dict[str, Any], retry_after_s: int | None = None
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
