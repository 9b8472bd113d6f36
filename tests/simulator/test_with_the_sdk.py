"""The real SDK, unmodified, holds conversations with the simulator."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google import genai
from google.genai import errors, live, types
from google.oauth2.credentials import Credentials

from kioskd.simulator import FaultAction, Reply, ScriptedCall, ScriptedFault, ServiceScript, Simulator

SILENCE = bytes(32_000)
MODEL = "gemini-3.8-live"
Tone = Callable[[float], Reply]


def config(**fields: Any) -> types.LiveConnectConfig:
    """A configuration with all settings of a kiosk at once."""
    settings: dict[str, Any] = {
        "response_modalities": ["AUDIO"],
        "system_instruction": "You are the guide of a small museum.",
        "media_resolution": "MEDIA_RESOLUTION_LOW",
        "speech_config": {
            "voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}},
            "language_code": "en-US",
        },
        "session_resumption": {},
        "context_window_compression": {"trigger_tokens": 25_000, "sliding_window": {"target_tokens": 8_000}},
        "input_audio_transcription": {},
        "output_audio_transcription": {},
        "realtime_input_config": {
            "automatic_activity_detection": {
                "start_of_speech_sensitivity": "START_SENSITIVITY_HIGH",
                "end_of_speech_sensitivity": "END_SENSITIVITY_HIGH",
                "prefix_padding_ms": 60,
                "silence_duration_ms": 600,
            },
            "activity_handling": "START_OF_ACTIVITY_INTERRUPTS",
            "turn_coverage": "TURN_INCLUDES_ONLY_ACTIVITY",
        },
        "tools": [
            {
                "function_declarations": [
                    {
                        "name": "opening_hours",
                        "description": "When the museum is open.",
                        "parameters": {"type": "OBJECT", "properties": {"day": {"type": "STRING"}}},
                        "behavior": "NON_BLOCKING",
                    }
                ]
            }
        ],
        **fields,
    }
    return types.LiveConnectConfig.model_validate(settings)


@asynccontextmanager
async def running_simulator(*replies: Reply, **script: Any) -> AsyncIterator[Simulator]:
    settings = {"think_s": 0.05, **script}
    async with Simulator(ServiceScript(replies=replies, **settings)) as simulator, asyncio.timeout(60):
        yield simulator


def options(simulator: Simulator, version: str = "v1beta") -> types.HttpOptions:
    context = ssl.create_default_context(cafile=simulator.ca_file)
    return types.HttpOptions(
        base_url=simulator.endpoint, api_version=version, async_client_args={"ssl": context}
    )


def developer(simulator: Simulator) -> genai.Client:
    return genai.Client(api_key=simulator.key.get_secret_value(), http_options=options(simulator))


async def say(session: live.AsyncSession, sound: bytes) -> None:
    for start in range(0, len(sound), 640):
        blob = types.Blob(data=sound[start : start + 640], mime_type="audio/pcm;rate=16000")
        await session.send_realtime_input(audio=blob)


async def turn(session: live.AsyncSession) -> list[types.LiveServerMessage]:
    """Return the messages up to the end of the model's turn."""
    return [message async for message in session.receive()]


def sound_of(messages: list[types.LiveServerMessage]) -> bytes:
    sound = b""
    for message in messages:
        content = message.server_content
        for part in (content.model_turn.parts or []) if content and content.model_turn else []:
            assert part.inline_data is not None
            assert part.inline_data.mime_type == "audio/pcm;rate=24000"
            sound += part.inline_data.data or b""
    return sound


async def test_a_conversation_with_a_barge_in(speech: bytes) -> None:
    replies = (
        Reply(text="Hello, I am the guide."),
        Reply(text="A long story begins. " * 4),
        Reply(text="Sure."),
    )
    async with (
        running_simulator(*replies) as simulator,
        developer(simulator).aio.live.connect(model=MODEL, config=config()) as session,
    ):
        assert session.session_id == simulator.sessions[0].id
        await session.send_realtime_input(text="Greet the visitor in one sentence.")
        greeting = await turn(session)
        assert len(sound_of(greeting)) > 48_000
        transcript = "".join(
            message.server_content.output_transcription.text or ""
            for message in greeting
            if message.server_content and message.server_content.output_transcription
        )
        assert transcript.strip() == "Hello, I am the guide."

        await say(session, speech + SILENCE)
        await simulator.wait_for("reply_began", 2)
        await say(session, speech + SILENCE)
        cut = await turn(session)
        contents = [message.server_content for message in cut if message.server_content]
        assert any(content.interrupted for content in contents)
        assert not any(content.generation_complete for content in contents)

        answer = await turn(session)
        assert sound_of(answer)
        (record,) = simulator.sessions
        assert bytes(record.audio) == 2 * (speech + SILENCE)
        assert [entry.reply for entry in record.turns] == ["spoken", "interrupted", "spoken"]


async def test_pictures_typed_turns_and_pauses(speech: bytes, tone: Tone) -> None:
    jpeg = b"\xff\xd8\xff\xe0" + bytes(range(256))
    async with (
        running_simulator(tone(0.1)) as simulator,
        developer(simulator).aio.live.connect(model=MODEL, config=config()) as session,
    ):
        await session.send_realtime_input(video=types.Blob(data=jpeg, mime_type="image/jpeg"))
        await say(session, speech[:32_000])
        await session.send_realtime_input(audio_stream_end=True)
        assert sound_of(await turn(session))
        content = types.Content(role="user", parts=[types.Part(text="And now?")])
        await session.send_client_content(turns=content, turn_complete=True)
        assert sound_of(await turn(session))
        (record,) = simulator.sessions
        assert [picture.data for picture in record.pictures] == [jpeg]
        assert record.texts == ["And now?"]


