"""The adapter and the real SDK over TLS to a server on loopback, without faults."""

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
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

from kioskd.adapters.gemini import WIRE_LOGGERS, GeminiConfig, GeminiLive, SessionProfile
from kioskd.errors import ConfigError, LinkLost, Remedy
from kioskd.ports import (
    Connection,
    GenerationEnded,
    GoAway,
    Interrupted,
    Message,
    ReplyAudio,
    ResumptionUpdate,
    TurnComplete,
    UsageReported,
)

KEY = "AIzaSyA1234567890abcdefghijklmnopqrstuv"


def live_at(server: LiveServer, **changes: Any) -> GeminiLive:
    config: dict[str, Any] = {
        "key": SecretStr(KEY),
        "model": "gemini-3.8-live",
        "voice": "Kore",
        "instructions": "Be brief.",
        "languages": ("en-US",),
        "endpoint": server.endpoint,
        "ca_file": server.ca_file,
    }
    return GeminiLive(GeminiConfig(**config | changes))


@asynccontextmanager
async def connected(
    service: Handler, handle: SecretStr | None = None, **changes: Any
) -> AsyncIterator[Connection]:
    """Yield a connection to `service`, for 60 s at most."""
    async with (
        asyncio.timeout(60),
        live_server(service) as server,
        live_at(server, **changes).connect(handle) as connection,
    ):
        yield connection


async def all_of(connection: Connection, count: int) -> list[Message]:
    """Return the next `count` messages of the service."""
    found: list[Message] = []
    while len(found) < count:
        found += await connection.receive()
    return found


async def test_the_setup_holds_exactly_the_configured_fields() -> None:
    setups: list[dict[str, Any]] = []

    async def service(peer: ServerConnection) -> None:
        setups.append(await accept_setup(peer))

    async with live_server(service) as server, asyncio.timeout(60):
        async with live_at(server).connect(None) as connection:
            assert not connection.resumed
        assert server.paths == [
            "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
        ]
        assert server.headers[0]["x-goog-api-key"] == KEY
    assert setups == [
        {
            "model": "models/gemini-3.8-live",
            "generationConfig": {
                "responseModalities": ["AUDIO"],
                "speechConfig": {
                    "voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}},
                    "language_code": "en-US",
                },
            },
            "systemInstruction": {
                "parts": [
                    {
                        "text": "Be brief.\n\nSpeak only the language with the BCP-47 tag en-US, "
                        "whatever language you hear."
                    }
                ],
                "role": "user",
            },
            "sessionResumption": {},
            "inputAudioTranscription": {},
            "outputAudioTranscription": {},
            "realtimeInputConfig": {"turn_coverage": "TURN_INCLUDES_ONLY_ACTIVITY"},
            "contextWindowCompression": {"sliding_window": {}},
        }
    ]


async def test_without_language_and_instructions_the_setup_has_none() -> None:
    setups: list[dict[str, Any]] = []

    async def service(peer: ServerConnection) -> None:
        setups.append(await accept_setup(peer))

    async with connected(service, languages=(), instructions=""):
        pass
    assert "systemInstruction" not in setups[0]
    assert "language_code" not in setups[0]["generationConfig"]["speechConfig"]


async def test_a_list_of_languages_is_in_the_instructions_and_pins_no_voice() -> None:
    setups: list[dict[str, Any]] = []

    async def service(peer: ServerConnection) -> None:
        setups.append(await accept_setup(peer))

    async with connected(service, languages=("de-DE", "fr-FR")):
        pass
    rule = str(setups[0]["systemInstruction"])
    assert "one of these: de-DE, fr-FR." in rule
    assert "answer in de-DE." in rule
    assert "language_code" not in setups[0]["generationConfig"]["speechConfig"]


