"""Conversations with a client that sends plain JSON."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.simulator.raw_client import MODEL, VERTEX, RawClient, audio_of, dial, handle_of

from kioskd.simulator import Reply, ScriptedCall, ServiceScript, Simulator
from kioskd.simulator.tts import SpeechRenderer

SILENCE = bytes(32_000)
JPEG = b"\xff\xd8\xff\xe0picture"
Tone = Callable[[float], Reply]


@asynccontextmanager
async def running_simulator(*replies: Reply, **script: Any) -> AsyncIterator[Simulator]:
    settings = {"think_s": 0.0, **script}
    async with Simulator(ServiceScript(replies=replies or (Reply(silent=True),), **settings)) as simulator:
        yield simulator


async def sound_of(reply: Reply) -> bytes:
    voice = SpeechRenderer("en")
    await voice.prepare([reply])
    return voice.sound_of(reply)


def keys(messages: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of content in the messages, in order, without repetitions in a row."""
    flat = [key for message in messages for key in (*message.get("serverContent", {}), *message)]
    flat = [key for key in flat if key != "serverContent"]
    return [key for place, key in enumerate(flat) if place == 0 or flat[place - 1] != key]


def picture(data: bytes = JPEG, mime: str = "image/jpeg") -> dict[str, str]:
    return {"data": base64.urlsafe_b64encode(data).decode(), "mime_type": mime}


async def refusal(client: RawClient, **message: object) -> tuple[int | None, str]:
    await client.send(**message)
    return await client.closing()


async def test_a_spoken_question_gets_a_spoken_answer(speech: bytes, tone: Tone) -> None:
    reply = tone(0.3)
    async with running_simulator(reply) as simulator, dial(simulator) as client:
        first = await client.setup()
        assert keys(first) == ["setupComplete", "sessionResumptionUpdate"]
        await client.say(speech + SILENCE)
        turn = await client.until("turnComplete")
        handle = await client.until("sessionResumptionUpdate")
        assert audio_of(turn) == await sound_of(reply)
        assert keys(turn) == [
            "sessionResumptionUpdate",
            "modelTurn",
            "generationComplete",
            "turnComplete",
            "usageMetadata",
        ]
        assert turn[0] == {"sessionResumptionUpdate": {"newHandle": "", "resumable": False}}
        assert handle_of(handle) != handle_of(first)
        assert simulator.sessions[0].turns[0].kind == "speech"


async def test_every_byte_of_audio_is_kept_in_order(speech: bytes) -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup()
        await client.say(speech)
        await client.say(speech[::-1])
        await client.send(realtimeInput={"text": "That was all."})
        await client.until("turnComplete")
        assert bytes(simulator.sessions[0].audio) == speech + speech[::-1]


