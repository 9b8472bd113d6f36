"""The adapter and the real SDK against the simulator: the model's input, and its calls."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from kioskd.adapters.gemini import GeminiConfig, GeminiLive, SessionOptions, Vertex
from kioskd.errors import LinkLost, Remedy
from kioskd.live_models import PROFILES
from kioskd.ports import (
    Connection,
    Interrupted,
    Message,
    ReplyAudio,
    Scheduling,
    ToolAnswer,
    ToolCall,
    ToolCallsCancelled,
    ToolsCalled,
    TurnComplete,
)
from kioskd.simulator import FaultAction, Reply, ServiceScript, Simulator
from kioskd.simulator import ScriptedCall as Scripted

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))
FINE = {"status": "ok", "retryable": False, "message": "done"}
SPEECH = Reply(text="Ah.")
OLD = {"gemini-2.5-flash-native-audio-preview-12-2025", "gemini-live-2.5-flash-native-audio"}


@dataclass
class Named:
    name: str
    blocking: bool = False
    description: str = "Does something."
    parameters: Mapping[str, object] = field(
        default_factory=lambda: {"type": "object", "properties": {"at": {"type": ["string", "null"]}}}
    )


@asynccontextmanager
async def talking(
    *replies: Reply,
    model: str = "gemini-3.8-live",
    tools: Sequence[Named] = (),
    options: Mapping[str, Any] | None = None,
    **script: Any,
) -> AsyncIterator[tuple[Simulator, Connection]]:
    """Yield a connection like the daemon's, and the simulator at its other end; for 60 s at most."""
    profile = PROFILES[model]
    vertex = "gemini" not in profile.providers
    async with Simulator(ServiceScript(replies=replies, **{"think_s": 0.0, **script})) as simulator:
        config = GeminiConfig(
            key=simulator.key,
            model=model,
            voice="Kore",
            api_version="v1beta1" if vertex else profile.api_version,
            endpoint=simulator.endpoint,
            ca_file=simulator.ca_file,
            vertex=Vertex("p") if vertex else None,
            options=SessionOptions(
                thinking=profile.thinking_default,
                functions=profile.functions,
                client_content=profile.client_content,
                pictures_in_answers=model not in OLD,
                **options or {},
            ),
            tools=lambda: tools,
        )
        async with asyncio.timeout(60), GeminiLive(config).connect(None) as connection:
            yield simulator, connection


async def until(connection: Connection, kind: type[Message]) -> list[Message]:
    """Return all messages up to the first one of this kind."""
    found: list[Message] = []
    while not any(isinstance(message, kind) for message in found):
        found += await connection.receive()
    return found


async def calls(connection: Connection) -> Sequence[ToolCall]:
    (called,) = [each for each in await until(connection, ToolsCalled) if isinstance(each, ToolsCalled)]
    return called.calls


def answer(
    call: ToolCall, scheduling: Scheduling | None = "when_idle", picture: bytes | None = None
) -> ToolAnswer:
    return ToolAnswer(call.id, call.name, FINE, scheduling, picture)


async def test_a_key_that_is_replaced_opens_the_next_connection() -> None:
    keys = [SecretStr("an-old-key-of-nobody")]
    async with Simulator(ServiceScript(replies=(SPEECH,))) as simulator, asyncio.timeout(60):
        config = GeminiConfig(
            key=lambda: keys[-1],
            model="gemini-3.8-live",
            voice="Kore",
            endpoint=simulator.endpoint,
            ca_file=simulator.ca_file,
        )
        live = GeminiLive(config)
        with pytest.raises(LinkLost) as refused:
            async with live.connect(None):
                pass
        assert refused.value.remedy is Remedy.SETTINGS
        keys.append(simulator.key)
        async with live.connect(None) as connection:
            await connection.send_text("Hello?")
            assert await until(connection, TurnComplete)
        assert keys[-1].get_secret_value() not in repr((config, live, vars(live)))


@pytest.mark.parametrize("meanwhile", [False, True])
@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("model", PROFILES)
async def test_the_model_has_a_tools_picture_when_it_answers(
    model: str, blocking: bool, meanwhile: bool
) -> None:
    reply = Reply(text="Ah.", tool_calls=(Scripted(name="look"),), meanwhile=SPEECH if meanwhile else None)
    async with talking(reply, SPEECH, model=model, tools=[Named("look", blocking)]) as (
        simulator,
        connection,
    ):
        await connection.send_text("What is this?")
        (call,) = await calls(connection)
        await connection.answer([answer(call, picture=JPEG)])
        await simulator.wait_for("picture")
        (session,) = simulator.sessions
        (picture,) = session.pictures
        while not (picture.turn is not None and session.turns[picture.turn].reply == "spoken"):
            await connection.receive()
    seen_in = session.turns[picture.turn]
    assert seen_in.reply_s > 0
    assert picture.data == JPEG
    assert session.complaints == []
    # The visitor did not have to speak again for it.
    assert {turn.kind for turn in session.turns} <= {"text", "answer", "content"}
    assert len(session.texts) == (2 if model in OLD else 1)