async def test_the_instructions_name_a_language_whose_code_the_service_rejects() -> None:
    codes: list[str | None] = []

    async def service(peer: ServerConnection) -> None:
        setup = (await read_json(peer))["setup"]
        codes.append(setup["generationConfig"]["speechConfig"].get("language_code"))
        assert "BCP-47 tag gsw-CH" in str(setup["systemInstruction"])
        if codes[-1] is not None:
            await peer.close(
                1007, f"Unsupported language code '{codes[-1]}' for model models/gemini-3.8-live"
            )
        else:
            await peer.send(SETUP_COMPLETE)

    async with asyncio.timeout(60), live_server(service) as server:
        live = live_at(server, languages=("gsw-CH",))
        for _ in range(2):
            async with live.connect(None):
                pass
    assert codes == ["gsw-CH", None, None]


async def test_dials_of_one_client_differ_only_in_the_handle() -> None:
    setups: list[dict[str, Any]] = []

    async def service(peer: ServerConnection) -> None:
        setups.append(await accept_setup(peer))

    async with live_server(service) as server, asyncio.timeout(60):
        live = live_at(server)
        for handle in (None, SecretStr("first"), SecretStr("second"), None):
            async with live.connect(handle) as connection:
                assert connection.resumed == (handle is not None)
    assert [setup.pop("sessionResumption") for setup in setups] == [
        {},
        {"handle": "first"},
        {"handle": "second"},
        {},
    ]
    assert all(setup == setups[0] for setup in setups)


async def test_messages_arrive_in_the_order_of_sending() -> None:
    got: list[dict[str, Any]] = []

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        got.extend([await read_json(peer) for _ in range(4)])
        await say(peer, serverContent={"turnComplete": True})

    frame = bytes(range(256)) * 2 + bytes(128)
    async with connected(service) as connection:
        await connection.send_audio(frame)
        await connection.send_audio(bytes(640))
        await connection.end_audio()
        await connection.send_text("Greet the visitor.")
        assert await connection.receive() == (TurnComplete(),)
    audio = [message["realtime_input"]["audio"] for message in got[:2]]
    assert [base64.urlsafe_b64decode(blob["data"]) for blob in audio] == [frame, bytes(640)]
    assert {blob["mime_type"] for blob in audio} == {"audio/pcm;rate=16000"}
    assert got[2:] == [
        {"realtime_input": {"audioStreamEnd": True}},
        {"realtime_input": {"text": "Greet the visitor."}},
    ]


async def test_a_session_goes_on_after_each_turn_of_the_model() -> None:
    data = base64.b64encode(b"\x01\x00" * 480).decode()
    audio = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for _ in range(3):
            await say(peer, serverContent={"modelTurn": {"parts": [audio, audio]}})
            await say(peer, serverContent={"generationComplete": True})
            await say(peer, serverContent={"turnComplete": True, "interactionStatus": "IDLE"})
            await say(
                peer,
                usageMetadata={"promptTokenCount": 9, "responseTokenCount": 4},
                sessionResumptionUpdate={"newHandle": "handle", "resumable": True},
            )
        await say(peer, serverContent={"interrupted": True, "modelTurn": {"parts": [audio]}})
        await say(peer, goAway={"timeLeft": "50s"})
        await peer.wait_closed()

    async with connected(service) as connection:
        found = await all_of(connection, 3 * 6 + 2)
    reply = ReplyAudio(b"\x01\x00" * 480)
    turn = [
        reply,
        reply,
        GenerationEnded(),
        TurnComplete(),
        ResumptionUpdate(SecretStr("handle")),
        UsageReported(prompt_tokens=9, response_tokens=4),
    ]
    assert found == [*turn, *turn, *turn, Interrupted(), GoAway(50.0)]


async def test_binary_frames_and_large_messages_are_understood() -> None:
    sound = os.urandom(3 * 2**20)
    part = {"inlineData": {"mimeType": "audio/pcm", "data": base64.b64encode(sound).decode()}}

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await peer.send(json.dumps({"serverContent": {"modelTurn": {"parts": [part]}}}).encode())
        await peer.wait_closed()

    async with connected(service) as connection:
        assert await connection.receive() == (ReplyAudio(sound),)


