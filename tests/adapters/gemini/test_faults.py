"""The adapter and the real SDK against everything that goes wrong between them and the service."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import AsyncGeneratorType
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.live_server import (
    SETUP_COMPLETE,
    Handler,
    LiveServer,
    accept_setup,
    certificate,
    live_server,
    read_json,
    say,
)
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.adapters.gemini.connection import GeminiConnection
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import Connection, SpokenText, TurnComplete, UsageReported


def live_at(endpoint: str, ca_file: Path | None = None, deadlines: Deadlines | None = None) -> GeminiLive:
    config = GeminiConfig(
        key=SecretStr("a-key"),
        model="m",
        voice="Kore",
        endpoint=endpoint,
        ca_file=ca_file or certificate().certificate_file,
    )
    return GeminiLive(config, deadlines=deadlines)


async def dial(live: GeminiLive, handle: str | None = None) -> None:
    """Dial and hang up."""
    async with asyncio.timeout(60), live.connect(SecretStr(handle) if handle else None):
        pass


@contextlib.asynccontextmanager
async def connected(
    service: Handler, deadlines: Deadlines | None = None, handle: str | None = None, **options: Any
) -> AsyncIterator[GeminiConnection]:
    """A connection to `service`, for 20 s at most; nothing of it is left on either side afterwards."""
    async with asyncio.timeout(60), live_server(service, **options) as server:
        live = live_at(server.endpoint, server.ca_file, deadlines)
        async with live.connect(SecretStr(handle) if handle else None) as connection:
            assert isinstance(connection, GeminiConnection)
            yield connection
        await thaw(server)
        await no_other_task()


async def thaw(server: LiveServer) -> None:
    """Have the frozen peers read on, and wait until all have seen the end of their connection."""
    for peer in server.open:
        peer.transport.resume_reading()
    async with asyncio.timeout(60):
        await server.emptied.wait()


async def no_other_task() -> None:
    """Wait until this task is the only one."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, still_there = await asyncio.wait(others, timeout=5)
        assert not still_there


async def talk(connection: Connection) -> None:
    """Send more than any buffer takes, in noise that does not compress."""
    noise = os.urandom(256 * 1024)
    for _ in range(1000):
        await connection.send_audio(noise)


async def deaf(peer: ServerConnection) -> None:
    """Accept, then freeze: nothing is read any more, and nothing answered."""
    await accept_setup(peer)
    peer.transport.pause_reading()
    await peer.wait_closed()


# Dialing: HTTP.


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
async def test_an_upgrade_answered_by_http_means(status: int, remedy: Remedy, handle: str | None) -> None:
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


