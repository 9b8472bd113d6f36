"""Who opens the service, and by which way it is reached: tokens, accounts, proxies; the real SDK, peers on loopback."""

import asyncio
import datetime as dt
import functools
import json
import logging
import tempfile
import urllib.parse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr
from tests.support import live_server as live_peer
from tests.support.http_peers import Answer, Answerer, Asked, Peer, connect_proxy, http_server
from tests.support.live_server import LiveServer, accept_setup, live_server
from tests.support.tls import client_context
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kioskd import app
from kioskd.adapters.gemini import WIRE_LOGGERS, GeminiConfig, GeminiLive, Vertex
from kioskd.adapters.gemini.account import GoogleAccount
from kioskd.adapters.gemini.client import vertex_endpoint
from kioskd.adapters.gemini.credentials import TokenCredentials
from kioskd.adapters.gemini.web import LARGEST_BYTES, HttpClient
from kioskd.errors import ConfigError, LinkLost, Remedy
from kioskd.settings.model import Settings
from kioskd.simulator.certificate import Certificate, make_certificate

KEY = "AIzaSyA1234567890abcdefghijklmnopqrstuv"
NAMES: Final = ("gateway.test", "tokens.test", "oauth.test")
CONSTRAINED = "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained"
VERTEX_PATH = "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"

REDIRECTING = {
    "GOOGLE_API_KEY": "AIzaSyZ-of-the-environment",
    "GEMINI_API_KEY": "AIzaSyZ-of-the-environment",
    "GOOGLE_GENAI_USE_ENTERPRISE": "false",
    "GOOGLE_GENAI_USE_VERTEXAI": "false",
    "GOOGLE_GENAI_API_VERSION": "v9",
    "GOOGLE_CLOUD_PROJECT": "project-of-the-environment",
    "GOOGLE_CLOUD_LOCATION": "location-of-the-environment",
    "GOOGLE_GEMINI_BASE_URL": "https://127.0.0.1:9/",
    "GOOGLE_VERTEX_BASE_URL": "https://127.0.0.1:9/",
}


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
    """A Live service that agrees to everything, and keeps what it was asked, for 20 s at most."""

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
    """Answer the first request to the service with 401."""
    refused: list[Request] = []

    def upgrade(connection: ServerConnection, request: Request) -> Response | None:
        if refused:
            return None
        refused.append(request)
        return connection.respond(401, "expired")

    return upgrade


# Tokens of the owner's server


def mint(name: str = "token") -> Answerer:
    """Answer with a new token each time."""
    count = iter(range(1, 100))
    return lambda _asked: Answer(body=json.dumps({name: f"auth_tokens/of-the-server-{next(count)}"}).encode())


@asynccontextmanager
async def token_server(answer: Answerer) -> AsyncIterator[tuple[Peer, str]]:
    async with asyncio.timeout(60), http_server(answer, certificate().server_context()) as peer:
        yield peer, f"https://127.0.0.1:{peer.port}/kiosk"


async def token_lost(answer: Answerer) -> LinkLost:
    """What becomes of asking a server that answers so."""
    async with token_server(answer) as (_, url):
        with pytest.raises(LinkLost) as caught:
            await TokenCredentials(url, "m", web()).fetch()
    return caught.value


@pytest.mark.parametrize("name", ["token", "name"])
async def test_each_connection_shows_a_token_of_its_own_and_no_key(name: str) -> None:
    async with token_server(mint(name)) as (tokens, url), service() as server:
        live = live_at(server, token_url=url, api_version="v1alpha")
        await dial(live)
        await dial(live, handle="handle")
    assert server.paths == [CONSTRAINED, CONSTRAINED]
    assert [headers["authorization"] for headers in server.headers] == [
        "Token auth_tokens/of-the-server-1",
        "Token auth_tokens/of-the-server-2",
    ]
    assert [asked.line for asked in tokens.asked] == ["POST /kiosk HTTP/1.1"] * 2
    assert json.loads(tokens.asked[0].body) == {"model": "gemini-3.8-live"}


def only(version: str, status: int) -> live_peer.Upgrade:
    """Take tokens of this version alone."""

    def upgrade(connection: ServerConnection, request: Request) -> Response | None:
        return None if f".{version}." in request.path else connection.respond(status, "not here")

    return upgrade


