"""One connection over the real SDK: the messages on the wire, and the counts of them."""

import asyncio
import base64
import gc
import json
import logging
import os
import time
from collections.abc import Callable
from types import AsyncGeneratorType

import pytest
from tests.support import live_visits
from tests.support.live_server import (
    Handler,
    accept_setup,
    live_server,
    say,
)
from tests.support.live_visits import no_other_task, thaw
from tests.support.live_wire import JPEG, connected, live_at, shown
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini import GeminiLive, SessionOptions
from kioskd.adapters.gemini.connection import GeminiConnection
from kioskd.adapters.gemini.quiet_groups import LONGEST
from kioskd.media.level_gate import KNOWN
from kioskd.ports import Connection, ToolAnswer, pcm


async def test_a_turn_that_the_kiosk_declares_begins_once_and_ends_once() -> None:
    async with connected(options=SessionOptions(own_turns=True)) as (connection, wire):
        await connection.end_audio()
        for _ in range(2):
            await connection.begin_audio()
            await connection.begin_audio()
            await connection.send_audio(bytes(640))
            await connection.end_audio()
            await connection.end_audio()
        said = [await wire.next() for _ in range(6)]
        await connection.send_text("That was all.")
        assert await wire.next() == {"realtime_input": {"text": "That was all."}}
    kinds = [next(iter(message["realtime_input"])) for message in said]
    assert kinds == ["activityStart", "audio", "activityEnd"] * 2


async def test_where_the_service_detects_turns_no_activity_start_is_sent() -> None:
    async with connected() as (connection, wire):
        await connection.begin_audio()
        await connection.end_audio()
        assert await wire.next() == {"realtime_input": {"audioStreamEnd": True}}


