"""Each fault of the service, as a client sees it."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.simulator.raw_client import FRAME, MODEL, RawClient, audio_of, dial
from websockets.exceptions import ConnectionClosed

from kioskd.simulator import FaultAction, Reply, ScriptedFault, ServiceScript, Simulator
from kioskd.simulator.script import FaultSchedule

SILENCE = bytes(32_000)
Tone = Callable[[float], Reply]


@asynccontextmanager
async def running_simulator(
    *faults: ScriptedFault,
    reply: Reply = Reply(silent=True),  # noqa: B008  frozen
) -> AsyncIterator[Simulator]:
    async with Simulator(ServiceScript(replies=(reply,), think_s=0, faults=faults)) as simulator:
        yield simulator


async def ask(client: RawClient) -> None:
    await client.send(realtimeInput={"text": "Hello?"})


async def audio_taken(client: RawClient) -> int:
    """Send audio until the connection accepts no more; return the number of accepted bytes."""
    client.socket.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    data = base64.b64encode(bytes(FRAME * 50)).decode()
    frame = json.dumps({"realtimeInput": {"audio": {"data": data, "mimeType": "audio/pcm"}}})
    taken = 0
    while taken < 16 * 1024 * 1024:
        try:
            async with asyncio.timeout(0.5):
                await client.socket.send(frame)
        except TimeoutError:
            return taken
        taken += len(frame)
    pytest.fail("the connection took everything")


def test_the_schedule_counts_occasions() -> None:
    book = FaultSchedule(
        [ScriptedFault(on="reply", nth=2, do="abort"), ScriptedFault(on="setup", do="abort")]
    )
    assert book.due("reply") == []
    assert [fault.nth for fault in book.due("reply")] == [2]
    assert book.due("reply") == []


def test_an_added_fault_counts_from_now() -> None:
    book = FaultSchedule([])
    book.due("reply")
    book.add(ScriptedFault(on="reply", nth=2, do="abort"))
    assert book.due("reply") == []
    assert len(book.due("reply")) == 1


async def test_a_setup_is_closed() -> None:
    fault = ScriptedFault(on="setup", do="close", code=1008, reason="session not found")
    async with running_simulator(fault) as simulator:
        async with dial(simulator) as client:
            await client.send(setup={"model": MODEL})
            assert await client.closing() == (1008, "session not found")
        async with dial(simulator) as client:
            await client.setup()


async def test_a_setup_is_never_completed() -> None:
    async with (
        running_simulator(ScriptedFault(on="setup", do="silent")) as simulator,
        dial(simulator) as client,
    ):
        await client.send(setup={"model": MODEL})
        await simulator.wait_for("fault")
        await ask(client)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.socket.recv()


async def test_the_silence_after_a_setup_can_end() -> None:
    async with (
        running_simulator(ScriptedFault(on="setup", do="silent", lasts_s=0.05)) as simulator,
        dial(simulator) as client,
    ):
        await client.send(setup={"model": MODEL})
        assert await client.closing() == (None, "")


async def test_a_go_away_comes_instead_of_setup_complete() -> None:
    async with (
        running_simulator(ScriptedFault(on="setup", do="wrong_first", left_s=5)) as simulator,
        dial(simulator) as client,
    ):
        await client.send(setup={"model": MODEL})
        assert await client.receive() == {"goAway": {"timeLeft": "5s"}}


async def test_the_connection_is_reset_in_mid_reply(tone: Tone) -> None:
    fault = ScriptedFault(on="reply", nth=2, after_s=0.1, do="abort")
    async with running_simulator(fault, reply=tone(0.5)) as simulator, dial(simulator) as client:
        await client.setup()
        await ask(client)
        await client.until("turnComplete")
        await ask(client)
        await client.until("modelTurn")
        assert await client.closing() == (None, "")
        await simulator.wait_for("closed")
        assert (simulator.connections[0].close_sent, simulator.connections[0].close_received) == (None, None)


async def test_a_go_away_is_announced_and_the_connection_closes(speech: bytes) -> None:
    fault = ScriptedFault(on="audio", after_s=0.05, do="go_away", left_s=0.2)
    async with running_simulator(fault) as simulator, dial(simulator) as client:
        await client.setup()
        await client.say(SILENCE)
        assert (await client.until("goAway"))[-1] == {"goAway": {"timeLeft": "0.2s"}}
        code, reason = await client.closing()
        assert code == 1011
        assert reason.startswith("Deadline expired")


async def test_the_end_of_a_turn_closes_the_connection(tone: Tone) -> None:
    fault = ScriptedFault(
        on="turn_end", do="close", code=1011, reason="The service is currently unavailable."
    )
    async with running_simulator(fault, reply=tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await ask(client)
        await client.until("turnComplete")
        assert (await client.closing())[1] == "The service is currently unavailable."


@pytest.mark.parametrize("on", ["speech", "speech_end", "reply", "reply_end"])
async def test_every_occasion_triggers_its_fault(on: Any, speech: bytes, tone: Tone) -> None:
    fault = ScriptedFault(on=on, do="close", code=4000, reason=on)
    async with running_simulator(fault, reply=tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        with pytest.raises(ConnectionClosed):  # noqa: PT012  whichever of the two notices first
            await client.say(speech + SILENCE)
            await client.until("turnComplete")
        await simulator.wait_for("closed")
        assert client.socket.close_code == 4000
        began, ended = "speech_began", "speech_ended"
        seen = {kind for kind in (began, ended, "reply_began", "reply_sent") if simulator.count(kind)}
        order = ["speech", "speech_end", "reply", "reply_end"].index(on)
        # Audio that was read together with the trigger is handled, perhaps with the end of the speech, but
        # not answered.
        assert seen - {ended} == {began, "reply_began", "reply_sent"} & {
            began,
            *[began, ended, "reply_began", "reply_sent"][: order + 1],
        }


async def test_a_frozen_connection_neither_reads_nor_writes(tone: Tone) -> None:
    async with running_simulator(ScriptedFault(on="reply", do="freeze"), reply=tone(1)) as simulator:
        async with dial(simulator) as client:
            await client.setup()
            await ask(client)
            begun = await client.until("modelTurn")
            assert audio_of(begun)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.socket.recv()
            pong = await client.socket.ping()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await pong
            assert await audio_taken(client) < 1024 * 1024
            assert simulator.connections[0].closed_at is None
            client.socket.transport.abort()
        async with dial(simulator) as client:
            await client.setup()


async def test_a_frozen_connection_can_be_reset_after_a_time(tone: Tone) -> None:
    fault = ScriptedFault(on="reply", do="freeze", lasts_s=0.1)
    async with running_simulator(fault, reply=tone(1)) as simulator, dial(simulator) as client:
        await client.setup()
        await ask(client)
        assert await client.closing() == (None, "")


async def test_a_frozen_connection_does_not_even_close_when_its_time_is_over(tone: Tone) -> None:
    faults = (
        ScriptedFault(on="reply", do="go_away", left_s=0.1),
        ScriptedFault(on="reply", after_s=0.02, do="freeze"),
    )
    async with running_simulator(*faults, reply=tone(1)) as simulator, dial(simulator) as client:
        await client.setup()
        await ask(client)
        await client.until("goAway")
        await simulator.wait_for("fault", 2)
        with pytest.raises(TimeoutError):  # noqa: PT012  what was under way may still come
            async with asyncio.timeout(0.4):
                while True:
                    await client.socket.recv()
        client.socket.transport.abort()


async def test_a_service_that_stops_reading_goes_on_writing(tone: Tone) -> None:
    async with (
        running_simulator(ScriptedFault(on="reply", do="stop_reading"), reply=tone(0.3)) as simulator,
        dial(simulator) as client,
    ):
        await client.setup()
        await ask(client)
        await client.until("turnComplete")
        assert await audio_taken(client) < 1024 * 1024
        assert len(simulator.sessions[0].audio) == 0
        client.socket.transport.abort()


async def test_junk_is_sent_as_it_is(tone: Tone) -> None:
    fault = ScriptedFault(on="reply", do="junk", text='{"error": {}}')
    async with running_simulator(fault, reply=tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await ask(client)
        assert {"error": {}} in await client.until("turnComplete")


async def test_a_fault_of_a_closed_connection_does_not_happen(tone: Tone) -> None:
    async with running_simulator(ScriptedFault(on="setup", after_s=0.1, do="junk", text="{}")) as simulator:
        async with dial(simulator) as client:
            await client.setup()
        await simulator.wait_for("closed")
        async with dial(simulator) as client:
            await client.setup()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.socket.recv()


async def test_a_fault_can_be_injected_by_a_test() -> None:
    async with running_simulator() as simulator:
        with pytest.raises(ValueError, match="needs an open connection"):
            simulator.inject(FaultAction(do="abort"))
        async with dial(simulator) as client:
            await client.setup()
            with pytest.raises(ValueError, match="use add"):
                simulator.inject(FaultAction(do="refuse"))
            simulator.inject(FaultAction(do="close", code=1001, reason="bye"))
            assert await client.closing() == (1001, "bye")


async def test_a_fault_can_be_added_later(tone: Tone) -> None:
    async with running_simulator(reply=tone(0.1)) as simulator, dial(simulator) as client:
        await client.setup()
        await ask(client)
        await client.until("turnComplete")
        simulator.add_fault(ScriptedFault(on="reply", do="close", code=4001))
        await ask(client)
        assert (await client.closing())[0] == 4001
