"""A Live service, a token server and Google's token service on loopback, and clients that dial them."""

import asyncio
import datetime as dt
import functools
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from tests.support import live_server as live_peer
from tests.support.http_peers import Answer, Answerer, Asked, Peer, http_server
from tests.support.live_server import LiveServer, accept_setup, live_server
from tests.support.tls import client_context
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kioskd import app
from kioskd.adapters.gemini import GeminiConfig, GeminiLive, Vertex
from kioskd.adapters.gemini.web import HttpClient
from kioskd.settings.model import Settings
from kioskd.simulator.certificate import Certificate, make_certificate

KEY = "AIzaSyA1234567890abcdefghijklmnopqrstuv"
NAMES: Final = ("gateway.test", "tokens.test", "oauth.test")
CONSTRAINED = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained"
VERTEX_PATH = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"


@functools.cache
def certificate(*, starts_in_days: int = 0) -> Certificate:
    folder = Path(tempfile.mkdtemp(prefix="kioskd-providers-"))
    starts_in = dt.timedelta(days=starts_in_days, hours=-1)
    return make_certificate(folder, hosts=(*NAMES, "127.0.0.1"), starts_in=starts_in)


def web(proxy: str | None = None) -> HttpClient:
    return HttpClient(client_context(certificate()), proxy)


Setups = list[dict[str, Any]]


@asynccontextmanager
async def service(
    setups: Setups | None = None, upgrade: live_peer.Upgrade | None = None
) -> AsyncIterator[LiveServer]:
    """Run a Live service that accepts all setups, keeps them in `setups`, and ends after 60 s at most."""

    async def serve(peer: ServerConnection) -> None:
        setup = await accept_setup(peer)
        if setups is not None:
            setups.append(setup)
        await peer.wait_closed()

    made = certificate()
    identity = live_peer.Certificate(made.chain_file, made.key_file)
    async with asyncio.timeout(60), live_server(serve, upgrade=upgrade, identity=identity) as server:
        yield server


def live_at(server: LiveServer, **config: Any) -> GeminiLive:
    given = {"key": None, "model": "gemini-3.8-live", "voice": "Kore", "endpoint": server.endpoint}
    return GeminiLive(GeminiConfig(**given | {"ca_file": certificate().ca_file} | config))


async def dial(live: GeminiLive, handle: str | None = None) -> None:
    async with live.connect(SecretStr(handle) if handle else None):
        pass


def once_refused() -> live_peer.Upgrade:
    """Refuse the first request to the service with 401."""
    refused: list[Request] = []

    def upgrade(connection: ServerConnection, request: Request) -> Response | None:
        if refused:
            return None
        refused.append(request)
        return connection.respond(401, "expired")

    return upgrade


# Tokens of the owner's server.


def mint(name: str = "token") -> Answerer:
    """Answer with a new token each time, under the key `name`."""
    count = iter(range(1, 100))
    return lambda _asked: Answer(body=json.dumps({name: f"auth_tokens/of-the-server-{next(count)}"}).encode())


@asynccontextmanager
async def token_server(answer: Answerer) -> AsyncIterator[tuple[Peer, str]]:
    async with asyncio.timeout(60), http_server(answer, certificate().server_context()) as peer:
        yield peer, f"https://127.0.0.1:{peer.port}/kiosk"


# Google service accounts.


@functools.cache
def private_key() -> str:
    return (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


def account_file(folder: Path, token_uri: str) -> Path:
    file = folder / "account.json"
    account = {
        "type": "service_account",
        "project_id": "project-of-the-account",
        "client_email": "kiosk@example.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": private_key(),
        "token_uri": token_uri,
    }
    file.write_text(json.dumps(account), encoding="utf-8")
    return file


def bearer(lasts_s: int = 3600) -> Answerer:
    """Answer with a new bearer token each time, which is valid for `lasts_s`."""
    count = iter(range(1, 100))

    def answer(_asked: Asked) -> Answer:
        token = {"access_token": f"ya29.bearer-{next(count)}", "expires_in": lasts_s, "token_type": "Bearer"}
        return Answer(body=json.dumps(token).encode())

    return answer


@asynccontextmanager
async def google(
    answer: Answerer, folder: Path, gate: asyncio.Event | None = None
) -> AsyncIterator[tuple[Peer, Vertex]]:
    """Run Google's token service, and yield it with an account that uses it."""
    tls = certificate().server_context()
    async with asyncio.timeout(60), http_server(answer, tls, gate=gate) as peer:
        file = account_file(folder, f"https://127.0.0.1:{peer.port}/token")
        yield peer, Vertex("my-project", "europe-west4", file)


# The owner's settings, as they are sent to the service.


async def setup_of(
    settings: dict[str, Any], key: str | None = KEY, profile: str = "default"
) -> tuple[dict[str, Any], str]:
    """Return the setup message of a kiosk with these settings, and the path of its request.

    `profile` names the visitor's profile.
    """
    setups: Setups = []
    async with service(setups) as server:
        at = {"endpoint": server.endpoint, "ca_file": certificate().ca_file}
        given = settings | {"service": settings.get("service", {}) | at}
        live = app.live(Settings.model_validate(given), SecretStr(key) if key else None)
        async with live.connect(None, (), profile):
            pass
    return setups[0], server.paths[0]
