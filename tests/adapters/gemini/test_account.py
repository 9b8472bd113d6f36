"""Tokens of a Google account, which open the Live service on Google Cloud."""

import asyncio
import json
import urllib.parse
from pathlib import Path

import pytest
from tests.support.http_peers import Answer, Answerer
from tests.support.live_providers import (
    VERTEX_PATH,
    Setups,
    bearer,
    dial,
    google,
    live_at,
    once_refused,
    service,
    web,
)

from kioskd.adapters.gemini import Vertex
from kioskd.adapters.gemini.account import GoogleAccount
from kioskd.adapters.gemini.web import LARGEST_BYTES
from kioskd.errors import LinkLost, Remedy


async def account_lost(answer: Answerer, folder: Path) -> LinkLost:
    async with google(answer, folder) as (_, vertex):
        with pytest.raises(LinkLost) as caught:
            await GoogleAccount(vertex, web(), fetch_s=60).fetch()
    return caught.value


@pytest.mark.usefixtures("redirecting")
async def test_vertex_is_dialed_with_the_accounts_token_and_the_environment_is_ignored(
    tmp_path: Path,
) -> None:
    setups: Setups = []
    async with google(bearer(), tmp_path) as (oauth, vertex), service(setups) as server:
        live = live_at(server, vertex=vertex, api_version="v1beta1")
        await dial(live)
        await dial(live)
    assert server.paths == [VERTEX_PATH, VERTEX_PATH]
    # The token service answers on the event loop of the dial. If the dial blocked the loop, no answer would
    # come.
    assert len(oauth.asked) == 1
    for headers in server.headers:
        assert headers["authorization"] == "Bearer ya29.bearer-1"
        assert "x-goog-api-key" not in headers
    assert setups[0]["model"] == (
        "projects/my-project/locations/europe-west4/publishers/google/models/gemini-3.8-live"
    )
    asked = urllib.parse.parse_qs(oauth.asked[0].body.decode())
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


async def test_the_dial_renews_a_token_that_expires_soon_so_that_the_sdk_never_does(
    tmp_path: Path,
) -> None:
    # With 4 min left the SDK would still use the token. With 3 min it would renew it and block the event
    # loop.
    async with google(bearer(lasts_s=240), tmp_path) as (_, vertex), service() as server:
        live = live_at(server, vertex=vertex, api_version="v1beta1")
        await dial(live)
        await dial(live)
    assert [headers["authorization"] for headers in server.headers] == [
        "Bearer ya29.bearer-1",
        "Bearer ya29.bearer-2",
    ]


async def test_a_new_token_is_used_even_if_it_lasts_for_less_than_the_margin(tmp_path: Path) -> None:
    async with google(bearer(lasts_s=30), tmp_path) as (oauth, vertex), service() as server:
        await dial(live_at(server, vertex=vertex, api_version="v1beta1"))
    assert server.headers[0]["authorization"] == "Bearer ya29.bearer-1"
    assert len(oauth.asked) == 1


async def test_an_account_that_the_service_refuses_is_read_again(tmp_path: Path) -> None:
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
        (refusing(401, "invalid_client"), Remedy.CREDENTIALS, "reading the credentials again"),
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


async def test_a_dial_does_not_wait_for_a_slow_token_service_and_the_next_dial_uses_its_answer(
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


async def test_the_account_is_still_usable_after_a_cancelled_dial(tmp_path: Path) -> None:
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
    # Google's library itself asks three times within 3 s.
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


async def test_without_a_credentials_file_the_machines_default_credentials_are_used(
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