@pytest.mark.parametrize("status", [401, 403, 404, 400])
@pytest.mark.parametrize("version", ["v1beta", "v1alpha"])
async def test_a_token_opens_the_version_that_it_was_minted_for(version: str, status: int) -> None:
    async with token_server(mint()) as (tokens, url), service(upgrade=only(version, status)) as server:
        live = live_at(server, token_url=url, api_version="v1beta", other_version="v1alpha")
        await dial(live)
        await dial(live)
    dials = len(server.paths)
    assert dials == (2 if version == "v1beta" else 3), "what is found out is remembered"
    assert all(f".{version}." in path for path in server.paths[-2:])
    assert len(tokens.asked) == dials, "a token is shown once"


async def test_a_token_that_no_version_takes_is_refused_with_both_named() -> None:
    async with token_server(mint()) as (_, url), service(upgrade=only("none", 404)) as server:
        live = live_at(server, token_url=url, api_version="v1beta", other_version="v1alpha")
        for _ in range(2):
            with pytest.raises(LinkLost, match=r"refused with v1beta and with v1alpha\); check"):
                await dial(live)
    assert len(server.paths) == 4


async def test_the_version_is_named_where_the_owner_has_set_it() -> None:
    async with token_server(mint()) as (_, url), service(upgrade=only("v1alpha", 404)) as server:
        with pytest.raises(LinkLost, match=r"is it service\.api_version, v1beta"):
            await dial(live_at(server, token_url=url, api_version="v1beta"))
    assert len(server.paths) == 1


async def test_the_sdk_says_nothing_of_tokens_by_itself(recwarn: pytest.WarningsRecorder) -> None:
    async with token_server(mint()) as (_, url), service() as server:
        await dial(live_at(server, token_url=url, api_version="v1beta"))
        await dial(live_at(server, key=SecretStr("auth_tokens/stored"), api_version="v1beta"))
    assert [str(warning.message) for warning in recwarn] == []


async def test_warming_up_uses_no_token() -> None:
    async with token_server(mint()) as (tokens, url), service() as server:
        await live_at(server, token_url=url, api_version="v1alpha").warm_up()
    assert tokens.asked == []


async def test_a_token_that_the_service_refuses_is_replaced_by_the_next_dial() -> None:
    async with token_server(mint()) as (_, url), service(upgrade=once_refused()) as server:
        live = live_at(server, token_url=url, api_version="v1alpha")
        with pytest.raises(LinkLost) as caught:
            await dial(live)
        await dial(live)
    assert caught.value.remedy is Remedy.CREDENTIALS
    assert server.headers[1]["authorization"] == "Token auth_tokens/of-the-server-2"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (302, Remedy.SETTINGS),
        (400, Remedy.SETTINGS),
        (401, Remedy.CREDENTIALS),
        (403, Remedy.SETTINGS),
        (404, Remedy.SETTINGS),
        (408, Remedy.RESUME),
        (410, Remedy.SETTINGS),
        (429, Remedy.QUOTA),
        (500, Remedy.RESUME),
        (503, Remedy.RESUME),
    ],
)
async def test_each_refusal_of_the_token_server_has_its_remedy(status: int, remedy: Remedy) -> None:
    headers = {"Location": "https://127.0.0.1:9/elsewhere"}
    lost = await token_lost(lambda _: Answer(status, b'{"token": "auth_tokens/secret"}', headers))
    assert lost.remedy is remedy
    assert lost.reached is (remedy is Remedy.RESUME)
    assert f"token server answered HTTP {status}" in str(lost)
    assert "secret" not in str(lost)


@pytest.mark.parametrize(("after", "wait_s"), [("7", 7.0), ("99999", 600.0), ("soon", None)])
async def test_how_long_the_token_server_asks_to_wait_is_kept(after: str, wait_s: float | None) -> None:
    lost = await token_lost(lambda _: Answer(429, headers={"Retry-After": after}))
    assert lost.retry_after_s == wait_s


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"auth_tokens/secret",
        b'["auth_tokens/secret"]',
        b'{"value": "auth_tokens/secret"}',
        b'{"token": 7}',
        b'{"token": "secret-of-another-kind"}',
        b'{"token": "auth_tokens/secret\\nX-Header: 1"}',
        b"[" * 50_000,
        b'{"token": "auth_tokens/secret"' + b" " * LARGEST_BYTES + b"}",
    ],
    ids=lambda body: body[:30],
)
async def test_an_answer_without_a_token_is_a_fault_of_the_settings_and_not_repeated(body: bytes) -> None:
    lost = await token_lost(lambda _: Answer(body=body))
    assert lost.remedy is Remedy.SETTINGS
    assert "answered without a token" in str(lost)
    assert "secret" not in str(lost)


