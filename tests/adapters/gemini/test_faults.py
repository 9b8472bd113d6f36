"""The adapter and the real SDK against all faults that can happen between them and the service."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.live_server import (
    SETUP_COMPLETE,
    accept_setup,
    certificate,
    live_server,
    read_json,
    say,
)
from tests.support.live_visits import connected, deaf, dial, live_at, no_other_task, talk, thaw
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import SpokenText, UsageReported

# Faults while dialing: HTTP.


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, Remedy.SETTINGS),
        (401, Remedy.SETTINGS),
        (403, Remedy.SETTINGS),
        (404, Remedy.SETTINGS),
        (429, Remedy.QUOTA),
        (500, Remedy.RESUME),
        (503, Remedy.RESUME),
    ],
)
@pytest.mark.parametrize("handle", [None, "a-handle"])
async def test_each_http_answer_to_the_upgrade_has_its_remedy(
    status: int, remedy: Remedy, handle: str | None
) -> None:
    def answer(_peer: ServerConnection, _request: Request) -> Response:
        body = json.dumps({"error": {"message": "its words"}}).encode()
        headers = Headers({"Content-Length": str(len(body)), "Retry-After": "17"})
        return Response(status, "Phrase", headers, body)

    async with live_server(deaf, upgrade=answer) as server:
        with pytest.raises(LinkLost, match=f"HTTP {status} its words") as caught:
            await dial(live_at(server.endpoint, server.ca_file), handle)
        assert caught.value.remedy is remedy
        assert caught.value.reached
        assert caught.value.retry_after_s == 17
        await no_other_task()


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    async with live_server(deaf) as elsewhere:

        def redirect(_peer: ServerConnection, _request: Request) -> Response:
            return Response(302, "Found", Headers({"Location": elsewhere.endpoint, "Content-Length": "0"}))

        async with live_server(deaf, upgrade=redirect) as server:
            with pytest.raises(LinkLost, match="redirect") as caught:
                await dial(live_at(server.endpoint, server.ca_file))
            assert caught.value.remedy is Remedy.SETTINGS
        assert elsewhere.headers == []


# Faults while dialing: the setup.


@pytest.mark.parametrize(
    ("code", "reason", "fresh", "resuming"),
    [
        (1007, "invalid argument", Remedy.SETTINGS, Remedy.FRESH),
        (1008, "session not found", Remedy.SETTINGS, Remedy.FRESH),
        (1008, "models/m is not found", Remedy.SETTINGS, Remedy.SETTINGS),
        (1011, "Internal error", Remedy.RESUME_LATER, Remedy.RESUME_LATER),
        (1000, "", Remedy.RESUME, Remedy.RESUME),
    ],
)
async def test_each_close_instead_of_the_setups_answer_has_its_remedy(
    code: int, reason: str, fresh: Remedy, resuming: Remedy
) -> None:
    async def service(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.close(code, reason)

    async with live_server(service) as server:
        live = live_at(server.endpoint, server.ca_file)
        for handle, remedy in ((None, fresh), ("a-handle", resuming)):
            with pytest.raises(LinkLost, match=f"{code} {reason}".strip()) as caught:
                await dial(live, handle)
            assert caught.value.remedy is remedy
        await no_other_task()


async def test_a_connection_cut_before_the_setups_answer_is_lost() -> None:
    async def service(peer: ServerConnection) -> None:
        await peer.recv()
        peer.transport.abort()

    async with live_server(service) as server:
        with pytest.raises(LinkLost, match="1006"):
            await dial(live_at(server.endpoint, server.ca_file), "a-handle")


async def test_settings_that_the_sdk_rejects_are_reported_without_dialing() -> None:
    async with live_server(deaf) as server:
        config = GeminiConfig(
            key=SecretStr("a-key"), model="", voice="Kore", endpoint=server.endpoint, ca_file=server.ca_file
        )
        with pytest.raises(LinkLost, match="google-genai rejected the settings") as caught:
            await dial(GeminiLive(config))
        assert caught.value.remedy is Remedy.SETTINGS
        assert server.paths == []


# Faults while dialing: below HTTP.


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """Yield the URL of a TCP port that never answers, and a queue of `began` and `ended`."""
    told: asyncio.Queue[str] = asyncio.Queue()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.put_nowait("began")
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        told.put_nowait("ended")
        writer.close()

    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", told


async def test_a_silent_port_is_lost_in_time_and_its_socket_closed() -> None:
    async with listening() as (endpoint, told), asyncio.timeout(60):
        with pytest.raises(LinkLost, match="timed out"):
            await dial(live_at(endpoint, deadlines=Deadlines(open_s=0.3)))
        assert await told.get() == "began"
        assert await told.get() == "ended"
        await no_other_task()


async def test_a_closed_port_is_a_lost_link() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LinkLost, match="not reached"):
        await dial(live_at(f"https://127.0.0.1:{port}"))


async def test_an_unknown_host_name_is_a_lost_link() -> None:
    # .invalid never resolves (RFC 2606). Without a resolver the deadline ends the dial, with the same result.
    with pytest.raises(LinkLost, match="not reached"):
        await dial(live_at("https://service.invalid", deadlines=Deadlines(open_s=2)))


async def test_an_address_that_never_answers_does_not_use_up_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    async with live_server(deaf) as server:
        with contextlib.ExitStack() as stack:
            # A listener with a full queue accepts no more connections and sends nothing.
            nowhere = stack.enter_context(socket.socket())
            nowhere.bind(("127.0.0.2", server.port))
            nowhere.listen(0)
            for _ in range(2):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    filler.connect(nowhere.getsockname())

            async def resolve(_host: str, port: int, **_hints: object) -> list[Any]:
                kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
                return [(*kind, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

            monkeypatch.setattr(loop, "getaddrinfo", resolve)
            monkeypatch.setenv("no_proxy", "*")
            began = loop.time()
            # The second address answers with a certificate for another host name.
            with pytest.raises(LinkLost, match=r"[Hh]ostname mismatch"):
                await dial(live_at(f"https://service.invalid:{server.port}", server.ca_file))
            assert loop.time() - began < 3


async def test_a_port_without_tls_is_a_lost_link() -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(LinkLost, match="not reached"):
            await dial(live_at(f"https://127.0.0.1:{port}"))


async def test_a_certificate_of_another_authority_is_taken_for_a_sign_in_page() -> None:
    async with live_server(deaf, identity=certificate(ends_in_days=2)) as server:
        with pytest.raises(LinkLost, match="sign-in page of the network") as caught:
            await dial(live_at(server.endpoint, certificate().certificate_file))
        assert caught.value.remedy is Remedy.RESUME
        await no_other_task()


@pytest.mark.parametrize(("starts_in_days", "ends_in_days"), [(1, 2), (-2, -1)])
async def test_a_certificate_that_is_not_valid_now_means_a_wrong_clock(
    starts_in_days: int, ends_in_days: int
) -> None:
    identity = certificate(starts_in_days=starts_in_days, ends_in_days=ends_in_days)
    async with live_server(deaf, identity=identity) as server:
        with pytest.raises(LinkLost, match="timedatectl") as caught:
            await dial(live_at(server.endpoint, server.ca_file))
        assert caught.value.remedy is Remedy.CLOCK


# Sessions that end.


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (1000, "", Remedy.RESUME),
        (1001, "", Remedy.RESUME),
        (1007, "invalid argument", Remedy.FRESH),
        (1008, "not implemented", Remedy.FRESH),
        (1008, "The operation was aborted.", Remedy.RESUME),
        (1011, "Internal error", Remedy.RESUME_LATER),
        (1012, "", Remedy.RESUME),
        (1013, "", Remedy.RESUME),
        (4001, "own", Remedy.RESUME),
    ],
)
async def test_each_close_of_a_session_has_its_remedy(code: int, reason: str, remedy: Remedy) -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, usageMetadata={"promptTokenCount": 1})
        await peer.close(code, reason)

    async with connected(service, handle="a-handle") as connection:
        assert await connection.receive() == (UsageReported(1, 0),)
        for _ in range(3):  # each time: a closed socket does not count as an odd message
            with pytest.raises(LinkLost, match=f"{code} {reason}".strip()) as caught:
                await connection.receive()
            assert caught.value.remedy is remedy
        with pytest.raises(LinkLost, match=f"{code} {reason}".strip()):
            await connection.send_audio(bytes(640))
        assert connection.odd.count == 0


async def test_a_session_whose_peer_is_gone_is_lost_both_ways() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        peer.transport.abort()

    async with connected(service) as connection:
        with pytest.raises(LinkLost, match="1006"):
            await connection.receive()
        for send in (connection.send_audio(bytes(640)), connection.end_audio(), connection.send_text("x")):
            with pytest.raises(LinkLost):
                await send


@pytest.mark.parametrize("refused", ["the setup", "what was told"])
async def test_a_model_that_rejects_the_history_gets_none_from_then_on(refused: str) -> None:
    asked: list[bool] = []

    async def service(peer: ServerConnection) -> None:
        recall = "historyConfig" in (await read_json(peer))["setup"]
        asked.append(recall)
        if recall and refused == "the setup":
            await peer.close(1007, "history_config is not supported")
            return
        await peer.send(SETUP_COMPLETE)
        if recall:
            await read_json(peer)
            await peer.close(1007, "Request contains an invalid argument.")
        await peer.wait_closed()

    recall = [SpokenText(by_visitor=True, text="Hello?")]
    async with live_server(service) as server, asyncio.timeout(60):
        live = live_at(server.endpoint, server.ca_file)
        with pytest.raises(LinkLost, match="1007") as caught:
            async with live.connect(None, recall) as connection:
                await connection.receive()
        assert caught.value.remedy is Remedy.FRESH
        async with live.connect(None, recall) as connection:
            assert connection.delivered == 0
    assert asked == [True, False]


# Cancelled tasks.


async def test_cancelling_a_dial_closes_its_socket() -> None:
    async with listening() as (endpoint, told), asyncio.timeout(60):
        dialing = asyncio.create_task(dial(live_at(endpoint)))
        assert await told.get() == "began"
        dialing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialing
        assert await told.get() == "ended"
        await no_other_task()


async def test_cancelling_a_setup_closes_its_socket() -> None:
    asked = asyncio.Event()

    async def mute(peer: ServerConnection) -> None:
        await peer.recv()
        asked.set()
        await peer.wait_closed()

    async with live_server(mute) as server, asyncio.timeout(60):
        dialing = asyncio.create_task(dial(live_at(server.endpoint, server.ca_file)))
        await asked.wait()
        dialing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialing
        await server.emptied.wait()
        await no_other_task()


@pytest.mark.parametrize("doing", ["receiving", "sending"])
async def test_cancelling_a_conversation_closes_its_socket(doing: str) -> None:
    busy = asyncio.Event()

    async def visit(live: GeminiLive) -> None:
        async with live.connect(None) as connection:
            busy.set()
            if doing == "sending":
                await talk(connection)
            await connection.receive()

    async with live_server(deaf, receive_buffer=4096) as server, asyncio.timeout(60):
        visiting = asyncio.create_task(visit(live_at(server.endpoint, server.ca_file)))
        await busy.wait()
        if doing == "sending":  # until the buffers are full and the send hangs
            assert await asyncio.wait([visiting], timeout=0.3) == (set(), {visiting})
        visiting.cancel()
        left_at = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        assert asyncio.get_running_loop().time() - left_at < 2
        await thaw(server)
        await no_other_task()