async def test_a_client_may_write_in_snake_case(speech: bytes, tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.send(
            setup={
                "model": MODEL,
                "generation_config": {"response_modalities": ["AUDIO"]},
                "realtime_input_config": {"automatic_activity_detection": {"silence_duration_ms": 400}},
            }
        )
        await client.until("setupComplete")
        sound = speech + SILENCE
        data = base64.urlsafe_b64encode(sound).decode()
        await client.send(realtime_input={"audio": {"data": data, "mime_type": "audio/pcm;rate=16000"}})
        assert audio_of(await client.until("turnComplete"))
        assert bytes(simulator.sessions[0].audio) == sound


async def test_media_chunks_are_still_understood(speech: bytes, tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        sound = base64.b64encode(speech + SILENCE).decode()
        chunks = [picture(), {"data": sound, "mimeType": "audio/pcm"}]
        await client.send(realtimeInput={"mediaChunks": chunks})
        assert audio_of(await client.until("turnComplete"))
        assert [entry.data for entry in simulator.sessions[0].pictures] == [JPEG]


@pytest.mark.parametrize(("frames", "kind"), [("binary", bytes), ("text", str)])
async def test_the_service_writes_in_either_kind_of_frame(frames: str, kind: type) -> None:
    async with running_simulator(frames=frames) as simulator, dial(simulator) as client:
        await client.send(setup={"model": MODEL})
        async with asyncio.timeout(60):
            assert type(await client.socket.recv()) is kind


@pytest.mark.parametrize(
    "message",
    [
        {"realtimeInput": {"text": "Hello?"}},
        {"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hello?"}]}], "turnComplete": True}},
        {"client_content": {"turns": [{"parts": [{"text": "Hello?"}]}], "turn_complete": True}},
    ],
)
async def test_a_typed_question_is_answered_aloud(message: dict[str, Any], tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(**message)
        assert audio_of(await client.until("turnComplete"))
        assert simulator.sessions[0].texts == ["Hello?"]


async def test_content_that_is_not_complete_waits_for_the_rest(tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(clientContent={"turns": [{"role": "user", "parts": [{"text": "a"}]}]})
        await client.send(clientContent={"turnComplete": True})
        await client.until("turnComplete")
        session = simulator.sessions[0]
        assert (session.texts, len(session.turns)) == (["a"], 1)


async def test_replies_come_in_order_and_the_last_reply_repeats(tone: Tone) -> None:
    replies = (tone(0.1), Reply(silent=True), tone(0.2))
    async with running_simulator(*replies) as simulator, dial(simulator) as client:
        await client.setup()
        lengths = []
        for _ in range(4):
            await client.send(realtimeInput={"text": "And?"})
            lengths.append(len(audio_of(await client.until("turnComplete"))) / 48_000)
        assert lengths == [0.1, 0.0, 0.2, 0.2]
        assert [turn.reply for turn in simulator.sessions[0].turns] == [
            "spoken",
            "silent",
            "spoken",
            "spoken",
        ]


async def test_a_silent_model_only_ends_its_turn() -> None:
    async with running_simulator(usage=False) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Nobody asked you."})
        assert keys(await client.until("turnComplete")) == ["turnComplete"]


async def test_a_reply_comes_faster_than_it_plays_and_its_turn_lasts_as_long_as_it_plays(tone: Tone) -> None:
    async with running_simulator(tone(1.0), pace=8) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Hello?"})
        began = await simulator.wait_for("reply_began")
        await client.until("turnComplete")
        sent, complete = await simulator.wait_for("reply_sent"), await simulator.wait_for("turn_complete")
        start, all_sent, over = (float(str(data["t"])) for data in (began, sent, complete))
        assert all_sent - start < 0.6
        assert over - start >= 0.95


async def test_a_reply_comes_after_think_s(tone: Tone) -> None:
    async with running_simulator(tone(0.1), think_s=0.2) as simulator, dial(simulator) as client:
        await client.setup()
        asked = time.monotonic()
        await client.send(realtimeInput={"text": "Hello?"})
        assert float(str((await simulator.wait_for("reply_began"))["t"])) - asked >= 0.2


async def test_some_messages_hold_two_pieces_of_audio(tone: Tone) -> None:
    async with running_simulator(tone(0.4)) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Hello?"})
        turn = await client.until("turnComplete")
        contents = [message.get("serverContent", {}) for message in turn]
        sizes = {len(content["modelTurn"]["parts"]) for content in contents if "modelTurn" in content}
        assert sizes == {1, 2}


async def test_speech_into_a_reply_silences_it(speech: bytes, tone: Tone) -> None:
    async with running_simulator(tone(5), tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Tell me everything."})
        await client.until("modelTurn")
        await client.say(speech + SILENCE)
        cut = await client.until("turnComplete")
        assert "generationComplete" not in keys(cut)
        assert [key for key in keys(cut) if key in {"interrupted", "turnComplete"}] == [
            "interrupted",
            "turnComplete",
        ]
        after = cut[[("interrupted" in m.get("serverContent", {})) for m in cut].index(True) + 1 :]
        assert audio_of(after) == b""
        answer = await client.until("turnComplete")
        assert len(audio_of(answer)) == 4800
        assert [turn.reply for turn in simulator.sessions[0].turns] == ["interrupted", "spoken"]


async def test_every_second_interruption_shares_its_message_with_void_audio(
    speech: bytes, tone: Tone
) -> None:
    async with running_simulator(tone(5)) as simulator, dial(simulator) as client:
        await client.setup()
        with_audio = []
        for _ in range(2):
            await client.send(realtimeInput={"text": "Go on."})
            await client.until("modelTurn")
            await client.send(clientContent={"turnComplete": True})
            interrupted = (await client.until("interrupted"))[-1]["serverContent"]
            with_audio.append("modelTurn" in interrupted)
            await client.until("modelTurn")
        assert True in with_audio
        assert False in with_audio


async def test_without_interruption_the_reply_goes_on_and_the_next_follows(speech: bytes, tone: Tone) -> None:
    async with running_simulator(tone(0.6), tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup(realtimeInputConfig={"activityHandling": "NO_INTERRUPTION"})
        await client.send(realtimeInput={"text": "Tell me everything."})
        await client.until("modelTurn")
        await client.say(speech + SILENCE)
        first = await client.until("turnComplete")
        second = await client.until("turnComplete")
        assert "interrupted" not in keys(first + second)
        assert len(audio_of(second)) == 4800


async def test_speech_while_the_model_thinks_leaves_the_reply_for_the_whole_question(
    speech: bytes, tone: Tone
) -> None:
    slow = tone(0.1).model_copy(update={"think_s": 3600.0})
    async with running_simulator(slow) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Tell me"})
        await client.say(speech + SILENCE)
        await simulator.wait_for("speech_ended")
        assert [turn.reply for turn in simulator.sessions[0].turns] == ["none", "none"]


async def test_the_clients_own_silence_limit_ends_the_turn(speech: bytes) -> None:
    detection = {"silenceDurationMs": 5000}
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup(realtimeInputConfig={"automaticActivityDetection": detection})
        await client.say(speech + 4 * SILENCE)
        await client.send(realtimeInput={"video": picture()})
        await simulator.wait_for("picture")
        assert simulator.sessions[0].turns == []
        await client.say(2 * SILENCE)
        await client.until("turnComplete")


async def test_the_end_of_the_stream_ends_the_turn(speech: bytes, tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await client.say(speech[:32_000])
        await client.send(realtimeInput={"audioStreamEnd": True})
        assert audio_of(await client.until("turnComplete"))


async def test_a_client_that_marks_its_turns_gets_no_speech_detection(speech: bytes, tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup(realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
        await client.say(speech + SILENCE)
        await client.send(realtimeInput={"activityStart": {}})
        await client.say(speech)
        await client.send(realtimeInput={"activityEnd": {}})
        await client.until("turnComplete")
        (turn,) = simulator.sessions[0].turns
        assert turn.audio_bytes == len(speech)


async def test_the_start_of_activity_interrupts(tone: Tone) -> None:
    async with running_simulator(tone(5)) as simulator, dial(simulator) as client:
        await client.setup(realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
        await client.send(realtimeInput={"activityStart": {}})
        await client.send(realtimeInput={"activityEnd": {}})
        await client.until("modelTurn")
        await client.send(realtimeInput={"activityStart": {}})
        assert "interrupted" in keys(await client.until("turnComplete"))


@pytest.mark.parametrize(
    ("coverage", "pictures", "all_audio"),
    [
        ("TURN_INCLUDES_ONLY_ACTIVITY", 2, False),
        ("TURN_INCLUDES_ALL_INPUT", 3, True),
        ("TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO", 3, False),
        (None, 3, False),
    ],
)
async def test_the_turn_coverage_follows_the_clients_setup(
    speech: bytes, coverage: str | None, pictures: int, all_audio: bool
) -> None:
    detection = {"automaticActivityDetection": {"disabled": True}}
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup(
            realtimeInputConfig={**detection, **({"turnCoverage": coverage} if coverage else {})}
        )
        await client.say(speech)
        await client.send(realtimeInput={"video": picture()})
        await client.send(realtimeInput={"activityStart": {}})
        await client.send(realtimeInput={"video": picture()})
        await client.say(speech[:6400])
        await client.send(
            realtimeInput={"activityEnd": {}, "video": picture(b"\x89PNG\r\n\x1a\nx", "image/png")}
        )
        await client.until("turnComplete")
        (turn,) = simulator.sessions[0].turns
        # The last picture shares its message with the end of the activity, and is read before it.
        assert turn.pictures == pictures
        assert turn.audio_bytes == (len(speech) + 6400 if all_audio else 6400)


async def test_the_transcripts_of_both_sides_name_the_language_of_the_turn(speech: bytes) -> None:
    reply = Reply(text="Bonjour.", heard="où est-ce", language="fr-FR")
    async with running_simulator(reply) as simulator:
        async with dial(simulator) as client:
            await client.setup(inputAudioTranscription={}, outputAudioTranscription={})
            await client.say(speech + SILENCE)
            contents = [message.get("serverContent", {}) for message in await client.until("turnComplete")]
        codes = {
            (key, content[key].get("languageCode"))
            for content in contents
            for key in ("inputTranscription", "outputTranscription")
            if key in content
        }
    assert codes == {("inputTranscription", "fr-FR"), ("outputTranscription", "fr-FR")}


async def test_transcripts_come_only_on_request(speech: bytes) -> None:
    reply = Reply(text="Over there, my friend.", heard="where is it")
    async with running_simulator(reply) as simulator:
        async with dial(simulator) as client:
            await client.setup(inputAudioTranscription={}, outputAudioTranscription={})
            await client.say(speech + SILENCE)
            contents = [message.get("serverContent", {}) for message in await client.until("turnComplete")]
        spoken = "".join(
            content["outputTranscription"]["text"] for content in contents if "outputTranscription" in content
        )
        heard = [
            content["inputTranscription"]["text"] for content in contents if "inputTranscription" in content
        ]
        assert (spoken.strip(), heard) == ("Over there, my friend.", ["where is it"])
        assert any({"outputTranscription", "modelTurn"} <= set(content) for content in contents)
        async with dial(simulator) as client:
            await client.setup()
            await client.say(speech + SILENCE)
            assert "Transcription" not in str(await client.until("turnComplete"))


async def test_the_whole_context_is_billed_again_each_turn(tone: Tone) -> None:
    async with running_simulator(tone(0.4)) as simulator, dial(simulator) as client:
        await client.setup(generationConfig={"mediaResolution": "MEDIA_RESOLUTION_LOW"})
        bills = []
        for _ in range(3):
            await client.send(realtimeInput={"video": picture()})
            await client.send(realtimeInput={"text": "12345678"})
            bills.append((await client.until("usageMetadata"))[-1])
        assert [bill["usageMetadata"]["promptTokenCount"] for bill in bills] == [66, 142, 218]
        assert {bill["usageMetadata"]["responseTokenCount"] for bill in bills} == {10}
        # Sometimes with the end of the turn, sometimes alone.
        assert {"serverContent" in bill for bill in bills} == {True, False}


async def test_vertex_counts_candidates_and_the_clients_messages(tone: Tone) -> None:
    headers_model = "publishers/google/models/gemini-3.8-live"
    async with running_simulator(tone(0.1)) as simulator, dial(simulator, VERTEX) as client:
        first = await client.setup(model=headers_model, sessionResumption={"transparent": True})
        assert first[-1]["sessionResumptionUpdate"]["lastConsumedClientMessageIndex"] == "0"
        await client.send(realtimeInput={"video": picture()})
        await client.send(realtimeInput={"text": "Hello?"})
        bill = (await client.until("usageMetadata"))[-1]["usageMetadata"]
        assert "candidatesTokenCount" in bill
        update = (await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]
        assert update["lastConsumedClientMessageIndex"] == "2"


async def test_without_session_resumption_there_are_no_handles(tone: Tone) -> None:
    async with running_simulator(tone(0.1), usage=False) as simulator, dial(simulator) as client:
        await client.send(setup={"model": MODEL})
        for _ in range(2):
            await client.send(realtimeInput={"text": "Hello?"})
            assert "sessionResumptionUpdate" not in keys(await client.until("turnComplete"))


async def test_the_extended_thinking_model_reports_when_it_is_idle(tone: Tone) -> None:
    thinking = {"thinkingConfig": {"thinkingLevel": "LOW"}}
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup(model="models/gemini-3.8-live-extended-thinking", generationConfig=thinking)
        await client.send(realtimeInput={"text": "Hello?"})
        assert (await client.until("turnComplete"))[-1]["serverContent"]["interactionStatus"] == "IDLE"


CALL = ScriptedCall(name="opening_hours", args={"day": "today"})


async def test_a_function_is_called_before_the_reply(tone: Tone) -> None:
    reply = tone(0.1).model_copy(update={"tool_calls": (CALL,)})
    async with running_simulator(reply) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Hello?"})
        asked = await client.until("toolCall")
        assert asked[0] == {"sessionResumptionUpdate": {"newHandle": "", "resumable": False}}
        (call,) = asked[-1]["toolCall"]["functionCalls"]
        assert (call["name"], call["args"]) == ("opening_hours", {"day": "today"})
        answer = {"id": call["id"], "name": call["name"], "response": {"output": "9 to 5"}}
        await client.send(
            toolResponse={"functionResponses": [{"id": "another", "name": "x", "response": {}}]}
        )
        await client.send(toolResponse={"functionResponses": [{**answer, "willContinue": True}]})
        await client.send(tool_response={"function_responses": [answer]})
        turn = await client.until("turnComplete")
        assert keys(turn)[0] == "modelTurn"
        assert simulator.sessions[0].tool_responses == [call["id"]]
        assert (await simulator.wait_for("tool_response", 1))["known"] is False


async def test_a_function_that_never_answers_does_not_block_the_reply_for_ever(tone: Tone) -> None:
    reply = tone(0.1).model_copy(update={"tool_calls": (CALL.model_copy(update={"wait_s": 0.05}),)})
    async with running_simulator(reply) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Hello?"})
        assert audio_of(await client.until("turnComplete"))
        await simulator.wait_for("tool_call_unanswered")


async def test_an_interruption_cancels_the_call(speech: bytes, tone: Tone) -> None:
    reply = tone(0.1).model_copy(update={"tool_calls": (CALL,)})
    async with running_simulator(reply, tone(0.2)) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(realtimeInput={"text": "Hello?"})
        number = (await client.until("toolCall"))[-1]["toolCall"]["functionCalls"][0]["id"]
        await client.say(speech + SILENCE)
        cut = await client.until("turnComplete")
        assert {"toolCallCancellation": {"ids": [number]}} in cut
        assert len(audio_of(await client.until("turnComplete"))) == 9600


async def test_a_history_is_accepted_without_an_answer(tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup(
            model="models/gemini-3.1-flash-live-preview",
            historyConfig={"initialHistoryInClientContent": True},
        )
        turns = [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hello"}]}]
        await client.send(clientContent={"turns": turns, "turnComplete": True})
        await client.send(realtimeInput={"text": "Who am I?"})
        await client.until("turnComplete")
        assert [turn.kind for turn in simulator.sessions[0].turns] == ["text"]
        # Later content is refused: this model accepts it only as a history.
        assert (await refusal(client, clientContent={"turnComplete": True}))[0] == 1007


async def test_instructions_and_tools_can_change(tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await client.send(contextUpdate={"systemInstruction": {"parts": [{"text": "Be brief."}]}})
        await client.send(contextUpdate={"tools": {"tools": []}})
        await client.send(realtimeInput={"text": "Hello?"})
        await client.until("turnComplete")
        assert simulator.sessions[0].context_updates == 2


async def test_vertex_accepts_new_instructions_as_a_turn_of_the_system() -> None:
    async with running_simulator() as simulator, dial(simulator, VERTEX) as client:
        await client.setup(model="publishers/google/models/gemini-3.8-live")
        turn = {"role": "system", "parts": [{"text": "Be brief."}]}
        await client.send(clientContent={"turns": [turn], "turnComplete": False})
        await client.send(realtimeInput={"text": "Hello?"})
        await client.until("turnComplete")
        session = simulator.sessions[0]
        assert (session.context_updates, session.texts) == (1, ["Hello?"])


@pytest.mark.parametrize(
    "message",
    [
        {"setup": {"model": MODEL}},
        {"realtimeInput": {"activityStart": {}}},
        {"realtimeInput": {"activityEnd": {}}},
        {"realtimeInput": {"audio": {"data": "AAA=", "mimeType": "audio/wav"}}},
        {"realtimeInput": {"audio": {"data": "AAA="}}},
        {"realtimeInput": {"audio": {"data": "AAAA", "mimeType": "audio/pcm;rate=16000"}}},
        {"realtimeInput": {"audio": {"data": "AAA=", "mimeType": "audio/pcm;rate=1"}}},
        {"realtimeInput": {"audio": {"data": "", "mimeType": "audio/pcm;rate=16000"}}},
        {"realtimeInput": {"video": picture(mime="image/gif")}},
        {"realtimeInput": {"video": picture(b"no picture")}},
        {"realtimeInput": {"sound": {}}},
        {"toolResponse": {"functionResponses": []}},
        {"toolResponse": {"functionResponses": [{"name": "f", "response": {}}]}},
        {"clientContent": {"turns": [{"role": "system", "parts": []}]}},
        {"clientContent": {"turns": [{"parts": [{"functionCall": {"name": "f"}}]}]}},
        {"clientContent": {"turns": [{"parts": [{"functionResponse": {"name": "f"}}]}]}},
        {"contextUpdate": {"tools": {"tools": [{"functionDeclarations": [{"name": "not a name"}]}]}}},
        {"hello": {}},
    ],
)
async def test_a_message_that_the_service_rejects_ends_the_connection(message: dict[str, Any]) -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup()
        assert (await refusal(client, **message))[0] == 1007
        await simulator.wait_for("closed")
        assert simulator.connections[0].close_sent == 1007


async def test_a_client_that_marks_its_turns_may_not_end_the_stream() -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup(realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
        assert (await refusal(client, realtimeInput={"audioStreamEnd": True}))[0] == 1007


async def test_the_first_message_must_be_the_setup() -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        code, reason = await refusal(client, realtimeInput={"text": "Hello?"})
        assert (code, reason) == (1007, "setup must be the first message, and only the first")


async def test_a_setup_that_breaks_a_rule_is_refused_on_the_wire() -> None:
    async with running_simulator() as simulator:
        async with dial(simulator) as client:
            code, reason = await refusal(client, setup={"model": "models/gemini-1"})
            assert code == 1008
            assert reason.startswith("models/gemini-1 is not found for API version v1beta")
        async with dial(simulator) as client:
            assert await refusal(client, setup={"model": MODEL, "voice": "Kore"}) == (
                1007,
                "Invalid JSON payload received. Unknown name \"voice\" at 'setup': Cannot find field.",
            )
        assert simulator.sessions == []


async def test_the_service_waits_for_a_client_that_does_not_read(tone: Tone) -> None:
    """The reply must wait at the socket, and not fill the memory."""
    told: Counter[str] = Counter()

    def observe(kind: str, _data: dict[str, object]) -> None:
        told[kind] += 1

    script = ServiceScript(replies=(tone(600),), think_s=0, pace=1000)
    async with Simulator(script, observe=observe) as simulator, dial(simulator) as client:
        await client.setup()
        client.socket.transport.pause_reading()
        await client.send(realtimeInput={"text": "Everything!"})
        await simulator.wait_for("reply_began")
        (connection,) = simulator.open_connections
        async with asyncio.timeout(60):
            while not connection.websocket.paused:  # noqa: ASYNC110  a transport tells nobody but its own protocol
                await asyncio.sleep(0.01)
        assert connection.websocket.transport.get_write_buffer_size() < 1024 * 1024
        assert told["reply_sent"] == 0
        client.socket.transport.abort()