async def test_a_picture_sent_during_a_turn_is_seen_in_the_next_turn() -> None:
    reply = Reply(text="Ah.", tool_calls=(Scripted(name="look"),))
    pictures = {"turn_coverage": "activity_and_pictures", "media_resolution": "low"}
    async with talking(reply, SPEECH, tools=[Named("look")], options=pictures) as (simulator, connection):
        await connection.send_text("What is this?")
        (call,) = await calls(connection)
        await connection.send_picture(JPEG)
        await connection.answer([answer(call)])
        await until(connection, TurnComplete)
        (picture,) = simulator.sessions[0].pictures
        assert picture.turn is None
        await connection.send_text("And now?")
        await until(connection, TurnComplete)
        assert picture.turn == 1
        assert simulator.sessions[0].tokens["IMAGE"] == 64


@pytest.mark.parametrize("model", PROFILES)
async def test_pictures_shown_at_the_start_are_seen_in_the_first_turn(model: str) -> None:
    pictures = {"turn_coverage": "activity_and_pictures"}
    async with talking(SPEECH, model=model, options=pictures) as (simulator, connection):
        await connection.show_pictures([JPEG, JPEG[:9]])
        await connection.send_text("What do you see?")
        await until(connection, TurnComplete)
        (session,) = simulator.sessions
        assert [turn.pictures for turn in session.turns] == [2]
        assert [picture.data for picture in session.pictures] == [JPEG, JPEG[:9]]


@pytest.mark.parametrize("blocking", [False, True])
async def test_calls_are_answered_one_by_one_and_a_barge_in_cancels_one(blocking: bool) -> None:
    first = (Scripted(name="a"), Scripted(name="b"))
    reply = Reply(text="Ah.", tool_calls=first)
    tools = [Named("a", blocking), Named("b", blocking)]
    async with talking(reply, SPEECH, tools=tools) as (simulator, connection):
        await connection.send_text("Do it.")
        one, two = await calls(connection)
        await connection.answer([answer(two)])
        await simulator.wait_for("tool_response")
        await connection.send_text("No, wait.")
        cut = await until(connection, ToolCallsCancelled)
        assert Interrupted() in cut
        assert cut[-1] == ToolCallsCancelled((one.id,))
        await until(connection, ReplyAudio)
        (session,) = simulator.sessions
        assert [call.state for call in session.calls] == ["cancelled", "answered"]
        assert [call.blocking for call in session.calls] == [blocking] * 2
        assert session.complaints == []


@pytest.mark.parametrize("scheduling", ["when_idle", "interrupt", "silent"])
async def test_the_model_uses_an_answer_when_its_scheduling_says_so(scheduling: Scheduling) -> None:
    story = Reply(text="A story begins here.")
    reply = Reply(text="Ah.", tool_calls=(Scripted(name="look"),), meanwhile=story)
    async with talking(reply, tools=[Named("look")], pace=1) as (simulator, connection):
        await connection.send_text("What is this?")
        (call,) = await calls(connection)
        await until(connection, ReplyAudio)
        await connection.answer([answer(call, scheduling)])
        told = await until(connection, TurnComplete)
        assert (Interrupted() in told) == (scheduling == "interrupt")
        if scheduling != "silent":
            await until(connection, ReplyAudio)
        kinds = [turn.kind for turn in simulator.sessions[0].turns]
    assert kinds == (["text"] if scheduling == "silent" else ["text", "answer"])


async def test_turns_that_the_kiosk_declares_are_the_services_turns() -> None:
    async with talking(SPEECH, options={"own_turns": True}) as (simulator, connection):
        await connection.send_audio(bytes(640))
        for _ in range(2):
            await connection.begin_audio()
            await connection.send_audio(bytes(640))
            await connection.send_audio(bytes(640))
            await connection.end_audio()
            await until(connection, TurnComplete)
            await connection.send_audio(bytes(640))
        assert [(turn.kind, turn.audio_bytes) for turn in simulator.sessions[0].turns] == [
            ("speech", 1280)
        ] * 2


async def test_a_narrow_connection_shows_backlog_and_loses_nothing() -> None:
    async with talking(SPEECH) as (simulator, connection):
        simulator.inject(FaultAction(do="read_slowly", bytes_per_s=20_000, lasts_s=0.5))
        await simulator.wait_for("fault")
        sent = 0
        while connection.backlog < 100_000:
            await connection.send_picture(JPEG * 200)
            await connection.send_audio(bytes([sent % 256]) * 640)
            sent += 1
        await connection.send_text("That was all.")
        await until(connection, TurnComplete)
        assert connection.backlog == 0
        (session,) = simulator.sessions
        assert bytes(session.audio) == b"".join(bytes([number % 256]) * 640 for number in range(sent))
        assert len(session.pictures) == sent
    assert connection.delivered == sent


async def test_a_call_whose_connection_is_lost_needs_no_answer() -> None:
    reply = Reply(text="Ah.", tool_calls=(Scripted(name="look"),))
    async with talking(reply, SPEECH, tools=[Named("look")]) as (simulator, connection):
        await connection.send_text("What is this?")
        await calls(connection)
        simulator.inject(FaultAction(do="abort"))
        await simulator.wait_for("closed")
        (session,) = simulator.sessions
    assert [call.state for call in session.calls] == ["lost"]
    assert session.complaints == []
