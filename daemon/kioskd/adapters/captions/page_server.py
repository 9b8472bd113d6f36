"""The captions' page: an HTTP server on loopback, and a stream of events for the page (server-sent events).

A browser on this machine may show other pages, too. They must not read captions. So the server checks which
host the browser asked for (DNS rebinding), and which page asks.
"""

import json
import socket
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final, NoReturn

from kioskd.adapters.remote.connection_limiter import ClientStream, ConnectionLimiter
from kioskd.ports import Clock, FollowCaptions

HEAD_BYTES: Final = 8192
REQUEST_S: Final = 5.0
CLIENTS: Final = 8
READERS: Final = 4
"""Most pages that read captions at a time. The other places are for loading pages."""

SEND_BYTES: Final = 65_536
"""Most bytes that wait in the system for a slow reader."""

RETRY_MS: Final = 1000
"""Milliseconds after which the page tries a lost connection again."""

_FILES: Final = {
    "/": ("index.html", "text/html"),
    "/captions.css": ("captions.css", "text/css"),
    "/captions.js": ("captions.js", "text/javascript"),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS: Final = (
    "Cache-Control: no-store\r\n"
    f"Content-Security-Policy: {_POLICY}\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Connection: close\r\n"
)


class CaptionPage:
    """Server of the captions' page; a `ports.CaptionScreen`."""

    def __init__(self, port: int, clock: Clock) -> None:
        """`port`: on loopback; 0 for any free one (`port` holds it while serving)."""
        self.port = port
        self._clock = clock
        self._readers = 0

    async def show(self, follow: FollowCaptions) -> NoReturn:
        """Serve until cancelled. If the port is in use, this is logged once, and retried each minute."""
        limiter = ConnectionLimiter(
            "captions", self._clock, most=CLIENTS, line_bytes=HEAD_BYTES, full=_answer(503, b"busy\n")
        )
        await limiter.open(self._listen, lambda stream: self._attend(stream, follow))

    def _listen(self) -> socket.socket:
        listening = socket.create_server(("127.0.0.1", self.port))
        # Each connection inherits it. Captions that wait for a slow reader are outdated.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self.port = listening.getsockname()[1]
        return listening

    async def _attend(self, stream: ClientStream, follow: FollowCaptions) -> None:
        try:
            head = await stream.read_until(b"\r\n\r\n", within_s=REQUEST_S)
        except ValueError:
            await stream.write(_answer(431, b"the request is too long\n"))
            return
        first, *rest = head.decode("latin-1").split("\r\n")
        method, _, target = first.partition(" ")
        path, fields = target.partition(" ")[0], _fields(rest)
        if not self._ours(fields):
            await stream.write(_answer(403, b"open this page by its own address on this machine\n"))
        elif method not in ("GET", "HEAD"):
            await stream.write(_answer(405, b"use GET\n"))
        elif path == "/events" and method == "GET":
            await self._tell(stream, follow)
        elif path in _FILES:
            name, kind = _FILES[path]
            await stream.write(_answer(200, _content(name), kind, bare=method == "HEAD"))
        else:
            await stream.write(_answer(404, b"see /\n"))

    def _ours(self, fields: Mapping[str, str]) -> bool:
        """Return whether a request comes from our own page, or from the address line of a browser."""
        host = fields.get("host", "")
        if host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return False
        if fields.get("origin", f"http://{host}") != f"http://{host}":
            return False
        return fields.get("sec-fetch-site", "none") in ("none", "same-origin")

    async def _tell(self, stream: ClientStream, follow: FollowCaptions) -> None:
        if self._readers >= READERS:
            await stream.write(_answer(503, b"too many pages read captions already; close one\n"))
            return

        async def send(message: Mapping[str, object]) -> None:
            await stream.write(f"data: {json.dumps(message, separators=(',', ':'))}\n\n".encode())

        self._readers += 1
        try:
            await stream.write(_head(200, "text/event-stream", "") + f"retry: {RETRY_MS}\n\n".encode())
            await follow(send)
        finally:
            self._readers -= 1


def _fields(lines: list[str]) -> dict[str, str]:
    """Return a request's header fields by lower-case names. A field that comes twice has no value."""
    found: dict[str, str] = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        name = name.strip().lower()
        found[name] = "" if name in found else value.strip()
    return found


@cache
def _content(name: str) -> bytes:
    return (Path(__file__).with_name("page") / name).read_bytes()


def _head(status: int, kind: str, more: str) -> bytes:
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{line}Content-Type: {kind}; charset=utf-8\r\n{more}{_HEADERS}\r\n".encode()


def _answer(status: int, body: bytes, kind: str = "text/plain", *, bare: bool = False) -> bytes:
    return _head(status, kind, f"Content-Length: {len(body)}\r\n") + (b"" if bare else body)