async def test_a_cancelled_receive_loses_no_message() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        for number in range(100):
            await say(peer, usageMetadata={"promptTokenCount": number}, serverContent={"turnComplete": True})
            await read_json(peer)

    found: list[int] = []
    cancelled = attempts = 0
    async with connected(service) as connection:
        while len(found) < 100:
            # It is cancelled before it begins, and after one turn of the loop, two, three...
            receiving = asyncio.create_task(connection.receive())
            for _ in range(attempts % 7):
                await asyncio.sleep(0)
            attempts += 1
            receiving.cancel()
            try:
                messages = await receiving
            except asyncio.CancelledError:
                cancelled += 1
                continue
            found += [message.prompt_tokens for message in messages if isinstance(message, UsageReported)]
            await connection.end_audio()
    assert found == list(range(100))
    assert cancelled > 100


@pytest.mark.parametrize("leaving", ["in peace", "by an error", "cancelled"])
async def test_a_healthy_connection_is_closed_properly(leaving: str) -> None:
    codes: asyncio.Queue[int | None] = asyncio.Queue()
    inside = asyncio.Event()

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await peer.wait_closed()
        codes.put_nowait(peer.close_code)

    async def visit(live: GeminiLive) -> None:
        async with live.connect(None) as connection:
            inside.set()
            if leaving == "by an error":
                raise ZeroDivisionError
            if leaving == "cancelled":
                await connection.receive()

    async with live_server(service) as server, asyncio.timeout(60):
        live = live_at(server)
        if leaving == "in peace":
            await visit(live)
        elif leaving == "by an error":
            with pytest.raises(ZeroDivisionError):
                await visit(live)
        else:
            visiting = asyncio.create_task(visit(live))
            await inside.wait()
            visiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await visiting
        assert await codes.get() == 1000
        await server.emptied.wait()


async def test_a_closed_connection_raises_a_lost_link() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await peer.wait_closed()

    async with live_server(service) as server, asyncio.timeout(60):
        async with live_at(server).connect(None) as connection:
            pass
        with pytest.raises(LinkLost):
            await connection.receive()
        with pytest.raises(LinkLost):
            await connection.send_audio(bytes(640))


REDIRECTING = {
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_API_KEY": "another-key",
    "GEMINI_API_KEY": "a-third-key",
    "GOOGLE_GEMINI_BASE_URL": "https://elsewhere.invalid",
    "GOOGLE_VERTEX_BASE_URL": "https://elsewhere.invalid",
    "GOOGLE_GENAI_API_VERSION": "v9",
    "GOOGLE_CLOUD_PROJECT": "project",
    "GOOGLE_CLOUD_LOCATION": "europe-west4",
    "GOOGLE_GENAI_CLIENT_MODE": "replay",
    "GOOGLE_GENAI_REPLAYS_DIRECTORY": "/nonexistent",
    "GOOGLE_GENAI_REPLAY_ID": "replay",
    "GOOGLE_API_USE_MTLS_ENDPOINT": "always",
    "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true",
    "https_proxy": "http://127.0.0.1:1",
    "no_proxy": "",
}


async def test_the_environment_does_not_redirect_a_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REDIRECTING.items():
        monkeypatch.setenv(name, value)

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)

    async with live_server(service) as server, asyncio.timeout(60):
        async with live_at(server, api_version="v1alpha").connect(None):
            pass
        assert server.paths == [
            "/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent"
        ]
        assert server.headers[0]["x-goog-api-key"] == KEY
        assert "another-key" not in str(server.headers)