# Dialing: the setup.


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
async def test_a_close_instead_of_the_setups_answer_means(
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


async def test_a_service_that_never_answers_the_setup_is_lost_in_time() -> None:
    async def mute(peer: ServerConnection) -> None:
        await peer.wait_closed()

    async with live_server(mute) as server, asyncio.timeout(60):
        with pytest.raises(LinkLost, match=r"no answer to the setup within 0\.3 s"):
            await dial(live_at(server.endpoint, server.ca_file, Deadlines(setup_s=0.3)))
        await server.emptied.wait()
        await no_other_task()


@pytest.mark.parametrize(
    "first",
    [
        "{}",
        '{"goAway": {"timeLeft": "5s"}}',
        '{"error": {"code": 400}}',
        '{"code": 503}',
        '{"setupComplete": null}',
        '{"setupComplete": 5}',
        "[]",
        "junk",
        "",
        b"\xff\xfe\xff",
        "[" * 50_000,
    ],
    ids=lambda first: repr(first)[:30],
)
async def test_anything_else_than_the_setups_answer_is_a_lost_link(first: str | bytes) -> None:
    async def service(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(first)
        await peer.wait_closed()

    async with live_server(service) as server:
        with pytest.raises(LinkLost, match="answered the setup with something else") as caught:
            await dial(live_at(server.endpoint, server.ca_file), "a-handle")
        assert caught.value.remedy is Remedy.RESUME_LATER
        await server.emptied.wait()


async def test_settings_that_the_sdk_turns_down_are_refused_without_dialing() -> None:
    async with live_server(deaf) as server:
        config = GeminiConfig(
            key=SecretStr("a-key"), model="", voice="Kore", endpoint=server.endpoint, ca_file=server.ca_file
        )
        with pytest.raises(LinkLost, match="before dialing") as caught:
            await dial(GeminiLive(config))
        assert caught.value.remedy is Remedy.SETTINGS
        assert server.paths == []


# Dialing: below HTTP.


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A TCP port that takes what is sent and never answers; tells that a connection began, and that it ended."""
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


async def test_a_name_that_nobody_knows_is_a_lost_link() -> None:
    # .invalid never resolves (RFC 2606); without a resolver the deadline ends it, which means the same.
    with pytest.raises(LinkLost, match="not reached"):
        await dial(live_at("https://service.invalid", deadlines=Deadlines(open_s=2)))


async def test_an_address_that_leads_nowhere_does_not_use_up_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    async with live_server(deaf) as server:
        with contextlib.ExitStack() as stack:
            # A listener whose queue is full takes no more, and says nothing.
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
            # The second address answers with a certificate for itself, which is not what was asked for.
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


async def test_a_certificate_of_another_authority_may_be_a_portal_that_goes_away() -> None:
    async with live_server(deaf, identity=certificate(ends_in_days=2)) as server:
        with pytest.raises(LinkLost, match="another network in between") as caught:
            await dial(live_at(server.endpoint, certificate().certificate_file))
        assert caught.value.remedy is Remedy.RESUME
        await no_other_task()


@pytest.mark.parametrize(("starts_in_days", "ends_in_days"), [(1, 2), (-2, -1)])
async def test_a_certificate_out_of_its_time_is_a_question_of_the_clock(
    starts_in_days: int, ends_in_days: int
) -> None:
    identity = certificate(starts_in_days=starts_in_days, ends_in_days=ends_in_days)
    async with live_server(deaf, identity=identity) as server:
        with pytest.raises(LinkLost, match="timedatectl") as caught:
            await dial(live_at(server.endpoint, server.ca_file))
        assert caught.value.remedy is Remedy.CLOCK


# A session that ends.


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
async def test_a_session_closed_by_the_service_means(code: int, reason: str, remedy: Remedy) -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, usageMetadata={"promptTokenCount": 1})
        await peer.close(code, reason)

    async with connected(service, handle="a-handle") as connection:
        assert await connection.receive() == (UsageReported(1, 0),)
        for _ in range(3):  # again and again: a closed socket is no message to be skipped
            with pytest.raises(LinkLost, match=f"{code} {reason}".strip()) as caught:
                await connection.receive()
            assert caught.value.remedy is remedy
        with pytest.raises(LinkLost, match=f"{code} {reason}".strip()):
            await connection.send_audio(bytes(640))
        assert connection.odd_messages == 0


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


async def test_a_message_beyond_the_limit_ends_the_connection_and_says_why() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await peer.send(b" " * (8 * 2**20 + 1))
        await peer.wait_closed()

    async with connected(service) as connection:
        with pytest.raises(LinkLost, match="ended by this side, 1009"):
            await connection.receive()


async def test_leaving_in_mid_turn_leaves_no_generator_behind() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, usageMetadata={"promptTokenCount": 1})
        await peer.wait_closed()

    async with connected(service) as connection:
        await connection.receive()
        turn = connection._turn
        assert isinstance(turn, AsyncGeneratorType)
        assert turn.ag_frame is not None
    assert turn.ag_frame is None


@pytest.mark.parametrize("refused", ["the setup", "what was told"])
async def test_a_model_that_takes_no_recall_is_not_told_again(refused: str) -> None:
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


# A session that goes on.

JUNK: list[str | bytes] = [
    "junk",
    "[]",
    "5",
    '"text"',
    "[1]",
    '{"error": {"code": 400}}',
    '{"code": 503, "message": "m"}',
    '{"code": 1006}',
    '{"code": "x"}',
    '{"code": 1e400}',
    '{"news": 1}',
    '{"interactionStatus": "IDLE"}',
    '{"serverContent": 5}',
    '{"serverContent": {"modelTurn": {"parts": 5}}}',
    '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "@"}}]}}}',
    '{"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/ogg", "data": "AAAA"}}]}}}',
    '{"voiceActivity": 5}',
    '{"goAway": {"timeLeft": 5}}',
    b"\xff\xfe\xff",
    "[" * 50_000,
]


async def test_messages_that_nobody_understands_are_skipped(caplog: pytest.LogCaptureFixture) -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for number, junk in enumerate(JUNK * 3):
            await peer.send(junk)
            await say(peer, usageMetadata={"promptTokenCount": number})
        await peer.wait_closed()

    async with connected(service) as connection:
        found: list[object] = []
        while len(found) < 3 * len(JUNK):
            found += await connection.receive()
        assert found == [UsageReported(number, 0) for number in range(3 * len(JUNK))]
        assert connection.odd_messages == 3 * (len(JUNK) - 1)  # an empty list is an empty message
    lines = [record.getMessage() for record in caplog.records if "not understood" in record.getMessage()]
    assert len(lines) == len(set(lines))  # once a kind
    assert 5 <= len(lines) <= 12


async def test_errors_of_all_numbers_are_one_kind(caplog: pytest.LogCaptureFixture) -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for number in range(400, 430):
            await peer.send(f'{{"code": {number}, "message": "m"}}')
        await peer.wait_closed()

    async with connected(service) as connection:
        for _ in range(30):
            assert await connection.receive() == ()
    lines = [record.getMessage() for record in caplog.records if "not understood" in record.getMessage()]
    assert lines == ["message of the Live service not understood, skipped: kind=code"]


async def test_a_value_newer_than_the_sdk_is_no_warning_of_the_sdk_s() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, serverContent={"turnComplete": True, "turnCompleteReason": "NEW_REASON"})
        await peer.wait_closed()

    async with connected(service) as connection:
        assert await connection.receive() == (TurnComplete(),)  # a warning would be raised here
        assert connection.odd_messages == 0


async def test_nothing_but_junk_is_a_lost_link() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for _ in range(60):
            await peer.send("junk")
        await peer.wait_closed()

    async with connected(service) as connection:
        for _ in range(49):
            assert await connection.receive() == ()
        with pytest.raises(LinkLost, match="out of date"):
            await connection.receive()
        assert connection.odd_messages == 50


# A peer that freezes.


async def test_a_send_that_nobody_takes_is_lost_in_time() -> None:
    loop = asyncio.get_running_loop()
    async with connected(deaf, Deadlines(send_s=0.3), receive_buffer=4096) as connection:
        with pytest.raises(LinkLost, match=r"took nothing for 0\.3 s"):
            await talk(connection)
        with pytest.raises(LinkLost):
            await connection.receive()
        left_at = loop.time()
    assert loop.time() - left_at < 2


async def test_a_full_buffer_does_not_hold_up_the_hanging_up() -> None:
    loop = asyncio.get_running_loop()
    left_at = 0.0
    patient = Deadlines(send_s=60)
    async with connected(deaf, patient, receive_buffer=4096) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await talk(connection)
        left_at = loop.time()
    assert loop.time() - left_at < 2


async def test_the_kernel_finds_a_dead_link_while_audio_flows() -> None:
    async with connected(deaf, Deadlines(send_s=60, unacknowledged_s=0.5), receive_buffer=4096) as connection:
        talking = asyncio.create_task(talk(connection))
        with pytest.raises(LinkLost, match="1006"):
            await connection.receive()
        with pytest.raises(LinkLost, match="1006"):
            await talking


# Cancelling.


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
async def test_cancelling_a_visit_closes_its_socket(doing: str) -> None:
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
        if (
            doing == "sending"
        ):  # until the buffers are full: then it hangs, and nothing but the clock shows it
            assert await asyncio.wait([visiting], timeout=0.3) == (set(), {visiting})
        visiting.cancel()
        left_at = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        assert asyncio.get_running_loop().time() - left_at < 2
        await thaw(server)
        await no_other_task()


async def test_a_cancelled_visit_to_a_frozen_peer_leaves_nothing_of_its_turn_behind() -> None:
    inside = asyncio.Event()
    visited: list[GeminiConnection] = []

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, usageMetadata={"promptTokenCount": 1})
        peer.transport.pause_reading()
        await peer.wait_closed()

    async def visit(live: GeminiLive) -> None:
        async with live.connect(None) as connection:
            assert isinstance(connection, GeminiConnection)
            visited.append(connection)
            await connection.receive()
            await connection.send_audio(bytes(640))
            inside.set()
            await asyncio.Event().wait()

    async with live_server(service) as server, asyncio.timeout(60):
        visiting = asyncio.create_task(visit(live_at(server.endpoint, server.ca_file)))
        await inside.wait()
        turn = visited[0]._turn
        assert isinstance(turn, AsyncGeneratorType)
        visiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        # The deadlines of the hanging up ran out in a task that was being cancelled.
        assert turn.ag_frame is None
        assert visited[0]._socket.connection_lost_waiter.done()
        assert visited[0].delivered == 0
        await thaw(server)
        await no_other_task()


async def test_cancelling_a_hang_up_still_closes_the_socket() -> None:
    leaving = asyncio.Event()

    async def visit(live: GeminiLive) -> None:
        async with live.connect(None) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await talk(connection)
            leaving.set()

    async with live_server(deaf, receive_buffer=4096) as server, asyncio.timeout(60):
        live = live_at(server.endpoint, server.ca_file, Deadlines(hang_up_s=30))
        visiting = asyncio.create_task(visit(live))
        await leaving.wait()
        visiting.cancel()
        left_at = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        assert asyncio.get_running_loop().time() - left_at < 1
        await thaw(server)
        await no_other_task()


async def test_a_peer_that_freezes_in_the_closing_is_left() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await read_json(peer)
        peer.transport.pause_reading()
        await peer.close(1011, "and never lets go")

    loop = asyncio.get_running_loop()
    left_at = 0.0
    async with connected(service) as connection:
        await connection.end_audio()
        left_at = loop.time()
    assert loop.time() - left_at < 2
