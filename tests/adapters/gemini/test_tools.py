"""Turns of our own, pictures and tools over the real SDK: what is on the wire."""

import asyncio
import base64
import itertools
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.genai import types
from pydantic import SecretStr
from tests.support.live_server import Handler, LiveServer, accept_setup, live_server, read_json, say
from tests.support.until import until
from websockets.asyncio.server import ServerConnection
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from kioskd.adapters.gemini import GeminiConfig, GeminiLive, SessionOptions
from kioskd.adapters.gemini.connection import GeminiConnection
from kioskd.adapters.gemini.deflate import SmallMessageDeflate
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import Connection, ToolAnswer

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))
DOOR = ToolAnswer("1", "open_door", {"status": "ok"}, "interrupt")
LOOK = ToolAnswer("2", "look", {"status": "ok"}, "when_idle", JPEG)


@dataclass
class Named:
    name: str
    blocking: bool = False
    description: str = "Does something."
    parameters: Mapping[str, object] = field(default_factory=dict)


def live_at(server: LiveServer, **config: Any) -> GeminiLive:
    given: dict[str, Any] = {"key": SecretStr("key"), "model": "gemini-3.8-live", "voice": "Kore"}
    return GeminiLive(GeminiConfig(**given | config, endpoint=server.endpoint, ca_file=server.ca_file))


class Wire:
    """What the service was told, in order."""

    def __init__(self) -> None:
        self.setups: list[dict[str, Any]] = []
        self.peer: ServerConnection
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def serve(self, peer: ServerConnection) -> None:
        self.peer = peer
        self.setups.append(await accept_setup(peer))
        async for message in peer:
            assert isinstance(message, str)
            self._said.put_nowait(json.loads(message))

    async def next(self) -> dict[str, Any]:
        return await self._said.get()

    @property
    def nothing_more(self) -> bool:
        return self._said.empty()


@asynccontextmanager
async def connected(**config: Any) -> AsyncIterator[tuple[Connection, Wire]]:
    wire = Wire()
    async with (
        asyncio.timeout(60),
        live_server(wire.serve) as server,
        live_at(server, **config).connect(None) as connection,
    ):
        yield connection, wire


async def setup_of(**config: Any) -> dict[str, Any]:
    async with connected(**config) as (_, wire):
        return wire.setups[0]


def shown(picture: bytes) -> dict[str, str]:
    return {"data": base64.urlsafe_b64encode(picture).decode(), "mime_type": "image/jpeg"}


async def test_where_turns_are_our_own_the_service_is_told_to_listen_for_none() -> None:
    options = SessionOptions(own_turns=True, speech_start="high", silence_ms=500)
    setup = await setup_of(options=options)
    assert setup["realtimeInputConfig"]["automatic_activity_detection"] == {"disabled": True}


async def test_a_turn_of_our_own_begins_once_and_ends_once() -> None:
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


async def test_where_the_service_hears_the_turns_no_beginning_is_said() -> None:
    async with connected() as (connection, wire):
        await connection.begin_audio()
        await connection.end_audio()
        assert await wire.next() == {"realtime_input": {"audioStreamEnd": True}}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SessionOptions(), "TURN_INCLUDES_ONLY_ACTIVITY"),
        (SessionOptions(turn_coverage="activity"), "TURN_INCLUDES_ONLY_ACTIVITY"),
        (SessionOptions(turn_coverage="all_input"), "TURN_INCLUDES_ALL_INPUT"),
        (SessionOptions(turn_coverage="activity_and_pictures"), "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"),
        (SessionOptions(turn_coverage=None), None),
    ],
)
async def test_the_turn_coverage_is_said(options: SessionOptions, said: str | None) -> None:
    assert (await setup_of(options=options)).get("realtimeInputConfig", {}).get("turn_coverage") == said