@pytest.mark.parametrize(
    ("answer", "remedy"), [("502 Bad Gateway", Remedy.RESUME), ("403 Forbidden", Remedy.SETTINGS)]
)
async def test_without_an_endpoint_google_is_dialed_through_the_devices_proxy(
    monkeypatch: pytest.MonkeyPatch, answer: str, remedy: Remedy
) -> None:
    asked: list[str] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server, asyncio.timeout(60):
        port = server.sockets[0].getsockname()[1]
        for name, value in REDIRECTING.items():
            monkeypatch.setenv(name, value)
        for name in ("https_proxy", "wss_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        live = GeminiLive(GeminiConfig(key=SecretStr(KEY), model="m", voice="Kore"))
        with pytest.raises(LinkLost) as caught:
            async with live.connect(None):
                pass
        assert caught.value.remedy is remedy
        assert not caught.value.reached
    assert asked[0].startswith("CONNECT generativelanguage.googleapis.com:443 ")
    assert KEY not in asked[0]


async def test_the_debug_log_shows_neither_key_nor_handle_nor_speech(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    sound = base64.b64encode(b"\x11\x22\x33" * 200).decode()
    handle, new_handle = "handle-of-this-session", "handle-of-the-next"

    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await say(peer, sessionResumptionUpdate={"newHandle": new_handle, "resumable": True})
        await say(
            peer,
            serverContent={
                "modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": sound}}]}
            },
        )
        await peer.send("private junk")
        await read_json(peer)
        await peer.close(1008, f"session {handle} not found for {KEY}")

    async with connected(service, SecretStr(handle)) as connection:
        for _ in range(3):
            await connection.receive()
        await connection.send_audio(b"\x11\x22\x33" * 200 + bytes(40))
        with pytest.raises(LinkLost) as caught:
            await connection.receive()
    seen = caplog.text + str(caught.value)
    assert "message of the Live service not understood" in seen
    for secret in (KEY, handle, new_handle, sound[:24], "private junk", "ESIzESIz"):
        assert secret not in seen


def test_the_configurations_repr_does_not_show_the_key() -> None:
    assert KEY not in repr(GeminiConfig(key=SecretStr(KEY), model="m", voice="Kore"))


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_ca_file_that_cannot_be_read_is_a_fault_of_the_settings(
    tmp_path: Path, content: str | None
) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    live = GeminiLive(GeminiConfig(key=SecretStr(KEY), model="m", voice="Kore", ca_file=ca_file))
    with pytest.raises(ConfigError, match=r"service\.ca_file = .*ca\.pem"):
        await live.warm_up()


async def test_an_empty_key_is_not_replaced_by_one_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    live = GeminiLive(GeminiConfig(key=SecretStr(" \n"), model="m", voice="Kore"))
    with pytest.raises(ConfigError, match="key is empty"):
        await live.warm_up()


async def test_warming_up_twice_makes_one_client(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(certificate().certificate_file.read_bytes())
    live = GeminiLive(GeminiConfig(key=SecretStr(KEY), model="m", voice="Kore", ca_file=ca_file))
    await live.warm_up()
    ca_file.unlink()  # making a second client would now fail
    await live.warm_up()


def test_importing_the_adapter_does_not_import_the_sdk() -> None:
    code = "import sys, kioskd.adapters.gemini; sys.exit('google.genai' in sys.modules)"
    daemon = Path(__file__).parents[3] / "daemon"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(daemon)}, timeout=240, check=False
    )
    assert done.returncode == 0


async def test_a_profile_changes_its_part_of_the_setup_and_no_other() -> None:
    setups: list[dict[str, Any]] = []

    async def service(peer: ServerConnection) -> None:
        setups.append(await accept_setup(peer))

    easy = SessionProfile("Be brief.\n\nUse short words.", "Leda", "low", 1500)
    async with live_server(service) as server, asyncio.timeout(60):
        live = live_at(server, profiles={"easy": easy})
        for profile in ("default", "easy", "gone"):
            async with live.connect(None, (), profile):
                pass
    plain, changed, unknown = setups
    assert unknown == plain
    assert changed["systemInstruction"]["parts"][0]["text"].startswith(
        "Be brief.\n\nUse short words.\n\nSpeak"
    )
    speech = changed["generationConfig"]["speechConfig"]
    assert speech["voice_config"] == {"prebuilt_voice_config": {"voice_name": "Leda"}}
    detection = changed["realtimeInputConfig"]["automatic_activity_detection"]
    assert detection == {"end_of_speech_sensitivity": "END_SENSITIVITY_LOW", "silence_duration_ms": 1500}
    for setup in (plain, changed):
        for part in ("systemInstruction", "generationConfig", "realtimeInputConfig"):
            del setup[part]
    assert changed == plain
