"""Tokens, which the owner's server mints for one connection each, and their faults."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr
from tests.simulator.raw_client import DEVELOPER, dial
from websockets.exceptions import InvalidStatus

from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.adapters.gemini.credentials import TOKEN_PREFIX, TokenCredentials
from kioskd.adapters.gemini.web import HttpClient
from kioskd.errors import LinkLost, Remedy
from kioskd.simulator import Reply, ScriptedFault, ServiceScript, Simulator

CONSTRAINED = DEVELOPER.replace("v1beta", "v1alpha") + "Constrained"
MODEL = "gemini-3.8-live"


@asynccontextmanager
async def running_simulator(*faults: ScriptedFault, **script: Any) -> AsyncIterator[Simulator]:
    made = ServiceScript(replies=(Reply(silent=True),), tokens=True, faults=faults, **script)
    async with asyncio.timeout(60), Simulator(made) as simulator:
        yield simulator


async def fetched(simulator: Simulator) -> str:
    """Return a token that the daemon's own client of token servers received."""
    assert simulator.token_url is not None
    web = HttpClient(ssl.create_default_context(cafile=simulator.ca_file))
    token: SecretStr = (await TokenCredentials(simulator.token_url, MODEL, web).fetch()).secret
    return token.get_secret_value()


async def asked(simulator: Simulator, request: bytes) -> bytes:
    """Send `request` unchanged; return the whole answer."""
    assert simulator.token_url is not None
    host, port = simulator.token_url.removeprefix("https://").removesuffix("/token").split(":")
    context = ssl.create_default_context(cafile=simulator.ca_file)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def post(body: bytes, path: str = "/token", method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def showing(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


async def refused(simulator: Simulator, token: str) -> int:
    """Return the HTTP status with which the service rejects `token`."""
    with pytest.raises(InvalidStatus) as caught:
        async with dial(simulator, CONSTRAINED, showing(token)):
            pytest.fail("the connection was opened")
    return caught.value.response.status_code


def live_at(simulator: Simulator) -> GeminiLive:
    return GeminiLive(
        GeminiConfig(
            key=None,
            model=MODEL,
            voice="Kore",
            api_version="v1alpha",
            endpoint=simulator.endpoint,
            ca_file=simulator.ca_file,
            token_url=simulator.token_url,
        )
    )


async def test_a_minted_token_opens_one_connection() -> None:
    async with running_simulator() as simulator:
        token = await fetched(simulator)
        assert token.startswith(TOKEN_PREFIX)
        async with dial(simulator, CONSTRAINED, showing(token)) as client:
            await client.setup()
        assert await refused(simulator, token) == 401
        assert await fetched(simulator) != token


async def test_a_token_that_was_not_minted_opens_nothing() -> None:
    async with running_simulator() as simulator:
        await fetched(simulator)
        assert await refused(simulator, "auth_tokens/made-up") == 401


async def test_an_expired_token_opens_nothing_and_the_next_one_does() -> None:
    async with running_simulator(ScriptedFault(on="connect", do="expire")) as simulator:
        old = [await fetched(simulator), await fetched(simulator)]
        assert [await refused(simulator, token) for token in old] == [401, 401]
        async with dial(simulator, CONSTRAINED, showing(await fetched(simulator))) as client:
            await client.setup()


async def test_the_daemons_client_gets_a_token_for_each_connection() -> None:
    async with running_simulator() as simulator:
        live = live_at(simulator)
        for _ in range(2):
            async with live.connect(None):
                pass
        await simulator.wait_for("token_minted", 2)
        assert [record.path for record in simulator.connections] == [CONSTRAINED, CONSTRAINED]


@pytest.mark.parametrize("bad_key", ["http_401", "http_403", "close"])
async def test_the_daemons_client_renews_a_refused_token(bad_key: str) -> None:
    async with running_simulator(ScriptedFault(on="connect", do="expire"), bad_key=bad_key) as simulator:
        live = live_at(simulator)
        with pytest.raises(LinkLost) as lost:
            async with live.connect(None):
                pytest.fail("the connection was opened")
        assert lost.value.remedy is Remedy.CREDENTIALS
        assert "auth_tokens/" not in str(lost.value)
        async with live.connect(None):
            pass


@pytest.mark.parametrize(
    ("status", "after_s", "remedy"),
    [
        (401, None, Remedy.CREDENTIALS),
        (410, None, Remedy.SETTINGS),
        (429, 40, Remedy.QUOTA),
        (503, None, Remedy.RESUME),
    ],
)
async def test_the_token_server_can_refuse(status: int, after_s: int | None, remedy: Remedy) -> None:
    fault = ScriptedFault(on="token", nth=2, do="refuse", status=status, retry_after_s=after_s)
    async with running_simulator(fault) as simulator:
        await fetched(simulator)
        with pytest.raises(LinkLost, match=f"token server answered HTTP {status}") as lost:
            await fetched(simulator)
        assert (lost.value.remedy, lost.value.retry_after_s) == (remedy, after_s)
        assert (await simulator.wait_for("token_refused"))["status"] == status
        await fetched(simulator)


@pytest.mark.parametrize(
    "fault", [ScriptedFault(on="token", do="abort"), ScriptedFault(on="token", do="silent", lasts_s=0.05)]
)
async def test_the_token_server_can_reset_the_connection(fault: ScriptedFault) -> None:
    async with running_simulator(fault) as simulator:
        with pytest.raises(LinkLost, match="token server not reached") as lost:
            await fetched(simulator)
        assert lost.value.remedy is Remedy.RESUME
        await fetched(simulator)


async def test_leaving_does_not_wait_for_a_silent_token_server() -> None:
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        async with running_simulator(ScriptedFault(on="token", do="silent")) as simulator:
            waiting = tasks.create_task(fetched_in_vain(simulator))
            await simulator.wait_for("fault")
            left = time.monotonic()
        assert time.monotonic() - left < 2
        await waiting


async def fetched_in_vain(simulator: Simulator) -> None:
    with pytest.raises(LinkLost, match="token server not reached"):
        await fetched(simulator)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b'{"model": "m"}'), 200),
        (post(b'{"model": "m"}', path="/tokens"), 404),
        (post(b"", method="GET"), 405),
        (post(b'{"model": 5}'), 400),
        (post(b'{"model": ""}'), 400),
        (post(b"[]"), 400),
        (post(b"\xff"), 400),
    ],
)
async def test_a_request_must_ask_for_a_token_for_a_model(request_: bytes, status: int) -> None:
    async with running_simulator() as simulator:
        head, _, body = (await asked(simulator, request_)).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert set(json.loads(body)) == ({"token"} if status == 200 else {"error"})


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /token HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST /token HTTP/1.1\r\ncontent-length: 65537\r\n\r\n",
        b"x" * 70_000,
    ],
)
async def test_a_malformed_request_is_not_answered(request_: bytes) -> None:
    async with running_simulator() as simulator:
        with contextlib.suppress(ConnectionError):  # a reset is no answer either
            assert await asked(simulator, request_) == b""
        await fetched(simulator)


async def test_without_tokens_in_the_script_there_is_no_token_server() -> None:
    async with Simulator(ServiceScript(replies=(Reply(silent=True),))) as simulator:
        assert simulator.token_url is None


async def test_no_token_is_reported_or_logged() -> None:
    told: list[str] = []
    script = ServiceScript(replies=(Reply(silent=True),), tokens=True)
    async with Simulator(script, observe=lambda kind, data: told.append(f"{kind} {data}")) as simulator:
        token = await fetched(simulator)
        async with dial(simulator, CONSTRAINED, showing(token)) as client:
            await client.setup()
        everything = "\n".join(told) + repr(simulator.connections) + repr(simulator.sessions)
    assert "token_minted" in everything
    assert token not in everything