@pytest.mark.parametrize("closely", ["low", "medium", "high", None])
async def test_how_closely_to_look_is_said(closely: Any) -> None:
    setup = await setup_of(options=SessionOptions(media_resolution=closely))
    said = f"MEDIA_RESOLUTION_{closely.upper()}" if closely else None
    assert setup["generationConfig"].get("mediaResolution") == said


async def test_tools_are_asked_for_at_each_connection_and_stand_beside_the_search() -> None:
    names = itertools.count()
    wire = Wire()
    async with live_server(wire.serve) as server, asyncio.timeout(60):
        live = live_at(
            server, options=SessionOptions(search=True), tools=lambda: [Named(f"tool_{next(names)}")]
        )
        await live.warm_up()
        for _ in range(2):
            async with live.connect(None):
                pass
    declared = [setup["tools"] for setup in wire.setups]
    assert declared == [
        [
            {"googleSearch": {}},
            {
                "functionDeclarations": [
                    {"name": f"tool_{n}", "description": "Does something.", "behavior": "NON_BLOCKING"}
                ]
            },
        ]
        for n in range(2)
    ]


async def test_a_picture_is_a_frame_of_video() -> None:
    async with connected() as (connection, wire):
        await connection.send_picture(JPEG)
        assert await wire.next() == {"realtime_input": {"video": shown(JPEG)}}


async def test_pictures_are_shown_as_content_that_asks_for_no_answer() -> None:
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


async def test_a_model_that_takes_content_as_a_seed_only_is_shown_pictures_as_frames() -> None:
    async with connected(options=SessionOptions(client_content="seed_only")) as (connection, wire):
        await connection.show_pictures([JPEG, JPEG[:9]])
        assert [await wire.next() for _ in range(2)] == [
            {"realtime_input": {"video": shown(JPEG)}},
            {"realtime_input": {"video": shown(JPEG[:9])}},
        ]


async def test_answers_say_when_they_are_wanted_and_hold_their_picture() -> None:
    async with connected() as (connection, wire):
        await connection.answer([DOOR, LOOK])
        responses = (await wire.next())["tool_response"]["functionResponses"]
    assert responses == [
        {"id": "1", "name": "open_door", "response": {"status": "ok"}, "scheduling": "INTERRUPT"},
        {
            "id": "2",
            "name": "look",
            "response": {"status": "ok"},
            "scheduling": "WHEN_IDLE",
            "parts": [{"inline_data": shown(JPEG)}],
        },
    ]


@pytest.mark.parametrize("closely", ["low", "medium", "high", None])
async def test_a_picture_in_an_answer_asks_for_the_resolution_that_is_set(closely: Any) -> None:
    async with connected(options=SessionOptions(media_resolution=closely)) as (connection, wire):
        await connection.answer([LOOK])
        (response,) = (await wire.next())["tool_response"]["functionResponses"]
    (part,) = response["parts"]
    # The SDK before 3.4 has no word for it.
    asks = closely is not None and "media_resolution" in types.FunctionResponsePart.model_fields
    wanted = {"level": f"MEDIA_RESOLUTION_{closely.upper()}"} if asks and closely else None
    assert part == {"inline_data": shown(JPEG)} | ({"media_resolution": wanted} if wanted else {})