async def test_a_token_server_that_is_not_there_is_tried_again() -> None:
    async with token_server(mint()) as (_, url):
        pass
    with pytest.raises(LinkLost, match="token server not reached") as caught:
        await TokenCredentials(url, "m", web()).fetch()
    assert (caught.value.remedy, caught.value.reached) == (Remedy.RESUME, False)


async def test_a_token_server_that_says_nothing_is_not_waited_for_for_long() -> None:
    async with token_server(lambda _: None) as (_, url):
        with pytest.raises(LinkLost, match=r"token server gave no answer within 0\.2 s") as caught:
            await TokenCredentials(url, "m", web(), fetch_s=0.2).fetch()
    assert caught.value.remedy is Remedy.RESUME


async def test_a_token_server_with_a_certificate_of_the_future_waits_for_the_clock() -> None:
    early = certificate(starts_in_days=2)
    async with asyncio.timeout(60), http_server(mint(), early.server_context()) as peer:
        with pytest.raises(LinkLost, match="not yet valid by this device's clock") as caught:
            await TokenCredentials(
                f"https://127.0.0.1:{peer.port}", "m", HttpClient(client_context(early))
            ).fetch()
    assert caught.value.remedy is Remedy.CLOCK


async def test_a_token_server_with_anothers_certificate_gets_no_request() -> None:
    async with token_server(mint()) as (tokens, url):
        with pytest.raises(LinkLost, match="token server not trusted") as caught:
            await TokenCredentials(
                url, "m", HttpClient(client_context(certificate(starts_in_days=2)))
            ).fetch()
    assert caught.value.remedy is Remedy.RESUME
    assert tokens.asked == []


async def test_debugging_shows_no_token(caplog: pytest.LogCaptureFixture) -> None:
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)

    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(403, f"you showed {request.headers['Authorization']}")

    async with token_server(mint()) as (_, url), service(upgrade=refuse) as server:
        with pytest.raises(LinkLost) as caught:
            await dial(live_at(server, token_url=url, api_version="v1alpha"))
    assert "of-the-server" not in caplog.text + str(caught.value)


# Accounts of Google's


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
    """Answer with a new token each time."""
    count = iter(range(1, 100))

    def answer(_asked: Asked) -> Answer:
        token = {"access_token": f"ya29.bearer-{next(count)}", "expires_in": lasts_s, "token_type": "Bearer"}
        return Answer(body=json.dumps(token).encode())

    return answer


@asynccontextmanager
async def google(
    answer: Answerer, folder: Path, gate: asyncio.Event | None = None
) -> AsyncIterator[tuple[Peer, Vertex]]:
    """Google's token service, and an account that goes to it."""
    tls = certificate().server_context()
    async with asyncio.timeout(60), http_server(answer, tls, gate=gate) as peer:
        file = account_file(folder, f"https://127.0.0.1:{peer.port}/token")
        yield peer, Vertex("my-project", "europe-west4", file)


async def account_lost(answer: Answerer, folder: Path) -> LinkLost:
    async with google(answer, folder) as (_, vertex):
        with pytest.raises(LinkLost) as caught:
            await GoogleAccount(vertex, web(), fetch_s=60).fetch()
    return caught.value


@pytest.fixture
def redirecting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REDIRECTING.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("redirecting")
async def test_vertex_is_dialed_with_an_hours_token_of_the_account_whatever_the_environment(
    tmp_path: Path,
) -> None:
    setups: Setups = []
    async with google(bearer(), tmp_path) as (oauth, vertex), service(setups) as server:
        live = live_at(server, vertex=vertex, api_version="v1beta1")
        await dial(live)
        await dial(live)
    assert server.paths == [VERTEX_PATH, VERTEX_PATH]
    # The token service answers on the loop that the dial runs on: had the dial blocked it, nothing would have come.
    assert len(oauth.asked) == 1
    for headers in server.headers:
        assert headers["authorization"] == "Bearer ya29.bearer-1"
        assert "x-goog-api-key" not in headers
    assert setups[0]["model"] == (
        "projects/my-project/locations/europe-west4/publishers/google/models/gemini-3.8-live"
    )
    asked = urllib.parse.parse_qs(oauth.asked[0].body.decode())
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


