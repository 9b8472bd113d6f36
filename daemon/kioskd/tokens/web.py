"""The token service's web server: a request for a token in, a token or an HTTP error out."""

import asyncio
import contextlib
import json
import logging
import math
import socket
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from kioskd.tokens.certificates import DeviceCertificates, UnknownDeviceError
from kioskd.tokens.desk import Refusal, TokenDesk
from kioskd.tokens.settings import TokenListenSettings, TokenServiceSettings

log = logging.getLogger(__name__)

LARGEST_BYTES: Final = 1 << 14
"""Largest request, in bytes. The daemon's has forty."""
CONNECTION_S: Final = 30.0
"""Seconds after which a connection is dropped. A request takes less than ten."""
MOST_CONNECTIONS: Final = 1000
"""Connections at the same time. A further one is answered with HTTP 503."""
LEAVE_S: Final = 3

_UNAUTHORIZED: Final = Refusal(HTTPStatus.UNAUTHORIZED, "this device has not proved who it is")


class DeviceProtocol(H11Protocol):
    """HTTP on one connection. It hands the device's certificate to the application, and has a deadline."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Note the certificate that TLS has verified."""
        tls = transport.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        self.app_state = {**self.app_state, "certificate": shown}
        self._deadline = self.loop.call_later(CONNECTION_S, transport.abort)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)


class TokenWebServer(uvicorn.Server):
    """The web server. The caller handles signals, and sets `should_exit`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    listening: asyncio.Event
    """Set as soon as devices can connect."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self.listening.set()

    @property
    def port(self) -> int:
        """The port that it listens at, once it has started."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


def server(listen: TokenListenSettings, application: Starlette, tls: ssl.SSLContext | None) -> TokenWebServer:
    """Return a web server that is ready to be started."""
    factory: Callable[..., ssl.SSLContext] | None = None if tls is None else lambda _config, _default: tls
    made = TokenWebServer(
        uvicorn.Config(
            application,
            host=listen.address,
            port=listen.port,
            http=DeviceProtocol,
            ws="none",
            lifespan="off",
            loop="none",
            ssl_context_factory=factory,
            log_config=None,
            access_log=False,
            server_header=False,
            # A TLS proxy's headers would change nothing: an address is no proof.
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=LARGEST_BYTES,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=LEAVE_S,
        )
    )
    made.listening = asyncio.Event()
    return made


def application(
    settings: TokenServiceSettings,
    desk: TokenDesk,
    certificates: DeviceCertificates,
    now: Callable[[], float],
) -> Starlette:
    """Return the application: POST at any path mints a token. `now` returns seconds since the epoch."""
    identity = settings.identity

    def device(request: Request) -> str:
        if identity.proof == "certificate":
            shown: bytes | None = request.state.certificate
            if shown is None:
                raise UnknownDeviceError("no certificate was shown")
            return certificates.device(shown)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise UnknownDeviceError("no JWT was sent")
        proof = certificates.signed(token.strip(), identity.audience or "", now())
        if desk.known(proof.device):
            desk.note_proof(proof.device, proof.identifier, proof.expires)
        return proof.device

    async def mint(request: Request) -> Response:
        try:
            name = device(request)
            token = await desk.token(name, _model(await _body(request)))
        except UnknownDeviceError as error:
            log.warning("token refused: cause=%s", error)
            return _refused(_UNAUTHORIZED)
        except Refusal as refusal:
            return _refused(refusal)
        return JSONResponse({"token": token.get_secret_value()}, headers={"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/{path:path}", mint, methods=["POST"])])


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BYTES:
                raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too large")
    except ClientDisconnect:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the request is incomplete") from None
    return body


def _model(body: bytes) -> str | None:
    """Return the model that a request asks for; None if it names none. Raises Refusal for other contents."""
    try:
        asked: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        asked = None
    model = asked.get("model") if isinstance(asked, dict) else 0
    if not (model is None or isinstance(model, str)):
        raise Refusal(HTTPStatus.BAD_REQUEST, 'send JSON such as {"model": "gemini-3.8-live"}')
    return model


def _refused(refusal: Refusal) -> JSONResponse:
    headers = {"Cache-Control": "no-store"}
    if refusal.wait_s is not None:
        headers["Retry-After"] = str(math.ceil(refusal.wait_s))
    return JSONResponse({"error": str(refusal)}, refusal.status, headers)
