"""The messages on the wire by which a tool's picture reaches the model."""

import asyncio
import json
from typing import Any

import pytest
from google.genai import types
from tests.support.live_server import (
    accept_setup,
    live_server,
    read_json,
)
from tests.support.live_wire import JPEG, Named, connected, live_at, shown
from tests.support.until import until
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini import SessionOptions
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import ToolAnswer

DOOR = ToolAnswer("1", "open_door", {"status": "ok"}, "interrupt")
LOOK = ToolAnswer("2", "look", {"status": "ok"}, "when_idle", JPEG)


async def test_answers_carry_their_scheduling_and_their_picture() -> None:
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
    # The SDK before 3.4 cannot ask for a resolution.
    asks = closely is not None and "media_resolution" in types.FunctionResponsePart.model_fields
    wanted = {"level": f"MEDIA_RESOLUTION_{closely.upper()}"} if asks and closely else None
    assert part == {"inline_data": shown(JPEG)} | ({"media_resolution": wanted} if wanted else {})


async def test_after_a_rejected_resolution_pictures_are_sent_without_one(
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
async def test_an_answer_to_a_blocking_call_has_no_scheduling(
    functions: Any, blocking: bool, said: bool
) -> None:
    tools = [Named("open_door", blocking)]
    async with connected(options=SessionOptions(functions=functions), tools=lambda: tools) as (
        connection,
        wire,
    ):
        await connection.answer([DOOR])
        (response,) = (await wire.next())["tool_response"]["functionResponses"]
    assert ("scheduling" in response) == said


OLD = SessionOptions(functions="blocking", pictures_in_answers=False)


async def test_a_model_that_accepts_no_picture_in_an_answer_gets_it_as_a_turn() -> None:
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


async def test_a_silent_picture_turn_asks_for_no_answer() -> None:
    quiet = ToolAnswer("2", "look", {"status": "ok"}, "silent", JPEG)
    async with connected(options=OLD) as (connection, wire):
        await connection.answer([quiet])
        await wire.next()
        assert (await wire.next())["client_content"]["turnComplete"] is False


async def test_without_a_picture_such_a_model_gets_an_ordinary_answer() -> None:
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
async def test_after_a_rejected_picture_in_an_answer_the_next_is_sent_beside_it(
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
        with pytest.raises(LinkLost) as caught:  # noqa: PT012 - the answer ends the connection
            async with live.connect(None) as connection:
                await connection.answer([LOOK])
                await connection.receive()
        assert caught.value.remedy is Remedy.FRESH
        assert caplog.text.count("beside their answers from now on") == 1
        said.clear()
        async with live.connect(None) as connection:
            await connection.answer([LOOK])
    assert said == kinds


async def test_a_session_that_ends_for_another_reason_does_not_change_the_delivery() -> None:
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
