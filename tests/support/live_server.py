"""A small TLS WebSocket server on loopback, which runs the test's handler."""

import asyncio
import atexit
import datetime
import functools
import ipaddress
import json
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

Handler = Callable[[ServerConnection], Awaitable[None]]
Upgrade = Callable[[ServerConnection, Request], Response | None]

SETUP_COMPLETE: Final = json.dumps({"setupComplete": {"sessionId": "s"}})


@dataclass(frozen=True, slots=True)
class Certificate:
    """Self-signed certificate for 127.0.0.1: the files with it and its key."""

    certificate_file: Path
    key_file: Path

    def server_context(self) -> ssl.SSLContext:
        """Return a server's TLS context with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


@functools.cache
def certificate(*, starts_in_days: int = -1, ends_in_days: int = 1) -> Certificate:
    """Return a certificate that is valid between these days from now; created once per test run."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=starts_in_days))
        .not_valid_after(now + datetime.timedelta(days=ends_in_days))
        .add_extension(loopback, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = Path(tempfile.mkdtemp(prefix="kioskd-live-server-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    certificate_file, key_file = folder / "ca.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return Certificate(certificate_file, key_file)


@dataclass(slots=True)
class LiveServer:
    """A running server: its address, its requests and its connections."""

    port: int
    ca_file: Path
    paths: list[str] = field(default_factory=list)
    """The path of each request."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request, with their names in lower case."""
    open: set[ServerConnection] = field(default_factory=set)
    """The connections whose handler has not returned, or whose socket is still open."""
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no connection is open any more."""

    @property
    def endpoint(self) -> str:
        """The base URL for a client."""
        return f"https://127.0.0.1:{self.port}"


@asynccontextmanager
async def live_server(
    handler: Handler,
    *,
    upgrade: Upgrade | None = None,
    identity: Certificate | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[LiveServer]:
    """Serve `handler` on loopback until the block ends.

    `upgrade` may answer the HTTP request itself, such as by an error status. `receive_buffer`: bytes that the
    kernel keeps for a connection that is not read.
    """
    identity = identity or certificate()
    listener = socket.create_server(("127.0.0.1", 0))
    if receive_buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    server = LiveServer(listener.getsockname()[1], identity.certificate_file)

    async def note(connection: ServerConnection) -> None:
        server.open.add(connection)
        server.emptied.clear()
        try:
            await handler(connection)
        finally:
            await connection.close()
            server.open.discard(connection)
            if not server.open:
                server.emptied.set()

    def look(connection: ServerConnection, request: Request) -> Response | None:
        server.paths.append(request.path)
        server.headers.append({name.lower(): value for name, value in request.headers.raw_items()})
        return upgrade(connection, request) if upgrade else None

    async with serve(
        note,
        sock=listener,
        ssl=identity.server_context(),
        process_request=look,
        close_timeout=0.2,
        max_size=None,
        ping_interval=None,
    ):
        yield server
        for connection in server.open:
            connection.transport.abort()


async def read_json(connection: ServerConnection) -> dict[str, Any]:
    """Return the client's next message."""
    message: dict[str, Any] = json.loads(await connection.recv())
    return message


async def accept_setup(connection: ServerConnection) -> dict[str, Any]:
    """Read the client's setup, accept it, and return it."""
    setup: dict[str, Any] = (await read_json(connection))["setup"]
    await connection.send(SETUP_COMPLETE)
    return setup


async def say(connection: ServerConnection, **fields: Any) -> None:
    """Send one message with these top-level fields."""
    await connection.send(json.dumps(fields))
