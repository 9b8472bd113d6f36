"""Ephemeral tokens from the owner's server, a new one for each connection."""

import asyncio
import json
import logging

import pytest
from tests.support.http_peers import Answer, Answerer, http_server
from tests.support.live_providers import (
    CONSTRAINED,
    certificate,
    dial,
    live_at,
    mint,
    once_refused,
    service,
    token_server,
    web,
)
from tests.support.tls import client_context
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kioskd.adapters.gemini import WIRE_LOGGERS
from kioskd.adapters.gemini.credentials import TokenCredentials
from kioskd.adapters.gemini.web import LARGEST_BYTES, HttpClient
from kioskd.errors import LinkLost, Remedy


async def token_lost(answer: Answerer) -> LinkLost:
    """Return the loss of a fetch from a server with this answer."""
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
async def test_the_wait_that_the_token_server_asks_for_is_kept(after: str, wait_s: float | None) -> None:
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


async def test_the_wait_for_a_silent_token_server_is_short() -> None:
    async with token_server(lambda _: None) as (_, url):
        with pytest.raises(LinkLost, match=r"token server gave no answer within 0\.2 s") as caught:
            await TokenCredentials(url, "m", web(), fetch_s=0.2).fetch()
    assert caught.value.remedy is Remedy.RESUME


async def test_a_token_server_with_a_certificate_of_the_future_means_a_wrong_clock() -> None:
    early = certificate(starts_in_days=2)
    async with asyncio.timeout(60), http_server(mint(), early.server_context()) as peer:
        with pytest.raises(LinkLost, match="not yet valid by this device's clock") as caught:
            await TokenCredentials(
                f"https://127.0.0.1:{peer.port}", "m", HttpClient(client_context(early))
            ).fetch()
    assert caught.value.remedy is Remedy.CLOCK


async def test_a_token_server_with_an_untrusted_certificate_gets_no_request() -> None:
    async with token_server(mint()) as (tokens, url):
        with pytest.raises(LinkLost, match="token server not trusted") as caught:
            await TokenCredentials(
                url, "m", HttpClient(client_context(certificate(starts_in_days=2)))
            ).fetch()
    assert caught.value.remedy is Remedy.RESUME
    assert tokens.asked == []


async def test_the_debug_log_shows_no_token(caplog: pytest.LogCaptureFixture) -> None:
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)

    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(403, f"you showed {request.headers['Authorization']}")

    async with token_server(mint()) as (_, url), service(upgrade=refuse) as server:
        with pytest.raises(LinkLost) as caught:
            await dial(live_at(server, token_url=url, api_version="v1alpha"))
    assert "of-the-server" not in caplog.text + str(caught.value)