async def test_a_token_that_would_end_soon_is_renewed_by_the_dial_before_the_sdk_looks(
    tmp_path: Path,
) -> None:
    # With 4 min left the SDK would still take it, and with 3 renew it while the loop waits.
    async with google(bearer(lasts_s=240), tmp_path) as (_, vertex), service() as server:
        live = live_at(server, vertex=vertex, api_version="v1beta1")
        await dial(live)
        await dial(live)
    assert [headers["authorization"] for headers in server.headers] == [
        "Bearer ya29.bearer-1",
        "Bearer ya29.bearer-2",
    ]


async def test_a_token_shorter_than_any_margin_is_used_all_the_same(tmp_path: Path) -> None:
    async with google(bearer(lasts_s=30), tmp_path) as (oauth, vertex), service() as server:
        await dial(live_at(server, vertex=vertex, api_version="v1beta1"))
    assert server.headers[0]["authorization"] == "Bearer ya29.bearer-1"
    assert len(oauth.asked) == 1


async def test_an_account_that_the_service_refuses_is_read_anew(tmp_path: Path) -> None:
    async with google(bearer(), tmp_path) as (_, vertex), service(upgrade=once_refused()) as server:
        live = live_at(server, vertex=vertex, api_version="v1beta1")
        with pytest.raises(LinkLost) as caught:
            await dial(live)
        await dial(live)
    assert caught.value.remedy is Remedy.CREDENTIALS
    assert server.headers[1]["authorization"] == "Bearer ya29.bearer-2"


def refusing(status: int, error: str, description: str = "") -> Answerer:
    body = json.dumps({"error": error, "error_description": description}).encode()
    return lambda _: Answer(status, body)


@pytest.mark.parametrize(
    ("answer", "remedy", "words"),
    [
        (refusing(400, "invalid_grant", "account not found"), Remedy.SETTINGS, "store new credentials"),
        (
            refusing(400, "invalid_grant", "Token must be short-lived. Check your iat and exp values"),
            Remedy.CLOCK,
            "timedatectl",
        ),
        (refusing(401, "invalid_client"), Remedy.CREDENTIALS, "reading the credentials anew"),
        (lambda _: Answer(body=b"{}"), Remedy.CREDENTIALS, "No access token"),
        (
            lambda _: Answer(body=b"x" * (LARGEST_BYTES + 1)),
            Remedy.RESUME,
            f"answer of more than {LARGEST_BYTES} bytes",
        ),
    ],
    ids=["revoked", "clock", "refused", "empty", "huge"],
)
async def test_each_refusal_of_the_account_has_its_remedy(
    tmp_path: Path, answer: Answerer, remedy: Remedy, words: str
) -> None:
    lost = await account_lost(answer, tmp_path)
    assert lost.remedy is remedy
    assert words in str(lost)
    assert len(str(lost).splitlines()) == 1


async def test_a_token_service_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    async with google(bearer(), tmp_path) as (_, vertex):
        pass
    with pytest.raises(LinkLost, match="Google's token service not reached") as caught:
        await GoogleAccount(vertex, web()).fetch()
    assert caught.value.remedy is Remedy.RESUME