async def test_turns_that_the_client_marks(speech: bytes, tone: Tone) -> None:
    by_hand = {"automatic_activity_detection": {"disabled": True}}
    async with (
        running_simulator(tone(0.1)) as simulator,
        developer(simulator).aio.live.connect(
            model=MODEL, config=config(realtime_input_config=by_hand)
        ) as session,
    ):
        await session.send_realtime_input(activity_start=types.ActivityStart())
        await say(session, speech)
        await session.send_realtime_input(activity_end=types.ActivityEnd())
        assert sound_of(await turn(session))
        assert simulator.sessions[0].turns[0].audio_bytes == len(speech)


async def test_a_function_call(tone: Tone) -> None:
    reply = tone(0.1).model_copy(
        update={"tool_calls": (ScriptedCall(name="opening_hours", args={"day": "Monday"}),)}
    )
    async with (
        running_simulator(reply) as simulator,
        developer(simulator).aio.live.connect(model=MODEL, config=config()) as session,
    ):
        await session.send_realtime_input(text="When are you open?")
        async for message in session.receive():
            if message.tool_call and message.tool_call.function_calls:
                (call,) = message.tool_call.function_calls
                assert call.args == {"day": "Monday"}
                await session.send_tool_response(
                    function_responses=types.FunctionResponse(
                        id=call.id, name=call.name, response={"output": "9 to 5"}, scheduling="WHEN_IDLE"
                    )
                )
        assert simulator.sessions[0].turns[0].reply == "spoken"


async def test_new_instructions_and_tools(tone: Tone) -> None:
    async with (
        running_simulator(tone(0.1)) as simulator,
        developer(simulator).aio.live.connect(model=MODEL, config=config()) as session,
    ):
        await session.send_context_update(system_instruction="Be brief.")
        await session.send_context_update(tools=[])
        await session.send_realtime_input(text="Hello?")
        await turn(session)
        assert simulator.sessions[0].context_updates == 2


async def test_a_session_is_resumed_after_a_lost_connection(tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator:
        client, handle = developer(simulator), ""
        async with client.aio.live.connect(model=MODEL, config=config()) as session:
            async for message in session.receive():
                update = message.session_resumption_update
                if update and update.resumable and update.new_handle:
                    handle = update.new_handle
                    simulator.inject(FaultAction(do="close", code=1011, reason="Internal error encountered."))
                    break
            with pytest.raises(errors.APIError) as lost:
                await turn(session)
            assert lost.value.code == 1011
        async with client.aio.live.connect(
            model=MODEL, config=config(session_resumption={"handle": handle})
        ) as session:
            await session.send_realtime_input(text="Where were we?")
            assert sound_of(await turn(session))
        assert [entry.resumed for entry in simulator.connections] == [False, True]
        assert len(simulator.sessions) == 1


async def test_the_sdk_reports_a_go_away(tone: Tone) -> None:
    fault = ScriptedFault(on="setup", after_s=0.05, do="go_away", left_s=0.3)
    async with (
        running_simulator(tone(0.1), faults=(fault,)) as simulator,
        developer(simulator).aio.live.connect(model=MODEL, config=config()) as session,
    ):
        left: list[types.LiveServerGoAway | None] = []
        with pytest.raises(errors.APIError, match="Deadline expired"):  # noqa: PT012  the error ends the loop
            async for message in session.receive():
                left.append(message.go_away)  # noqa: PERF401  a comprehension would lose them to the error
        assert types.LiveServerGoAway(time_left="0.3s") in left


async def test_a_refused_setup_is_an_api_error(tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator:
        thinking = config(thinking_config={"thinking_budget": 0})
        with pytest.raises(errors.APIError, match="thinking_config is not supported") as refused:
            async with developer(simulator).aio.live.connect(model=MODEL, config=thinking):
                pytest.fail("the session was set up")
        assert refused.value.code == 1007


async def test_vertex_with_transparent_resumption(speech: bytes, tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator:
        client = genai.Client(
            enterprise=True,
            project="p",
            location="europe-west4",
            credentials=Credentials(token=simulator.key.get_secret_value()),  # type: ignore[no-untyped-call]  # untyped library
            http_options=options(simulator, "v1beta1"),
        )
        resumption = config(session_resumption={"transparent": True})
        async with client.aio.live.connect(model=MODEL, config=resumption) as session:
            await say(session, speech + SILENCE)
            messages = await turn(session)
        usage = [message.usage_metadata for message in messages if message.usage_metadata]
        assert usage
        assert usage[0].response_token_count
        assert simulator.connections[0].path.startswith("/ws/google.cloud.aiplatform.v1beta1")
        assert simulator.sessions[0].backend == "vertex"


async def test_an_ephemeral_token(tone: Tone) -> None:
    async with running_simulator(tone(0.1), key="auth_tokens/abc") as simulator:
        client = genai.Client(api_key="auth_tokens/abc", http_options=options(simulator, "v1alpha"))
        with pytest.warns(errors.ExperimentalWarning):  # noqa: PT031  it comes from the connecting
            async with client.aio.live.connect(model=MODEL, config=config()) as session:
                await session.send_realtime_input(text="Hello?")
                assert sound_of(await turn(session))
        assert simulator.connections[0].path.endswith("BidiGenerateContentConstrained")


async def test_the_default_version_of_the_sdk_is_not_served(tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator:
        client = genai.Client(api_key=simulator.key.get_secret_value(), http_options=options(simulator, "v1"))
        with pytest.raises(Exception, match="HTTP 404"):
            async with client.aio.live.connect(model=MODEL, config=config()):
                pytest.fail("the session was set up")