async def test_silence_that_waits_is_sent_before_a_pause() -> None:
    count = KNOWN + LONGEST + 5
    async with connected() as (connection, wire):
        for _ in range(count):
            await connection.send_audio(bytes(pcm.FRAME_BYTES))
        await connection.end_audio()
        said = [(await wire.next())["realtime_input"]]
        while "audio" in said[-1]:
            said.append((await wire.next())["realtime_input"])
    sounds = [len(base64.urlsafe_b64decode(each["audio"]["data"])) // pcm.FRAME_BYTES for each in said[:-1]]
    assert said[-1] == {"audioStreamEnd": True}
    assert sum(sounds) == count
    assert sounds[-2:] == [1, 6]


async def test_a_picture_is_a_frame_of_video() -> None:
    async with connected() as (connection, wire):
        await connection.send_picture(JPEG)
        assert await wire.next() == {"realtime_input": {"video": shown(JPEG)}}


async def test_shown_pictures_are_written_content_that_asks_for_no_answer() -> None:
    async with connected() as (connection, wire):
        await connection.show_pictures([JPEG, JPEG[:9]])
        content = (await wire.next())["client_content"]
    assert content["turnComplete"] is False
    (turn,) = content["turns"]
    assert turn["role"] == "user"
    assert [part["inlineData"]["data"] for part in turn["parts"]] == [
        shown(JPEG)["data"],
        shown(JPEG[:9])["data"],
    ]


async def test_a_text_for_the_memory_is_written_content_that_asks_for_no_answer() -> None:
    async with connected() as (connection, wire):
        await connection.send_context("The clock of 1720.")
        content = (await wire.next())["client_content"]
    assert content == {
        "turns": [{"role": "user", "parts": [{"text": "The clock of 1720."}]}],
        "turnComplete": False,
    }


async def test_a_model_that_takes_content_only_at_the_start_gets_a_text_as_a_turn() -> None:
    async with connected(options=SessionOptions(client_content="seed_only")) as (connection, wire):
        await connection.send_context("The clock of 1720.")
        assert await wire.next() == {"realtime_input": {"text": "The clock of 1720."}}


async def test_a_model_that_takes_content_only_at_the_start_gets_pictures_as_video_frames() -> None:
    async with connected(options=SessionOptions(client_content="seed_only")) as (connection, wire):
        await connection.show_pictures([JPEG, JPEG[:9]])
        assert [await wire.next() for _ in range(2)] == [
            {"realtime_input": {"video": shown(JPEG)}},
            {"realtime_input": {"video": shown(JPEG[:9])}},
        ]


async def test_the_log_holds_no_content_of_pictures_and_tools(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kioskd")
    secret = ToolAnswer(
        "id-of-the-call", "look", {"status": "ok", "message": "the safe is open"}, picture=JPEG
    )

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(
            peer,
            toolCall={
                "functionCalls": [{"id": "id-of-the-call", "name": "look", "args": {"at": "the safe"}}]
            },
        )
        await peer.wait_closed()

    async with (
        live_server(service) as server,
        asyncio.timeout(60),
        live_at(server).connect(None) as connection,
    ):
        (called,) = await connection.receive()
        await connection.send_picture(JPEG)
        await connection.show_pictures([JPEG])
        await connection.answer([secret])
    seen = caplog.text + repr(called) + repr(secret)
    assert f"picture: bytes={len(JPEG)}" in seen
    for private in ("safe", shown(JPEG)["data"][:12], "\\xff\\xd8"):
        assert private not in seen


async def test_a_web_search_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kioskd")

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, serverContent={"groundingMetadata": {"webSearchQueries": ["opening hours", "b"]}})
        await peer.wait_closed()

    async with (
        live_server(service) as server,
        asyncio.timeout(60),
        live_at(server).connect(None) as connection,
    ):
        assert await connection.receive() == ()
    assert "web search used by the model: queries=2" in caplog.text
    assert "opening" not in caplog.text


async def _reads_nothing(peer: ServerConnection) -> None:
    await accept_setup(peer)
    peer.transport.pause_reading()
    await peer.wait_closed()


async def _until_full(connection: Connection) -> None:
    while connection.backlog < 100_000:
        await connection.send_picture(os.urandom(60_000))


async def test_bytes_that_the_peer_does_not_read_are_backlog() -> None:
    handler: Handler = _reads_nothing
    async with live_server(handler, receive_buffer=16_384) as server, asyncio.timeout(60):
        async with live_at(server).connect(None) as connection:
            assert connection.backlog == 0
            await _until_full(connection)
        assert connection.backlog == 0


async def test_bytes_written_and_bytes_arrived_are_counted_apart() -> None:
    handler: Handler = _reads_nothing
    async with (
        asyncio.timeout(60),
        live_server(handler, receive_buffer=16_384) as server,
        live_at(server).connect(None) as connection,
    ):
        before = connection.written
        await connection.send_picture(os.urandom(300_000))
        assert connection.written - before > 300_000
        assert connection.arrived - before < 300_000, "it takes no more than its buffer holds"


async def test_bytes_that_the_peers_kernel_has_acknowledged_have_arrived() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await peer.wait_closed()

    async with (
        asyncio.timeout(60),
        live_server(service) as server,
        live_at(server).connect(None) as connection,
    ):
        await connection.send_picture(os.urandom(60_000))
        sent = connection.written
        while connection.arrived < sent:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def test_messages_are_counted_in_the_order_of_writing_even_when_senders_are_cancelled() -> None:
    got: list[str] = []
    counted: list[str] = []
    go_on = asyncio.Event()

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        peer.transport.pause_reading()
        await go_on.wait()
        peer.transport.resume_reading()
        async for message in peer:
            got.extend(json.loads(message)["realtime_input"])

    def counting(kind: str, count: Callable[..., None]) -> Callable[..., None]:
        def entry(*frames: int) -> None:
            counted.append(kind)
            count(*frames)

        return entry

    async with live_server(service, receive_buffer=16_384) as server, asyncio.timeout(60):
        async with live_at(server).connect(None) as connection:
            assert isinstance(connection, GeminiConnection)
            book = connection.receipts
            book.sent_audio = counting("audio", book.sent_audio)  # type: ignore[method-assign]
            book.sent_other = counting("video", book.sent_other)  # type: ignore[method-assign]
            senders: list[asyncio.Task[None]] = []
            for _ in range(60):  # some 10 MB: more than the kernel's buffers hold
                senders.append(asyncio.create_task(connection.send_picture(os.urandom(120_000))))
                senders.append(asyncio.create_task(connection.send_audio(bytes(640))))
            while connection.backlog < 300_000:  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0)
            stuck = [sender for sender in senders if not sender.done()]
            stuck[0].cancel()  # in the middle of its message, which is sent all the same
            stuck[-1].cancel()  # before its message
            await asyncio.wait([stuck[0], stuck[-1]])
            go_on.set()
            await asyncio.wait(senders)
        await server.emptied.wait()
    assert got == counted
    assert len(got) == 119


async def test_sending_a_picture_blocks_the_loop_for_less_than_two_milliseconds() -> None:
    async with connected() as (connection, wire):
        spent = []
        for _ in range(20):
            picture = os.urandom(60_000)
            before = time.thread_time()
            sending = connection.send_picture(picture)
            await sending
            spent.append(time.thread_time() - before)
            await wire.next()
    assert min(spent) < 0.002


def open_turns() -> int:
    """Return the number of the SDK's streams that still wait for a message; each turn has one."""
    return sum(
        type(each) is AsyncGeneratorType  # isinstance would touch dead proxies
        and each.ag_frame is not None
        and each.ag_code.co_qualname == "AsyncSession.receive"
        for each in gc.get_objects()
    )


async def test_closing_during_a_turn_leaves_no_generator_behind() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, usageMetadata={"promptTokenCount": 1})
        await peer.wait_closed()

    async with live_visits.connected(service) as connection:
        await connection.receive()
        assert open_turns() == 1
    assert open_turns() == 0


async def test_a_cancelled_connection_to_a_frozen_peer_leaves_no_generator_behind() -> None:
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
        visiting = asyncio.create_task(visit(live_visits.live_at(server.endpoint, server.ca_file)))
        await inside.wait()
        assert open_turns() == 1
        visiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        # The deadlines of the close expired in a task that was being cancelled.
        assert open_turns() == 0
        assert visited[0].socket.connection_lost_waiter.done()
        assert visited[0].delivered == 0
        await thaw(server)
        await no_other_task()