async def test_a_resolution_that_the_service_refuses_costs_the_resolution_and_not_the_picture(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said: list[dict[str, Any]] = []

    async def serve(peer: ServerConnection) -> None:
        await accept_setup(peer)
        async for message in peer:
            said.append(json.loads(message))
            if "media_resolution" in said[-1]["tool_response"]["functionResponses"][0]["parts"][0]:
                await peer.close(1007, "Request contains an invalid argument.")

    if "media_resolution" not in types.FunctionResponsePart.model_fields:
        pytest.skip("the SDK before 3.4 has no word for it")
    async with asyncio.timeout(60), live_server(serve) as server:
        live = live_at(server, options=SessionOptions(media_resolution="low"))

        async def visit() -> None:
            async with live.connect(None) as connection:
                await connection.answer([LOOK])
                await until(lambda: len(said) == 2 or "media_resolution" in str(said))
                await connection.receive()

        with pytest.raises(LinkLost) as lost:
            await visit()
        assert lost.value.remedy is Remedy.FRESH
        async with live.connect(None) as connection:
            await connection.answer([LOOK])
            await until(lambda: len(said) == 2)
    assert said[1]["tool_response"]["functionResponses"][0]["parts"] == [{"inline_data": shown(JPEG)}]
    assert "ask for no resolution from now on" in caplog.text


@pytest.mark.parametrize(
    ("functions", "blocking", "said"),
    [
        ("non_blocking", True, False),
        ("non_blocking", False, True),
        ("blocking_only", False, False),
        ("non_blocking_only", True, True),
    ],
)
async def test_an_answer_that_was_waited_for_says_no_when(functions: Any, blocking: bool, said: bool) -> None:
    tools = [Named("open_door", blocking)]
    async with connected(options=SessionOptions(functions=functions), tools=lambda: tools) as (
        connection,
        wire,
    ):
        await connection.answer([DOOR])
        (response,) = (await wire.next())["tool_response"]["functionResponses"]
    assert ("scheduling" in response) == said


OLD = SessionOptions(functions="blocking", pictures_in_answers=False)


async def test_a_model_that_takes_no_picture_in_an_answer_gets_it_as_a_turn() -> None:
    async with connected(options=OLD) as (connection, wire):
        await connection.answer([DOOR, LOOK])
        responses = (await wire.next())["tool_response"]["functionResponses"]
        assert [response["scheduling"] for response in responses] == ["SILENT", "SILENT"]
        assert all("parts" not in response for response in responses)
        content = (await wire.next())["client_content"]
        assert content["turnComplete"] is True
        picture, words = content["turns"][0]["parts"]
        assert picture["inlineData"]["data"] == shown(JPEG)["data"]
        assert words["text"]


async def test_a_picture_that_shall_not_be_spoken_of_asks_for_no_answer() -> None:
    quiet = ToolAnswer("2", "look", {"status": "ok"}, "silent", JPEG)
    async with connected(options=OLD) as (connection, wire):
        await connection.answer([quiet])
        await wire.next()
        assert (await wire.next())["client_content"]["turnComplete"] is False


async def test_without_a_picture_such_a_model_is_answered_like_any_other() -> None:
    async with connected(options=OLD) as (connection, wire):
        await connection.answer([DOOR])
        (response,) = (await wire.next())["tool_response"]["functionResponses"]
        assert response["scheduling"] == "INTERRUPT"
        await connection.send_text("That was all.")
        assert "realtime_input" in await wire.next()


@pytest.mark.parametrize(
    ("content", "kinds"),
    [("any_time", ["tool_response", "client_content"]), ("seed_only", ["realtime_input", "tool_response"])],
)
async def test_a_service_that_refuses_a_picture_in_an_answer_gets_the_next_beside_it(
    content: Any, kinds: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for _ in range(2):
            message = await read_json(peer)
            said.extend(message)
            if "parts" in str(message.get("tool_response")):
                await peer.close(1007, "Request contains an invalid argument.")
                return
        await peer.wait_closed()

    async with live_server(service) as server, asyncio.timeout(60):
        live = live_at(server, options=SessionOptions(client_content=content))
        with pytest.raises(LinkLost) as caught:  # noqa: PT012  the answer is what it is lost for
            async with live.connect(None) as connection:
                await connection.answer([LOOK])
                await connection.receive()
        assert caught.value.remedy is Remedy.FRESH
        assert caplog.text.count("beside its answers from now on") == 1
        said.clear()
        async with live.connect(None) as connection:
            await connection.answer([LOOK])
    assert said == kinds


async def test_a_session_given_up_for_another_reason_changes_nothing() -> None:
    said: list[dict[str, Any]] = []

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        said.append(await read_json(peer))
        await peer.close(1007, "Request contains an invalid argument.")

    async with live_server(service) as server, asyncio.timeout(60):
        live = live_at(server)
        for answer in (DOOR, LOOK):
            with pytest.raises(LinkLost):  # noqa: PT012
                async with live.connect(None) as connection:
                    await connection.answer([answer])
                    await connection.receive()
    assert "parts" in said[1]["tool_response"]["functionResponses"][0]


async def test_nothing_of_pictures_and_tools_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
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


async def test_a_search_is_shown_in_the_journal_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
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


async def test_what_is_not_taken_is_backlog() -> None:
    handler: Handler = _reads_nothing
    async with live_server(handler, receive_buffer=16_384) as server, asyncio.timeout(60):
        async with live_at(server).connect(None) as connection:
            assert connection.backlog == 0
            await _until_full(connection)
        assert connection.backlog == 0


async def test_what_has_left_and_has_not_arrived_is_known() -> None:
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


async def test_what_the_other_end_has_taken_has_arrived() -> None:
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
        while connection.arrived < sent:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_what_is_written_is_counted_and_in_that_order_whoever_is_cancelled() -> None:
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

    def counting(kind: str, count: Callable[[], None]) -> Callable[[], None]:
        def entry() -> None:
            counted.append(kind)
            count()

        return entry

    async with live_server(service, receive_buffer=16_384) as server, asyncio.timeout(60):
        async with live_at(server).connect(None) as connection:
            assert isinstance(connection, GeminiConnection)
            book = connection.receipts
            book.sent_audio = counting("audio", book.sent_audio)  # type: ignore[method-assign]
            book.sent_other = counting("video", book.sent_other)  # type: ignore[method-assign]
            senders: list[asyncio.Task[None]] = []
            for _ in range(60):  # some 10 MB: more than the kernel takes
                senders.append(asyncio.create_task(connection.send_picture(os.urandom(120_000))))
                senders.append(asyncio.create_task(connection.send_audio(bytes(640))))
            while connection.backlog < 300_000:  # noqa: ASYNC110  nothing tells of it
                await asyncio.sleep(0)
            stuck = [sender for sender in senders if not sender.done()]
            stuck[0].cancel()  # in the middle of its message: it is on its way
            stuck[-1].cancel()  # before its message
            await asyncio.wait([stuck[0], stuck[-1]])
            go_on.set()
            await asyncio.wait(senders)
        await server.emptied.wait()
    assert got == counted
    assert len(got) == 119


def test_small_messages_are_compressed_and_large_ones_are_not() -> None:
    sparing = SmallMessageDeflate(False, False, 15, 15)
    theirs = PerMessageDeflate(False, False, 15, 15)
    for size in (1_000, 60_000, 1_000, 16_385, 2_000):
        data = base64.b64encode(os.urandom(size))[:size]
        sent = sparing.encode(Frame(Opcode.TEXT, data))
        assert sent.rsv1 == (size <= 16_384)
        assert bytes(theirs.decode(sent).data) == data


async def test_what_is_small_is_compressed_over_the_real_client() -> None:
    agreed: list[Any] = []

    async def service(peer: ServerConnection) -> None:
        agreed.extend(peer.protocol.extensions)
        await accept_setup(peer)
        assert (await read_json(peer))["realtime_input"]["audio"]

    async with (
        live_server(service) as server,
        asyncio.timeout(60),
        live_at(server).connect(None) as connection,
    ):
        assert isinstance(connection, GeminiConnection)
        await connection.send_audio(bytes(640))
        await server.emptied.wait()
        (ours,) = connection._socket.protocol.extensions
    assert [extension.name for extension in agreed] == ["permessage-deflate"]
    assert isinstance(ours, SmallMessageDeflate)


async def test_a_picture_takes_the_loop_less_than_two_milliseconds() -> None:
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