async def test_a_slow_token_service_is_not_waited_for_and_its_answer_serves_the_next_dial(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    async with google(bearer(), tmp_path, gate) as (oauth, vertex):
        account = GoogleAccount(vertex, web(), fetch_s=1)
        with pytest.raises(LinkLost, match="no answer within 1 s") as caught:
            await account.fetch()
        gate.set()
        found = await account.fetch()
        assert len(oauth.asked) == 1
    assert caught.value.remedy is Remedy.RESUME
    assert found.secret.get_secret_value() == "ya29.bearer-1"


async def test_a_dial_given_up_leaves_the_account_usable(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with google(bearer(), tmp_path, gate) as (oauth, vertex):
        account = GoogleAccount(vertex, web())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await account.fetch()
        gate.set()
        found = await account.fetch()
        assert len(oauth.asked) == 1
    assert found.secret.get_secret_value() == "ya29.bearer-1"


async def test_a_token_service_in_trouble_is_asked_again(tmp_path: Path) -> None:
    # Google's library itself asks three times, within 3 s.
    lost = await account_lost(refusing(503, "temporarily_unavailable"), tmp_path)
    assert (lost.remedy, lost.reached) == (Remedy.RESUME, True)
    assert "Google's token service has trouble" in str(lost)


@pytest.mark.parametrize("content", [None, "", "{}", '{"type": "service_account"}', '{"type": "of Mars"}'])
async def test_an_account_that_cannot_be_read_is_a_fault_of_the_settings(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "account.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(LinkLost, match=r"check service\.credentials_file") as caught:
        await GoogleAccount(Vertex("p", credentials_file=file), web()).fetch()
    assert caught.value.remedy is Remedy.SETTINGS


async def test_without_a_file_the_machines_own_credentials_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google(bearer(), tmp_path) as (oauth, vertex), service() as server:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.credentials_file))
        await dial(live_at(server, vertex=Vertex("my-project"), api_version="v1beta1"))
    assert len(oauth.asked) == 1
    assert server.headers[0]["authorization"] == "Bearer ya29.bearer-1"


async def test_a_machine_without_credentials_of_its_own_is_a_fault_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    with pytest.raises(LinkLost, match="the machine's default credentials") as caught:
        await GoogleAccount(Vertex("p"), web()).fetch()
    assert caught.value.remedy is Remedy.SETTINGS


@pytest.mark.usefixtures("redirecting")
async def test_a_key_opens_vertex_in_its_express_mode() -> None:
    setups: Setups = []
    async with service(setups) as server:
        await dial(live_at(server, key=SecretStr(KEY), vertex=Vertex("p"), api_version="v1beta1"))
    assert server.paths == [VERTEX_PATH]
    assert server.headers[0]["x-goog-api-key"] == KEY
    assert "authorization" not in server.headers[0]
    assert setups[0]["model"] == "publishers/google/models/gemini-3.8-live"


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_each_location_of_vertex_has_its_host(location: str, host: str) -> None:
    assert vertex_endpoint(location) == f"https://{host}/"


async def test_without_key_tokens_and_account_there_is_nothing_to_dial_with() -> None:
    with pytest.raises(ConfigError, match="nothing to dial with"):
        await GeminiLive(GeminiConfig(key=None, model="m", voice="Kore")).warm_up()


# Proxies


async def test_service_and_token_server_are_reached_through_the_owners_proxy() -> None:
    async with token_server(mint()) as (tokens, _), service() as server:
        ports = {"gateway.test": server.port, "tokens.test": tokens.port}
        async with connect_proxy(ports) as proxy:
            live = live_at(
                server,
                endpoint="https://gateway.test",
                token_url="https://tokens.test/kiosk",
                proxy=f"http://127.0.0.1:{proxy.port}",
                api_version="v1alpha",
            )
            await dial(live)
    assert [asked.line for asked in proxy.asked] == [
        "CONNECT tokens.test:443 HTTP/1.1",
        "CONNECT gateway.test:443 HTTP/1.1",
    ]
    assert server.headers[0]["authorization"] == "Token auth_tokens/of-the-server-1"
    # The proxy sees where, and not what.
    assert "auth_tokens" not in str(proxy.asked)


async def test_vertex_and_googles_token_service_are_reached_through_the_owners_proxy(
    tmp_path: Path,
) -> None:
    file = account_file(tmp_path, "https://oauth.test/token")
    async with google(bearer(), tmp_path / "..") as (oauth, _), service() as server:
        ports = {"gateway.test": server.port, "oauth.test": oauth.port}
        async with connect_proxy(ports) as proxy:
            live = live_at(
                server,
                endpoint="https://gateway.test",
                vertex=Vertex("p", credentials_file=file),
                proxy=f"http://127.0.0.1:{proxy.port}",
                api_version="v1beta1",
            )
            await dial(live)
    assert [asked.line.split()[1] for asked in proxy.asked] == ["oauth.test:443", "gateway.test:443"]


async def test_what_is_on_this_machine_is_reached_without_the_owners_proxy() -> None:
    async with service() as server, connect_proxy({}) as proxy:
        await dial(live_at(server, key=SecretStr(KEY), proxy=f"http://127.0.0.1:{proxy.port}"))
    assert proxy.asked == []
    assert len(server.paths) == 1


@pytest.mark.usefixtures("redirecting")
@pytest.mark.parametrize(
    ("config", "host"),
    [
        ({"vertex": Vertex("p", "europe-west4")}, "europe-west4-aiplatform.googleapis.com"),
        ({"vertex": Vertex("p")}, "aiplatform.googleapis.com"),
        ({}, "generativelanguage.googleapis.com"),
    ],
)
async def test_without_an_endpoint_the_provider_itself_is_dialed_whatever_the_environment(
    config: dict[str, Any], host: str
) -> None:
    async with asyncio.timeout(60), connect_proxy({}) as proxy:
        live = GeminiLive(
            GeminiConfig(
                key=SecretStr(KEY),
                model="m",
                voice="Kore",
                proxy=f"http://127.0.0.1:{proxy.port}",
                **config,
            )
        )
        with pytest.raises(LinkLost):
            await dial(live)
    assert proxy.asked[0].line == f"CONNECT {host}:443 HTTP/1.1"


async def test_a_token_server_on_this_machine_is_behind_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with token_server(mint()) as (tokens, url):
        for proxy in ("http://127.0.0.1:9", None):
            await TokenCredentials(url, "m", web(proxy)).fetch()
    assert len(tokens.asked) == 2


async def test_the_environments_proxy_serves_where_the_owner_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with token_server(mint()) as (tokens, _), connect_proxy({"tokens.test": tokens.port}) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        await TokenCredentials("https://tokens.test/kiosk", "m", web()).fetch()
        assert len(proxy.asked) == 1
        monkeypatch.setenv("no_proxy", "tokens.test")
        assert web().route("https://tokens.test/kiosk") is None


@pytest.mark.parametrize(
    ("status", "remedy"), [(403, Remedy.SETTINGS), (407, Remedy.SETTINGS), (502, Remedy.RESUME)]
)
async def test_a_proxy_that_refuses_is_told_from_one_without_a_way_out(status: int, remedy: Remedy) -> None:
    async with asyncio.timeout(60), connect_proxy({}, status=status) as proxy:
        with pytest.raises(LinkLost, match="token server not reached") as caught:
            await TokenCredentials("https://tokens.test", "m", web(f"http://127.0.0.1:{proxy.port}")).fetch()
    assert (caught.value.remedy, caught.value.reached) == (remedy, False)


def test_the_clouds_own_address_is_behind_no_proxy() -> None:
    reached = web("http://127.0.0.1:9")
    assert reached.route("http://metadata.google.internal/computeMetadata/v1/") is None
    assert reached.route("https://oauth2.googleapis.com/token") == "http://127.0.0.1:9"


# What the owner's settings say on the wire


async def setup_of(settings: dict[str, Any], key: str | None = KEY) -> tuple[dict[str, Any], str]:
    """What the service hears, and on which path, of a kiosk with these settings."""
    setups: Setups = []
    async with service(setups) as server:
        at = {"endpoint": server.endpoint, "ca_file": certificate().ca_file}
        given = settings | {"service": settings.get("service", {}) | at}
        live = app.live(Settings.model_validate(given), SecretStr(key) if key else None)
        async with live.connect(None):
            pass
    return setups[0], server.paths[0]


@pytest.mark.parametrize(
    ("settings", "look", "found"),
    [
        (
            {"assistant": {"temperature": 0.3}},
            lambda setup: setup["generationConfig"]["temperature"],
            0.3,
        ),
        (
            {"assistant": {"vocabulary": ("Huygens", "anchor escapement")}},
            lambda setup: setup["inputAudioTranscription"]["custom_vocabulary"],
            ["Huygens", "anchor escapement"],
        ),
        (
            {
                "service": {"model": "gemini-3.1-flash-live-preview"},
                "assistant": {"thinking": "medium"},
            },
            lambda setup: setup["generationConfig"]["thinkingConfig"],
            {"thinking_level": "MEDIUM"},
        ),
        (
            {"service": {"model": "gemini-3.8-live-extended-thinking"}},
            lambda setup: setup["generationConfig"]["thinkingConfig"],
            {"thinking_level": "LOW"},
        ),
        (
            {
                "conversation": {
                    "speech_start": "low",
                    "speech_end": "high",
                    "padding_ms": 120,
                    "silence_ms": 900,
                }
            },
            lambda setup: setup["realtimeInputConfig"]["automatic_activity_detection"],
            {
                "start_of_speech_sensitivity": "START_SENSITIVITY_LOW",
                "end_of_speech_sensitivity": "END_SENSITIVITY_HIGH",
                "prefix_padding_ms": 120,
                "silence_duration_ms": 900,
            },
        ),
        (
            {"conversation": {"padding_ms": 0}},
            lambda setup: setup["realtimeInputConfig"]["automatic_activity_detection"],
            {"prefix_padding_ms": 0},
        ),
        (
            {"conversation": {"interruptions": "ignored"}},
            lambda setup: setup["realtimeInputConfig"]["activity_handling"],
            "NO_INTERRUPTION",
        ),
        (
            {"conversation": {"interruptions": "allowed"}},
            lambda setup: setup["realtimeInputConfig"]["activity_handling"],
            "START_OF_ACTIVITY_INTERRUPTS",
        ),
        ({"conversation": {"search": True}}, lambda setup: setup["tools"], [{"googleSearch": {}}]),
        (
            {"conversation": {"compression_tokens": {"trigger": 25_000, "target": 8_000}}},
            lambda setup: setup["contextWindowCompression"],
            {"trigger_tokens": 25_000, "sliding_window": {"target_tokens": 8_000}},
        ),
        (
            {"conversation": {"compression_tokens": {"trigger": 25_000}}},
            lambda setup: setup["contextWindowCompression"],
            {"trigger_tokens": 25_000, "sliding_window": {}},
        ),
    ],
)
async def test_each_wish_of_the_owner_reaches_the_service(
    settings: dict[str, Any], look: Callable[[dict[str, Any]], Any], found: Any
) -> None:
    setup, _ = await setup_of(settings)
    assert look(setup) == found


async def test_what_is_not_wished_is_not_said() -> None:
    setup, _ = await setup_of({})
    assert not {"temperature", "thinkingConfig"} & set(setup["generationConfig"])
    assert set(setup["realtimeInputConfig"]) == {"turn_coverage"}
    assert "tools" not in setup
    assert setup["contextWindowCompression"] == {"sliding_window": {}}
    assert "custom_vocabulary" not in setup["inputAudioTranscription"]


@pytest.mark.parametrize(
    ("service_settings", "path"),
    [
        ({}, "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"),
        (
            {"model": "gemini-3.8-live-extended-thinking"},
            "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent",
        ),
        ({"provider": "vertex", "project": "p"}, VERTEX_PATH),
    ],
)
async def test_the_settings_choose_the_path(service_settings: dict[str, Any], path: str) -> None:
    # A key in place of what the settings would fetch, as in a rehearsal.
    assert (await setup_of({"service": service_settings}))[1] == path


async def test_settings_with_a_token_url_need_no_key() -> None:
    async with token_server(mint()) as (tokens, url):
        _, path = await setup_of({"service": {"token_url": url}}, key=None)
    assert path == CONSTRAINED.replace("v1alpha", "v1beta")
    assert len(tokens.asked) == 1


async def test_settings_with_an_account_need_no_key_and_are_dialed_where_they_say(tmp_path: Path) -> None:
    async with google(bearer(), tmp_path) as (_, vertex):
        account = {
            "provider": "vertex",
            "project": "my-project",
            "credentials_file": vertex.credentials_file,
        }
        setup, path = await setup_of({"service": account}, key=None)
    assert path == VERTEX_PATH
    assert setup["model"].startswith("projects/my-project/locations/global/")


def test_an_unknown_model_is_said_in_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    app.live(Settings.model_validate({"service": {"model": "gemini-9-live"}}), SecretStr(KEY))
    assert "taken for one like gemini-3.8-live: model=gemini-9-live" in caplog.text
    caplog.clear()
    app.live(Settings(), SecretStr(KEY))
    assert caplog.text == ""
