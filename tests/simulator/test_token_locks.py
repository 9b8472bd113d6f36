"""The service's own tokens: what it mints, and what a token locks."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from tests.simulator.raw_client import DEVELOPER, MODEL, dial
from websockets.exceptions import InvalidStatus

from kioskd.simulator import Reply, ServiceScript, Simulator

CONSTRAINED = f"{DEVELOPER}Constrained"
SETUP = {"model": MODEL, "systemInstruction": {"parts": [{"text": "Be kind."}], "role": "user"}}
MASK = "model,systemInstruction.parts,systemInstruction.role"


@asynccontextmanager
async def simulated(**script: Any) -> AsyncIterator[Simulator]:
    made = ServiceScript(replies=(Reply(silent=True),), tokens=True, **script)
    async with asyncio.timeout(60), Simulator(made) as simulator:
        yield simulator


async def asked(
    simulator: Simulator, body: Any, *, key: str | None = None, version: str = "v1beta"
) -> httpx2.Response:
    """Ask the service itself for a token, as its REST interface is documented."""
    context = ssl.create_default_context(cafile=simulator.ca_file)
    given = simulator.key.get_secret_value() if key is None else key
    async with httpx2.AsyncClient(verify=context, trust_env=False) as client:
        return await client.post(
            f"{simulator.minting_endpoint}/{version}/auth_tokens",
            content=body if isinstance(body, bytes) else json.dumps(body),
            headers={"x-goog-api-key": given} if given else {},
        )


async def minted(simulator: Simulator, **body: Any) -> dict[str, str]:
    """Return the header that shows a new token."""
    response = await asked(simulator, body)
    assert response.status_code == 200, response.text
    return {"Authorization": f"Token {response.json()['name']}"}


async def opens(simulator: Simulator, shown: dict[str, str]) -> bool:
    try:
        async with dial(simulator, CONSTRAINED, shown) as client:
            await client.setup()
    except InvalidStatus as error:
        return error.response.status_code != 401
    return True


async def test_the_holder_of_the_key_gets_a_token_for_one_session() -> None:
    async with simulated() as simulator:
        shown = await minted(simulator)
        assert [await opens(simulator, shown), await opens(simulator, shown)] == [True, False]


@pytest.mark.parametrize(("uses", "expected"), [(2, [True, True, False]), (0, [True, True, True])])
async def test_a_token_opens_as_many_sessions_as_it_was_minted_for(uses: int, expected: list[bool]) -> None:
    async with simulated() as simulator:
        shown = await minted(simulator, uses=uses)
        assert [await opens(simulator, shown) for _ in range(3)] == expected


@pytest.mark.parametrize(("key", "status"), [("", 403), ("wrong", 400)])
async def test_without_the_key_there_is_no_token(key: str, status: int) -> None:
    async with simulated() as simulator:
        response = await asked(simulator, {}, key=key)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"code", "message", "status"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        {"uses": -1},
        {"life": 5},
        {"expireTime": "2020-01-01T00:00:00Z"},
        {"expireTime": "2120-01-01T00:00:00Z"},
        {"newSessionExpireTime": "2020-01-01T00:00:00Z"},
        {"fieldMask": "model"},
        {"bidiGenerateContentSetup": SETUP, "fieldMask": "model,colour"},
        {"bidiGenerateContentSetup": SETUP, "fieldMask": "model.name"},
        {"bidiGenerateContentSetup": {"colour": "red"}},
    ],
    ids=str,
)
async def test_a_request_that_the_service_does_not_define_is_refused(body: Any) -> None:
    async with simulated() as simulator:
        assert (await asked(simulator, body)).status_code == 400


async def test_locked_fields_replace_the_clients_and_others_stay() -> None:
    async with simulated() as simulator:
        shown = await minted(simulator, bidiGenerateContentSetup=SETUP, fieldMask=MASK)
        async with dial(simulator, CONSTRAINED, shown) as client:
            await client.setup(
                model="models/gemini-3.1-flash-live-preview",
                systemInstruction={"parts": [{"text": "Be rude."}]},
                outputAudioTranscription={},
            )
        (setup,) = simulator.sessions[0].setups
    assert setup.model == MODEL
    assert setup.system_instruction is not None
    assert setup.system_instruction.words == "Be kind."
    assert setup.output_audio_transcription is not None
    assert setup.session_resumption is not None


async def test_without_a_mask_the_clients_whole_setup_counts_for_nothing() -> None:
    async with simulated() as simulator:
        shown = await minted(simulator, bidiGenerateContentSetup=SETUP)
        async with dial(simulator, CONSTRAINED, shown) as client:
            await client.send(setup={"model": MODEL, "sessionResumption": {}})
            await client.until("setupComplete")
        (setup,) = simulator.sessions[0].setups
    # So a conversation could not be moved to another connection.
    assert setup.session_resumption is None


@pytest.mark.parametrize(
    ("setup", "refused"),
    [
        ({"model": "models/gemini-3.1-flash-live-preview"}, "setup.model"),
        ({"model": MODEL, "systemInstruction": {"parts": [{"text": "Be rude."}]}}, "systemInstruction.parts"),
    ],
)
async def test_by_the_script_another_value_for_a_locked_field_is_refused(
    setup: dict[str, Any], refused: str
) -> None:
    async with simulated(locked="refuse") as simulator:
        shown = await minted(simulator, bidiGenerateContentSetup=SETUP, fieldMask=MASK)
        async with dial(simulator, CONSTRAINED, shown) as client:
            await client.send(setup=setup)
            code, reason = await client.closing()
        again = await minted(simulator, bidiGenerateContentSetup=SETUP, fieldMask=MASK)
        async with dial(simulator, CONSTRAINED, again) as client:
            await client.setup(systemInstruction=SETUP["systemInstruction"])
    assert (code, refused in reason) == (1007, True)
