"""The simulator handles exactly the messages that its pongs acknowledge, however the connection ends."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.simulator.raw_client import DEADLINE_S, FRAME, MODEL, VERTEX, RawClient, dial, handle_of
from websockets.exceptions import ConnectionClosed

from kioskd.simulator import FaultAction, Reply, ScriptedFault, ServiceScript, Simulator

VERTEX_MODEL = "projects/p/locations/global/publishers/google/models/gemini-3.8-live"


@asynccontextmanager
async def running_simulator(*faults: ScriptedFault) -> AsyncIterator[Simulator]:
    async with (
        asyncio.timeout(DEADLINE_S),
        Simulator(ServiceScript(replies=(Reply(silent=True),), think_s=0, faults=faults)) as simulator,
    ):
        yield simulator


async def say_and_ask(client: RawClient, sound: bytes) -> list[asyncio.Future[float]]:
    """Send frames, each with a ping, until all are sent or the connection is over; return the pongs."""
    pongs: list[asyncio.Future[float]] = []
    try:
        for start in range(0, len(sound), FRAME):
            await client.say(sound[start : start + FRAME])
            pong = await client.socket.ping()
            assert isinstance(pong, asyncio.Future)
            pongs.append(pong)
            if start % (5 * FRAME) == 0:
                await asyncio.sleep(0.001)
    except ConnectionClosed:
        pass  # which is what most of the tests wait for
    return pongs


def answered(pongs: list[asyncio.Future[float]]) -> int:
    return sum(1 for pong in pongs if pong.done() and pong.exception() is None)


@pytest.mark.parametrize("do", ["abort", "close", "go_away"])
@pytest.mark.parametrize("frames", [1, 7, 60])
async def test_acknowledged_audio_is_handled_before_the_end_of_the_connection(do: Any, frames: int) -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup()
        pongs = await say_and_ask(client, bytes(FRAME * frames))
        await pongs[-1]
        simulator.inject(FaultAction(do=do, left_s=0) if do == "go_away" else FaultAction(do=do))
        pongs += await say_and_ask(client, bytes(FRAME * 400))
        await client.closing()
        await simulator.wait_for("closed")
        (session,) = simulator.sessions
        assert frames <= answered(pongs) < frames + 400
        assert len(session.audio) == answered(pongs) * FRAME


@pytest.mark.parametrize("on", ["audio", "speech"])
@pytest.mark.parametrize("do", ["abort", "close"])
async def test_a_fault_of_reading_comes_after_all_received_audio(on: Any, do: Any, speech: bytes) -> None:
    async with running_simulator(ScriptedFault(on=on, do=do)) as simulator, dial(simulator) as client:
        await client.setup()
        pongs = await say_and_ask(client, speech * 3)
        await client.closing()
        await simulator.wait_for("closed")
        assert len(simulator.sessions[0].audio) == answered(pongs) * FRAME > 0


@pytest.mark.parametrize("do", ["freeze", "stop_reading"])
async def test_a_service_that_stops_reading_stops_acknowledging(do: Any) -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup()
        pongs = await say_and_ask(client, bytes(FRAME * 20))
        await pongs[-1]
        simulator.inject(FaultAction(do=do))
        await simulator.wait_for("fault")
        pongs += await say_and_ask(client, bytes(FRAME * 20))
        await asyncio.sleep(0.1)  # no message comes, and no event reports it
        assert 20 <= answered(pongs) < 40
        assert len(simulator.sessions[0].audio) == answered(pongs) * FRAME
        client.socket.transport.abort()


async def test_audio_before_a_hang_up_is_handled_although_no_answer_can_be_sent(
    speech: bytes,
) -> None:
    async with running_simulator() as simulator:
        sound = (speech + bytes(32_000)) * 3
        sound = sound[: len(sound) // FRAME * FRAME]
        async with dial(simulator) as client:
            await client.setup(inputAudioTranscription={}, outputAudioTranscription={})
            await client.say(sound)
        await simulator.wait_for("closed")
        assert bytes(simulator.sessions[0].audio) == sound


async def test_a_session_resumed_right_after_a_hang_up_has_all_audio() -> None:
    async with running_simulator() as simulator:
        async with dial(simulator) as client:
            handle = handle_of(await client.setup())
            await client.say(b"\x01\x00" * (FRAME * 50))
        async with dial(simulator) as client:
            await client.setup(sessionResumption={"handle": handle})
            await client.say(b"\x02\x00" * (FRAME * 5))
        await simulator.wait_for("closed", 2)
        assert bytes(simulator.sessions[0].audio) == b"\x01\x00" * (FRAME * 50) + b"\x02\x00" * (FRAME * 5)


@asynccontextmanager
async def on_vertex(simulator: Simulator) -> AsyncIterator[RawClient]:
    bearer = {"Authorization": f"Bearer {simulator.key.get_secret_value()}"}
    async with dial(simulator, VERTEX, bearer) as client:
        yield client


async def test_a_transparent_handle_names_the_last_message_and_drops_later_ones() -> None:
    async with running_simulator() as simulator:
        async with on_vertex(simulator) as client:
            first = await client.setup(model=VERTEX_MODEL, sessionResumption={"transparent": True})
            assert first[-1]["sessionResumptionUpdate"]["lastConsumedClientMessageIndex"] == "0"
            await client.say(b"\x01\x00" * (FRAME // 2) * 3)
            await client.send(realtimeInput={"text": "a"})
            update = (await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]
            while not update.get("resumable"):
                update = (await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]
            assert update["lastConsumedClientMessageIndex"] == "4"
            await client.say(b"\x02\x00" * (FRAME // 2) * 2)
        again = {"transparent": True, "handle": update["newHandle"]}
        async with on_vertex(simulator) as client:
            await client.setup(model=VERTEX_MODEL, sessionResumption=again)
            await client.say(b"\x02\x00" * (FRAME // 2) * 3)
        await simulator.wait_for("closed", 2)
        assert (
            bytes(simulator.sessions[0].audio)
            == b"\x01\x00" * (FRAME // 2) * 3 + b"\x02\x00" * (FRAME // 2) * 3
        )


async def test_an_earlier_conversation_is_recorded_as_history_and_not_answered() -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        await client.setup(historyConfig={"initialHistoryInClientContent": True})
        turns = [{"role": role, "parts": [{"text": role * 2}]} for role in ("user", "model", "user")]
        await client.send(clientContent={"turns": turns, "turnComplete": True})
        await simulator.wait_for("recall")
        await client.send(realtimeInput={"text": "Go on."})
        await client.until("turnComplete")
        (session,) = simulator.sessions
        assert session.initial_history == [
            ("user", "useruser"),
            ("model", "modelmodel"),
            ("user", "useruser"),
        ]
        assert session.texts == ["Go on."]
        assert [turn.kind for turn in session.turns] == ["text"]


async def test_no_audio_is_handled_before_the_setup(speech: bytes) -> None:
    async with (
        running_simulator(ScriptedFault(on="setup", do="abort")) as simulator,
        dial(simulator) as client,
    ):
        await client.send(setup={"model": MODEL})
        data = base64.b64encode(speech[:FRAME]).decode()
        await client.send(realtimeInput={"audio": {"data": data, "mimeType": "audio/pcm;rate=16000"}})
        assert await client.closing() == (None, "")
        assert simulator.sessions == []
