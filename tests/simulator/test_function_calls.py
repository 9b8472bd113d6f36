"""Function calls of the model, and pictures in their answers."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.simulator.raw_client import RawClient, audio_of, dial

from kioskd.simulator import FaultAction, Reply, ScriptedCall, ScriptedFault, ServiceScript, Simulator
from kioskd.simulator.script import Trigger

SILENCE = bytes(32_000)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 480, 640) + b"rest"
FINE = {"status": "ok", "message": "done"}
OLD = "models/gemini-2.5-flash-native-audio-preview-12-2025"
CALL = ScriptedCall(name="look", args={"at": "it"})
Tone = Callable[[float], Reply]


@asynccontextmanager
async def talking(*replies: Reply, **script: Any) -> AsyncIterator[tuple[Simulator, RawClient]]:
    async with (
        asyncio.timeout(60),
        Simulator(ServiceScript(replies=replies, **{"think_s": 0.0, **script})) as simulator,
        dial(simulator) as client,
    ):
        yield simulator, client


def declared(behavior: str | None = None, *names: str) -> dict[str, Any]:
    functions: list[dict[str, Any]] = [{"name": name} for name in names or ("look",)]
    for function in functions if behavior else ():
        function["behavior"] = behavior
    return {"tools": [{"functionDeclarations": functions}]}


def calling(reply: Reply, *calls: ScriptedCall, **fields: Any) -> Reply:
    return Reply.model_validate({**dict(reply), "tool_calls": calls or (CALL,), **fields})


async def ask(client: RawClient) -> list[dict[str, Any]]:
    """Ask something, and return the calls that follow."""
    await client.send(realtimeInput={"text": "Hello?"})
    return await called(client)


async def called(client: RawClient) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"]
    return calls


async def answer(client: RawClient, call: dict[str, Any], result: Any = FINE, **fields: Any) -> None:
    response = {"id": call["id"], "name": call["name"], "response": result, **fields}
    await client.send(toolResponse={"functionResponses": [response]})


def shown(data: bytes = JPEG) -> dict[str, str]:
    return {"data": base64.urlsafe_b64encode(data).decode(), "mimeType": "image/jpeg"}


async def test_functions_are_called_together_and_all_answers_are_awaited(tone: Tone) -> None:
    calls = (ScriptedCall(name="a"), ScriptedCall(name="b"), ScriptedCall(name="c", wait_s=0.05))
    async with talking(calling(tone(0.1), *calls)) as (simulator, client):
        await client.setup()
        first, second, _third = await ask(client)
        await simulator.wait_for("tool_call_unanswered")
        await answer(client, second)
        await answer(client, first)
        assert audio_of(await client.until("turnComplete"))
        (session,) = simulator.sessions
        assert [(call.name, call.state) for call in session.calls] == [
            ("a", "answered"),
            ("b", "answered"),
            ("c", "given_up"),
        ]
        assert session.complaints == ["c was never answered"]
        assert session.calls[0].results == [FINE]


async def test_an_answer_without_what_it_must_hold_is_a_fault(tone: Tone) -> None:
    calls = (ScriptedCall(name="a", answer_holds="fine"), ScriptedCall(name="b", answer_holds="page 2"))
    async with talking(calling(tone(0.1), *calls)) as (simulator, client):
        await client.setup()
        for call in await ask(client):
            await answer(client, call, {"said": "all is fine"})
        assert audio_of(await client.until("turnComplete"))
        (session,) = simulator.sessions
        assert session.complaints == ["the answer of b lacks what it must hold"]


async def test_a_call_accepts_one_answer_on_its_own_connection(tone: Tone) -> None:
    async with talking(calling(tone(0.1)), tone(0.1)) as (simulator, client):
        await client.setup()
        (call,) = await ask(client)
        await answer(client, call)
        await answer(client, call)
        await answer(client, {"id": "call-of-another", "name": "look"})
        await client.until("turnComplete")
        await simulator.wait_for("tool_response", 3)
        assert simulator.sessions[0].complaints == [
            "look was answered 2 times",
            "an answer came for a call that was not made",
        ]
        assert simulator.sessions[0].tool_responses == [call["id"]]


async def test_a_call_of_a_closed_connection_needs_no_answer(tone: Tone) -> None:
    async with talking(calling(tone(0.1))) as (simulator, client):
        await client.setup()
        await ask(client)
        await client.socket.close()
        await simulator.wait_for("closed")
        (call,) = simulator.sessions[0].calls
        assert (call.state, call.complaint()) == ("lost", None)


@pytest.mark.parametrize("again", [0, 2])
async def test_a_call_with_an_empty_answer_is_repeated(again: int, tone: Tone) -> None:
    async with talking(calling(tone(0.1)), sweeps=again) as (simulator, client):
        await client.setup(**declared())
        (call,) = await ask(client)
        for _ in range(again):
            await answer(client, call, {"results": [], "total_available": 0})
            (call,) = await called(client)
        await answer(client, call, {})
        assert audio_of(await client.until("turnComplete"))
        assert len(simulator.sessions[0].calls) == 1 + again
        assert simulator.sessions[0].complaints == []


async def test_an_older_model_does_not_repeat_a_call(tone: Tone) -> None:
    async with talking(calling(tone(0.1))) as (simulator, client):
        await client.setup(model=OLD, **declared())
        (call,) = await ask(client)
        await answer(client, call, {})
        assert audio_of(await client.until("turnComplete"))
        assert len(simulator.sessions[0].calls) == 1


@pytest.mark.parametrize(
    ("model", "behavior", "blocking"),
    [
        ("models/gemini-3.8-live", None, False),
        ("models/gemini-3.8-live", "BLOCKING", True),
        ("models/gemini-3.1-flash-live-preview", None, True),
        (OLD, None, True),
        (OLD, "NON_BLOCKING", False),
    ],
)
async def test_the_declaration_decides_whether_a_function_blocks_the_model(
    model: str, behavior: str | None, blocking: bool, tone: Tone
) -> None:
    async with talking(calling(tone(0.1), meanwhile=tone(0.2))) as (simulator, client):
        await client.setup(model=model, **declared(behavior))
        (call,) = await ask(client)
        if not blocking:
            assert len(audio_of(await client.until("turnComplete"))) == 9600
        await client.say(bytes(640))
        await client.send(realtimeInput={"video": shown()})
        await simulator.wait_for("picture")
        await answer(client, call)
        assert len(audio_of(await client.until("turnComplete"))) == 4800
        (record,) = simulator.sessions[0].calls
        assert (record.blocking, record.audio_bytes) == (blocking, 640 if blocking else 0)


@pytest.mark.parametrize("new", ["text", "content"])
@pytest.mark.parametrize("behavior", ["BLOCKING", "NON_BLOCKING"])
async def test_new_input_cancels_a_blocking_call(new: str, behavior: str, tone: Tone) -> None:
    content = {"turns": [{"role": "user", "parts": [{"text": "By the way."}]}], "turnComplete": False}
    async with talking(calling(tone(0.1)), tone(0.2)) as (simulator, client):
        await client.setup(**declared(behavior))
        (call,) = await ask(client)
        if new == "text":
            await client.send(realtimeInput={"text": "Never mind."})
        else:
            await client.send(clientContent=content)
        if new == "content" and behavior == "NON_BLOCKING":
            await answer(client, call)
            assert len(audio_of(await client.until("turnComplete"))) == 4800
            return
        cut = await client.until("turnComplete")
        assert {"toolCallCancellation": {"ids": [call["id"]]}} in cut
        assert simulator.sessions[0].calls[0].state == "cancelled"
        assert simulator.sessions[0].complaints == []


async def test_an_answer_long_after_its_cancellation_is_a_fault(tone: Tone) -> None:
    async with talking(calling(tone(0.1)), tone(0.1)) as (simulator, client):
        await client.setup()
        (call,) = await ask(client)
        await client.send(realtimeInput={"text": "Never mind."})
        await client.until("toolCallCancellation")
        await answer(client, call)
        await simulator.wait_for("tool_response")
        (record,) = simulator.sessions[0].calls
        assert record.complaint() is None, "it may have crossed the cancellation"
        assert record.cancelled_at is not None
        record.cancelled_at -= 5
        assert record.complaint() == "look was answered although it was cancelled"


async def test_the_model_speaks_while_a_function_is_at_work(tone: Tone) -> None:
    async with talking(calling(tone(0.1), meanwhile=tone(0.2))) as (simulator, client):
        await client.setup(**declared())
        (call,) = await ask(client)
        turn = await client.until("turnComplete")
        assert len(audio_of(turn)) == 9600
        await answer(client, call, scheduling="WHEN_IDLE")
        later = await client.until("turnComplete")
        assert len(audio_of(later)) == 4800
        await client.until("sessionResumptionUpdate")
        assert [turn.kind for turn in simulator.sessions[0].turns] == ["text", "answer"]


async def test_an_answer_with_when_idle_waits_for_the_end_of_the_reply(tone: Tone) -> None:
    async with talking(calling(tone(0.1), meanwhile=tone(1.0)), pace=1) as (_simulator, client):
        await client.setup(**declared())
        (call,) = await ask(client)
        await client.until("modelTurn")
        await answer(client, call, scheduling="WHEN_IDLE")
        spoken = await client.until("turnComplete")
        assert not any("interrupted" in str(message) for message in spoken)
        assert len(audio_of(await client.until("turnComplete"))) == 4800


async def test_an_urgent_answer_interrupts_the_model(tone: Tone) -> None:
    async with talking(calling(tone(0.1), meanwhile=tone(3.0)), pace=1) as (_simulator, client):
        await client.setup(**declared())
        (call,) = await ask(client)
        await client.until("modelTurn")
        await answer(client, call, scheduling="INTERRUPT")
        await client.until("interrupted")
        await client.until("turnComplete")
        assert len(audio_of(await client.until("turnComplete"))) == 4800


async def test_the_model_speaks_about_no_answer_while_the_visitor_speaks(speech: bytes, tone: Tone) -> None:
    by_hand = {"realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}}}
    async with talking(calling(tone(0.1), meanwhile=tone(0.2)), tone(0.3)) as (simulator, client):
        await client.setup(**declared(), **by_hand)
        (call,) = await ask(client)
        await client.until("turnComplete")
        await client.send(realtimeInput={"activityStart": {}})
        await answer(client, call, scheduling="INTERRUPT")
        await client.say(speech)
        await client.send(realtimeInput={"activityEnd": {}})
        spoken = [len(audio_of(await client.until("turnComplete"))) for _ in range(2)]
        assert sorted(spoken) == [4800, 14400]
        assert simulator.sessions[0].turns[1].kind == "speech"


@pytest.mark.parametrize("meanwhile", [True, False])
async def test_the_model_does_not_speak_about_a_silent_answer(meanwhile: bool, tone: Tone) -> None:
    fields = {"meanwhile": tone(0.2)} if meanwhile else {}
    async with talking(calling(tone(0.1), **fields), tone(0.3)) as (simulator, client):
        await client.setup(**declared())
        (call,) = await ask(client)
        if meanwhile:
            await client.until("turnComplete")
        await answer(client, call, scheduling="SILENT")
        await simulator.wait_for("handle_issued", 2)
        await client.send(realtimeInput={"text": "And now?"})
        await simulator.wait_for("turn_complete", 2)
        assert [turn.reply for turn in simulator.sessions[0].turns] == [
            "spoken" if meanwhile else "silent",
            "spoken",
        ]


async def test_a_call_may_outlive_the_turn_that_is_interrupted(tone: Tone) -> None:
    calls = (ScriptedCall(name="a"), ScriptedCall(name="b", outlives=True))
    async with talking(calling(tone(0.1), *calls), tone(0.2)) as (simulator, client):
        await client.setup(**declared(None, "a", "b"))
        first, second = await ask(client)
        await client.send(realtimeInput={"text": "Wait."})
        cut = await client.until("turnComplete")
        assert {"toolCallCancellation": {"ids": [first["id"]]}} in cut
        assert len(audio_of(await client.until("turnComplete"))) == 9600
        await answer(client, second)
        assert len(audio_of(await client.until("turnComplete"))) == 4800
        assert simulator.sessions[0].complaints == []


async def test_a_thinking_model_is_not_idle_while_a_call_is_open(tone: Tone) -> None:
    thinking = {"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}}
    async with talking(calling(tone(0.1), meanwhile=tone(0.1))) as (_simulator, client):
        await client.setup(
            model="models/gemini-3.8-live-extended-thinking", **declared("NON_BLOCKING"), **thinking
        )
        (call,) = await ask(client)
        ends = [(await client.until("turnComplete"))[-1]]
        await answer(client, call)
        ends.append((await client.until("turnComplete"))[-1])
        assert [end["serverContent"]["interactionStatus"] for end in ends] == ["IN_PROGRESS", "IDLE"]


async def test_new_functions_can_be_declared_in_mid_conversation(tone: Tone) -> None:
    async with talking(calling(tone(0.1))) as (simulator, client):
        await client.setup(**declared("BLOCKING"))
        await client.send(contextUpdate={"tools": declared("NON_BLOCKING")})
        (call,) = await ask(client)
        await answer(client, call)
        await client.until("turnComplete")
        assert not simulator.sessions[0].calls[0].blocking


@pytest.mark.parametrize("on", ["tool_call", "tool_response", "picture"])
async def test_each_occasion_of_a_call_triggers_its_fault(on: Trigger, tone: Tone) -> None:
    fault = ScriptedFault(on=on, do="junk", text='{"error": {}}')
    async with talking(calling(tone(0.1)), faults=(fault,)) as (simulator, client):
        await client.setup()
        (call,) = await ask(client)
        assert (on == "tool_call") == bool(simulator.count("fault"))
        await client.send(realtimeInput={"video": shown()})
        await answer(client, call)
        await client.until("turnComplete")
        await simulator.wait_for("fault")


async def in_answer(client: RawClient, call: dict[str, Any]) -> None:
    await answer(client, call, parts=[{"inlineData": shown()}])


async def as_frame(client: RawClient, call: dict[str, Any]) -> None:
    await client.send(realtimeInput={"video": shown()})
    await answer(client, call)


async def as_content(client: RawClient, call: dict[str, Any]) -> None:
    turn = {"role": "user", "parts": [{"inlineData": shown()}]}
    await client.send(clientContent={"turns": [turn], "turnComplete": False})
    await answer(client, call)


@pytest.mark.parametrize("meanwhile", [True, False])
@pytest.mark.parametrize(
    ("show", "way", "at_once"),
    [(in_answer, "answer", True), (as_frame, "realtime", False), (as_content, "content", False)],
)
async def test_only_a_picture_in_the_answer_is_seen_in_the_same_turn(
    show: Any, way: str, at_once: bool, meanwhile: bool, tone: Tone
) -> None:
    fields = {"meanwhile": tone(0.1)} if meanwhile else {}
    async with talking(calling(tone(0.2), **fields), tone(0.3)) as (simulator, client):
        await client.setup(**declared())
        (call,) = await ask(client)
        if meanwhile:
            await client.until("turnComplete")
        await show(client, call)
        assert len(audio_of(await client.until("turnComplete"))) == 9600
        (picture,) = simulator.sessions[0].pictures
        assert (picture.way, picture.size, picture.data) == (way, (640, 480), JPEG)
        answering = 1 if meanwhile else 0
        assert picture.turn == (answering if at_once else None)
        await client.send(realtimeInput={"text": "And now?"})
        await client.until("turnComplete")
        assert picture.turn == (answering if at_once else answering + 1)
        assert [turn.pictures for turn in simulator.sessions[0].turns].count(1) == 1


async def test_pictures_in_client_content_are_seen_at_any_turn_coverage() -> None:
    activity = {"realtimeInputConfig": {"turnCoverage": "TURN_INCLUDES_ONLY_ACTIVITY"}}
    turn = {"role": "user", "parts": [{"inlineData": shown()}]}
    async with talking(Reply(silent=True)) as (simulator, client):
        await client.setup(**activity)
        await client.send(clientContent={"turns": [turn], "turnComplete": False})
        await client.send(realtimeInput={"video": shown()})
        await client.send(realtimeInput={"text": "What is it?"})
        await client.until("turnComplete")
        assert [picture.turn for picture in simulator.sessions[0].pictures] == [0, None]


async def test_an_older_model_refuses_a_picture_in_an_answer(tone: Tone) -> None:
    async with talking(calling(tone(0.1))) as (_simulator, client):
        await client.setup(model=OLD, **declared())
        (call,) = await ask(client)
        await in_answer(client, call)
        assert await client.closing() == (
            1007,
            "Multimodal function responses are not supported by this model",
        )


@pytest.mark.parametrize(
    ("data", "mime", "size"),
    [
        (JPEG, "image/jpeg", (640, 480)),
        (b"\xff\xd8\xff\xc2\x00\x0b\x08\x00\x10\x00\x20", "image/jpeg", (32, 16)),
        (b"\xff\xd8\xff\x01\xff\xc4\x00\x02\xff\xc0", "image/jpeg", None),
        (b"\xff\xd8\xff\xe0picture", "image/jpeg", None),
        (b"\xff\xd8", "image/jpeg", None),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR" + struct.pack(">II", 5, 7), "image/png", (5, 7)),
        (b"\x89PNG\r\n\x1a\n", "image/png", None),
        (b"RIFFabcdWEBP", "image/webp", None),
    ],
)
async def test_a_pictures_size_is_read_from_it(data: bytes, mime: str, size: Any) -> None:
    async with talking(Reply(silent=True)) as (simulator, client):
        await client.setup()
        await client.send(realtimeInput={"video": {**shown(data), "mimeType": mime}})
        await simulator.wait_for("picture")
        assert simulator.sessions[0].pictures[0].size == size


async def test_a_service_that_reads_slowly_delays_data_and_loses_none(speech: bytes) -> None:
    async with talking(Reply(silent=True)) as (simulator, client):
        await client.setup()
        simulator.inject(FaultAction(do="read_slowly", bytes_per_s=20_000, lasts_s=2.0))
        await simulator.wait_for("fault")
        sound = speech * 20  # more than a megabyte on the wire
        await client.say(sound[:64_000])
        sending = asyncio.create_task(client.say(sound[64_000:]))
        taken: list[int] = []
        for _ in range(3):
            pong = await client.socket.ping()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await pong
            taken.append(len(simulator.sessions[0].audio))
        assert taken[-1] < 60_000
        await sending
        await client.send(realtimeInput={"text": "That was all."})
        await client.until("turnComplete")
        assert bytes(simulator.sessions[0].audio) == sound


async def test_a_slow_service_that_is_cut_off_has_handled_all_read_data() -> None:
    async with talking(Reply(silent=True)) as (simulator, client):
        await client.setup()
        simulator.inject(FaultAction(do="read_slowly", bytes_per_s=20_000))
        await simulator.wait_for("fault")
        await client.say(bytes(64_000))
        simulator.inject(FaultAction(do="close", code=1011))
        assert (await client.closing())[0] == 1011
        await simulator.wait_for("closed")
        assert len(simulator.sessions[0].audio) < 64_000
