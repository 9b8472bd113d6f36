"""Requests that are accepted, and refusals of all others."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from tests.simulator.raw_client import DEVELOPER, MODEL, VERTEX, dial
from websockets.exceptions import InvalidMessage, InvalidStatus

from kioskd.simulator import Reply, ScriptedFault, ServiceScript, Simulator

QUIET = (Reply(silent=True),)
ALPHA = DEVELOPER.replace("v1beta", "v1alpha")
TOKEN = "auth_tokens/abc"


@asynccontextmanager
async def running_simulator(key: str = "right", **script: Any) -> AsyncIterator[Simulator]:
    async with Simulator(ServiceScript(replies=QUIET, key=SecretStr(key), **script)) as simulator:
        yield simulator


async def refused(simulator: Simulator, path: str, headers: dict[str, str]) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught:
        async with dial(simulator, path, headers):
            pytest.fail("the connection was opened")
    return caught.value


@pytest.mark.parametrize(
    ("key", "path", "headers"),
    [
        ("right", DEVELOPER, {"x-goog-api-key": "right"}),
        ("right", "/" + DEVELOPER, {"x-goog-api-key": "right"}),
        ("right", ALPHA, {"x-goog-api-key": "right"}),
        ("right", DEVELOPER + "?key=right", {}),
        (TOKEN, ALPHA + "Constrained", {"Authorization": f"Token {TOKEN}"}),
        (TOKEN, ALPHA + f"Constrained?access_token={TOKEN}", {}),
        (TOKEN, DEVELOPER + "Constrained", {"Authorization": f"Token {TOKEN}"}),
    ],
)
async def test_a_client_of_the_developer_api_with_the_key_is_accepted(
    key: str, path: str, headers: dict[str, str]
) -> None:
    async with running_simulator(key) as simulator, dial(simulator, path, headers) as client:
        assert "setupComplete" in (await client.setup())[0]
        assert simulator.connections[0].path == path.partition("?")[0]


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer right"}, {"x-goog-api-key": "right"}])
async def test_vertex_takes_a_bearer_token_or_an_express_key(headers: dict[str, str]) -> None:
    async with running_simulator() as simulator, dial(simulator, VERTEX, headers) as client:
        await client.setup(model="projects/p/locations/l/publishers/google/models/gemini-3.8-live")
        assert simulator.sessions[0].backend == "vertex"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (DEVELOPER, {"x-goog-api-key": "wrong"}),
        (DEVELOPER, {}),
        (DEVELOPER + "?key=", {}),
        (DEVELOPER, {"Authorization": "Bearer right"}),
        (VERTEX, {"Authorization": "Bearer wrong"}),
        (VERTEX, {"Authorization": "Token right"}),
        (ALPHA + "Constrained", {"x-goog-api-key": "right"}),
    ],
)
async def test_without_the_right_key_the_answer_is_401(path: str, headers: dict[str, str]) -> None:
    async with running_simulator() as simulator:
        caught = await refused(simulator, path, headers)
    assert caught.response.status_code == 401
    assert json.loads(caught.response.body)["error"]["code"] == 401
    assert simulator.connections == []


async def test_the_version_that_accepts_tokens_can_be_set() -> None:
    shown = {"Authorization": f"Token {TOKEN}"}
    async with running_simulator(TOKEN, token_version="v1beta") as simulator:
        async with dial(simulator, DEVELOPER + "Constrained", shown) as client:
            await client.setup()
        assert (await refused(simulator, ALPHA + "Constrained", shown)).response.status_code == 404


async def test_an_ephemeral_token_is_no_api_key() -> None:
    async with running_simulator(TOKEN) as simulator:
        assert (await refused(simulator, ALPHA, {"x-goog-api-key": TOKEN})).response.status_code == 401


async def test_the_answer_to_a_bad_key_can_be_403() -> None:
    async with running_simulator(bad_key="http_403") as simulator:
        assert (await refused(simulator, DEVELOPER, {})).response.status_code == 403


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [
        ({}, 1008, "Method doesn't allow unregistered callers"),
        ({"x-goog-api-key": "wrong"}, 1007, "API key not valid"),
    ],
)
async def test_a_bad_key_can_be_noticed_only_at_setup(
    headers: dict[str, str], code: int, reason: str
) -> None:
    async with running_simulator(bad_key="close") as simulator, dial(simulator, DEVELOPER, headers) as client:
        await client.send(setup={"model": MODEL})
        closed = await client.closing()
        assert closed[0] == code
        assert closed[1].startswith(reason)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ws",
        DEVELOPER.replace("v1beta", "v1"),
        DEVELOPER.replace("v1beta", "v1") + "Constrained",
        DEVELOPER + "x",
        VERTEX + "/",
    ],
)
async def test_any_other_path_is_not_found(path: str) -> None:
    async with running_simulator() as simulator:
        assert (await refused(simulator, path, {"x-goog-api-key": "right"})).response.status_code == 404


async def test_without_a_key_in_the_script_each_simulator_has_its_own() -> None:
    script = ServiceScript(replies=QUIET)
    assert Simulator(script).key.get_secret_value() != Simulator(script).key.get_secret_value()


async def test_a_fault_refuses_the_second_request_only() -> None:
    fault = ScriptedFault(on="connect", nth=2, do="refuse", status=429, retry_after_s=7)
    async with running_simulator(faults=(fault,)) as simulator:
        async with dial(simulator):
            pass
        caught = await refused(simulator, DEVELOPER, {"x-goog-api-key": "right"})
        assert caught.response.status_code == 429
        assert caught.response.headers["Retry-After"] == "7"
        async with dial(simulator) as client:
            await client.setup()


async def test_a_fault_leaves_a_request_without_an_answer() -> None:
    async with running_simulator(faults=(ScriptedFault(on="connect", do="silent"),)) as simulator:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), dial(simulator):
                pytest.fail("the connection was opened")
        async with dial(simulator) as client:
            await client.setup()


async def test_silence_at_the_request_can_end_after_a_time() -> None:
    async with running_simulator(
        faults=(ScriptedFault(on="connect", do="silent", lasts_s=0.05),)
    ) as simulator:
        with pytest.raises((ConnectionError, InvalidMessage)):
            async with asyncio.timeout(60), dial(simulator):
                pytest.fail("the connection was opened")


async def test_a_fault_resets_the_connection_at_the_request() -> None:
    async with running_simulator(faults=(ScriptedFault(on="connect", do="abort"),)) as simulator:
        with pytest.raises((ConnectionError, InvalidMessage)):
            async with asyncio.timeout(60), dial(simulator):
                pytest.fail("the connection was opened")


@pytest.mark.parametrize(
    ("kind", "words"), [("not_yet_valid", "not yet valid"), ("other_name", "IP address mismatch")]
)
async def test_the_certificate_can_be_wrong(kind: str, words: str) -> None:
    async with running_simulator(certificate=kind) as simulator:
        with pytest.raises(ssl.SSLCertVerificationError, match=words):
            async with dial(simulator):
                pytest.fail("the connection was opened")
