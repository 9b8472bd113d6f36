"""The address, the API version and the credentials that the SDK's client dials with."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support import live_server as live_peer
from tests.support.http_peers import connect_proxy
from tests.support.live_providers import (
    KEY,
    VERTEX_PATH,
    Setups,
    dial,
    live_at,
    mint,
    service,
    token_server,
)
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kioskd.adapters.gemini import GeminiConfig, GeminiLive, Vertex
from kioskd.adapters.gemini.client import vertex_endpoint
from kioskd.errors import ConfigError, LinkLost


def only(version: str, status: int) -> live_peer.Upgrade:
    """Accept tokens for this API version only."""

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


async def test_the_error_names_both_versions_if_both_reject_the_token() -> None:
    async with token_server(mint()) as (_, url), service(upgrade=only("none", 404)) as server:
        live = live_at(server, token_url=url, api_version="v1beta", other_version="v1alpha")
        for _ in range(2):
            with pytest.raises(LinkLost, match=r"rejected with v1beta and with v1alpha\); check"):
                await dial(live)
    assert len(server.paths) == 4


async def test_the_error_names_the_version_that_the_owner_has_set() -> None:
    async with token_server(mint()) as (_, url), service(upgrade=only("v1alpha", 404)) as server:
        with pytest.raises(LinkLost, match=r"here it is v1beta"):
            await dial(live_at(server, token_url=url, api_version="v1beta"))
    assert len(server.paths) == 1


async def test_the_sdk_prints_no_warning_about_tokens(recwarn: pytest.WarningsRecorder) -> None:
    async with token_server(mint()) as (_, url), service() as server:
        await dial(live_at(server, token_url=url, api_version="v1beta"))
        await dial(live_at(server, key=SecretStr("auth_tokens/stored"), api_version="v1beta"))
    assert [str(warning.message) for warning in recwarn] == []


async def test_warming_up_uses_no_token() -> None:
    async with token_server(mint()) as (tokens, url), service() as server:
        await live_at(server, token_url=url, api_version="v1alpha").warm_up()
    assert tokens.asked == []


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


async def test_missing_credentials_are_a_fault_of_the_settings() -> None:
    with pytest.raises(ConfigError, match="service key is missing"):
        await GeminiLive(GeminiConfig(key=None, model="m", voice="Kore")).warm_up()


@pytest.mark.usefixtures("redirecting")
@pytest.mark.parametrize(
    ("config", "host"),
    [
        ({"vertex": Vertex("p", "europe-west4")}, "europe-west4-aiplatform.googleapis.com"),
        ({"vertex": Vertex("p")}, "aiplatform.googleapis.com"),
        ({}, "generativelanguage.googleapis.com"),
    ],
)
async def test_without_an_endpoint_google_is_dialed_whatever_the_environment_says(
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
