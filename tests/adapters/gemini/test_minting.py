"""Tokens that the real SDK mints at the simulator."""

import asyncio
import datetime as dt
import logging
import ssl
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.http_peers import Answer, http_server
from tests.support.live_providers import certificate

from kioskd.adapters.gemini import WIRE_LOGGERS
from kioskd.adapters.gemini.minting import LockedSession, MintConfig, TokenMint, pinned
from kioskd.errors import LinkLost, Remedy
from kioskd.simulator import Reply, ScriptedFault, ServiceScript, Simulator
from kioskd.simulator.ephemeral_tokens import TokenTerms
from kioskd.tools.contract import Declaration

SESSION = LockedSession(model="gemini-3.8-live", api_version="v1beta", longest_s=600)
DOOR = Declaration("door", "Opens the door.", {"type": "object", "properties": {"which": {"type": "string"}}})
NOW = dt.datetime.now(dt.UTC)


@asynccontextmanager
async def minting(
    *faults: ScriptedFault, key: str | None = None, **more: Any
) -> AsyncIterator[tuple[Simulator, TokenMint]]:
    script = ServiceScript(replies=(Reply(silent=True),), tokens=True, faults=faults)
    async with asyncio.timeout(60), Simulator(script) as simulator:
        config = MintConfig(
            SecretStr(key) if key else simulator.key, simulator.minting_endpoint, simulator.ca_file
        )
        mint = TokenMint(config, **more)
        yield simulator, mint
        await mint.close()


async def terms_of(session: LockedSession) -> TokenTerms:
    async with minting(wall=lambda: NOW) as (simulator, mint):
        token = await mint.mint(session)
        terms = simulator.state.tokens.terms(token.get_secret_value())
    assert terms is not None
    return terms


def locked(terms: TokenTerms) -> Mapping[str, Any]:
    assert terms.lock is not None
    return terms.lock.setup


async def test_a_token_has_one_use_a_minute_to_open_and_the_life_of_a_conversation() -> None:
    terms = await terms_of(SESSION)
    assert terms.uses == 1
    assert terms.expires_s == pytest.approx(NOW.timestamp() + 660, abs=1)
    assert 0 < terms.opens_until_s - NOW.timestamp() < 60 + 60
    assert terms.version == "v1beta"


async def test_only_what_is_given_is_locked() -> None:
    terms = await terms_of(SESSION)
    assert terms.lock is not None
    assert terms.lock.fields == ("model", "generationConfig.responseModalities")
    whole = replace(SESSION, voice="Kore", instructions="Be kind.", tools=(DOOR,))
    terms = await terms_of(whole)
    assert terms.lock is not None
    assert terms.lock.fields == (
        *("model", "generationConfig.responseModalities", "generationConfig.speechConfig"),
        *("systemInstruction.parts", "systemInstruction.role", "tools"),
    )
    (tool,) = locked(terms)["tools"]
    assert tool["functionDeclarations"][0]["name"] == "door"


async def test_no_tools_are_locked_as_none() -> None:
    terms = await terms_of(replace(SESSION, tools=()))
    assert terms.lock is not None
    assert "tools" in terms.lock.fields  # type: ignore[operator]  # a lock of some fields names them
    assert locked(terms)["tools"] == ()


@pytest.mark.parametrize("version", ["v1beta", "v1alpha"])
async def test_a_token_is_minted_for_the_version_of_the_row(version: str) -> None:
    assert (await terms_of(replace(SESSION, api_version=version))).version == version


async def test_minting_warns_nobody_and_logs_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings():
        async with minting() as (simulator, mint):
            token = await mint.mint(SESSION)
            key = simulator.key.get_secret_value()
    assert token.get_secret_value() not in caplog.text
    assert key not in caplog.text


@pytest.mark.parametrize(
    ("fault", "remedy", "wait_s", "reached"),
    [
        ({"status": 429, "retry_after_s": 7}, Remedy.QUOTA, 7.0, True),
        ({"status": 503}, Remedy.RESUME, None, True),
        ({"status": 403}, Remedy.SETTINGS, None, True),
        ({"do": "abort"}, Remedy.RESUME, None, False),
    ],
)
async def test_each_refusal_has_its_remedy(
    fault: dict[str, Any], remedy: Remedy, wait_s: float | None, reached: bool
) -> None:
    scripted = ScriptedFault.model_validate({"on": "token", "do": "refuse"} | fault)
    async with minting(scripted) as (_, mint):
        with pytest.raises(LinkLost) as caught:
            await mint.mint(SESSION)
        assert (caught.value.remedy, caught.value.retry_after_s) == (remedy, wait_s)
        assert caught.value.reached is reached
        await mint.mint(SESSION)


async def test_a_wrong_key_is_named_and_not_shown() -> None:
    async with minting(key="AIzaSyWrong1234567890abcdefghijklmnop") as (_, mint):
        with pytest.raises(LinkLost, match=r"HTTP 400 API key not valid.*check the service key") as caught:
            await mint.mint(SESSION)
    assert caught.value.remedy is Remedy.SETTINGS
    assert "AIza" not in str(caught.value)


async def test_a_silent_service_is_given_up_soon() -> None:
    fault = ScriptedFault(on="token", do="silent")
    async with minting(fault, mint_s=0.2) as (_, mint):
        with pytest.raises(LinkLost, match=r"minted no token within 0\.2 s"):
            await mint.mint(SESSION)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"name": "secret"}', b"<html>", b'{"name": 5}'])
async def test_an_answer_without_a_token_is_no_token(body: bytes) -> None:
    tls: ssl.SSLContext = certificate().server_context()
    async with asyncio.timeout(60), http_server(lambda _: Answer(body=body), tls) as peer:
        config = MintConfig(SecretStr("a-key"), f"https://127.0.0.1:{peer.port}", certificate().ca_file)
        mint = TokenMint(config)
        with pytest.raises(LinkLost) as caught:
            await mint.mint(SESSION)
        await mint.close()
    assert "secret" not in str(caught.value)


def test_languages_are_added_to_the_instructions() -> None:
    assert pinned("Be kind.", ()) == "Be kind."
    assert "only the language with the BCP-47 tag de-DE," in pinned("Be kind.", ("de-DE",))
    assert "only the languages with the BCP-47 tags de-DE, fr-FR," in pinned("Be kind.", ("de-DE", "fr-FR"))
