"""Start and end of the simulator, and the events that it reports."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest
from tests.simulator.raw_client import RawClient, dial, handle_of
from websockets.exceptions import InvalidMessage

from kioskd.errors import KioskError
from kioskd.simulator import Reply, ScriptedFault, ServiceScript, Simulator

Tone = Callable[[float], Reply]
QUIET = (Reply(silent=True),)


async def test_the_simulator_leaves_nothing_behind() -> None:
    async with Simulator(ServiceScript(replies=QUIET)) as simulator:
        folder = simulator.ca_file.parent
        assert simulator.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
        port = int(simulator.endpoint.rpartition(":")[2])
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_simulator_that_cannot_start_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(KioskError, match="xx-none"):
        async with Simulator(ServiceScript(voice="xx-none")):
            pytest.fail("it started")
    assert asyncio.all_tasks() == before


async def test_leaving_closes_connections_with_a_close_frame() -> None:
    async with Simulator(ServiceScript(replies=QUIET)) as simulator:
        context = dial(simulator)
        client = await context.__aenter__()
        await client.setup()
    assert (await client.closing())[0] == 1001
    await context.__aexit__(None, None, None)
    assert simulator.connections[0].closed_at is not None


async def test_leaving_does_not_wait_for_clients_that_do_not_answer(tone: Tone) -> None:
    faults = (ScriptedFault(on="reply", do="freeze"), ScriptedFault(on="connect", nth=2, do="silent"))
    before = asyncio.all_tasks()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        async with Simulator(ServiceScript(replies=(tone(1),), think_s=0, faults=faults)) as simulator:
            frozen = dial(simulator)
            client = await frozen.__aenter__()
            await client.setup()
            client.socket.transport.pause_reading()
            await client.send(realtimeInput={"text": "Hello?"})
            await simulator.wait_for("fault", 1)
            unanswered = tasks.create_task(never_answered(simulator))
            await simulator.wait_for("fault", 2)
            left = time.monotonic()
        assert time.monotonic() - left < 4
        await unanswered
        client.socket.transport.abort()
        await frozen.__aexit__(None, None, None)
    assert asyncio.all_tasks() == before


async def test_leaving_works_in_a_task_that_was_cancelled_before(tone: Tone) -> None:
    script = ServiceScript(replies=(tone(1),), think_s=0, faults=(ScriptedFault(on="reply", do="freeze"),))
    before = asyncio.all_tasks()
    clients: list[RawClient] = []
    frozen = asyncio.Event()
    left = 0.0

    async def visit() -> Simulator:
        nonlocal left
        async with Simulator(script) as simulator:
            context = dial(simulator)
            clients.append(await context.__aenter__())
            await clients[0].setup()
            clients[0].socket.transport.pause_reading()
            await clients[0].send(realtimeInput={"text": "Hello?"})
            await simulator.wait_for("fault")
            frozen.set()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()
            left = time.monotonic()
        assert time.monotonic() - left < 4
        clients[0].socket.transport.abort()
        await context.__aexit__(None, None, None)
        return simulator

    async with asyncio.timeout(60):
        visiting = asyncio.create_task(visit())
        await frozen.wait()
        visiting.cancel()
        simulator = await visiting
    assert simulator.connections[0].closed_at is not None
    assert asyncio.all_tasks() == before


async def never_answered(simulator: Simulator) -> None:
    with pytest.raises((ConnectionError, InvalidMessage)):
        async with dial(simulator):
            pytest.fail("the connection was opened")


async def test_events_are_reported_in_order(speech: bytes, tone: Tone) -> None:
    told: list[str] = []
    times: list[float] = []

    def observe(kind: str, data: dict[str, object]) -> None:
        told.append(kind)
        times.append(float(str(data["t"])))

    async with Simulator(ServiceScript(replies=(tone(0.1),), think_s=0), observe=observe) as simulator:
        async with dial(simulator) as client:
            await client.setup()
            await client.say(speech + bytes(32_000))
            await client.until("turnComplete")
            await client.until("sessionResumptionUpdate")
        await simulator.wait_for("closed")
    assert told == [
        "connected",
        "setup",
        "setup_complete",
        "handle_issued",
        "audio",
        "speech_began",
        "speech_ended",
        "reply_began",
        "reply_sent",
        "turn_complete",
        "handle_issued",
        "closed",
    ]
    assert times == sorted(times)


async def test_waiting_for_an_event_works_before_and_after_it() -> None:
    async with (
        Simulator(ServiceScript(replies=QUIET)) as simulator,
        asyncio.timeout(60),
        asyncio.TaskGroup() as tasks,
    ):
        second = tasks.create_task(simulator.wait_for("connected", 2))
        async with dial(simulator), dial(simulator):
            assert (await second)["connection"] == 2
            assert (await simulator.wait_for("connected"))["connection"] == 1


async def test_no_key_handle_or_speech_is_reported_or_logged(
    speech: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    script = ServiceScript(replies=(Reply(text="Pssst.", heard="what I heard"),), think_s=0, faults=())
    async with Simulator(script, observe=lambda kind, data: told.append(f"{kind} {data}")) as simulator:
        async with dial(simulator) as client:
            handle = handle_of(await client.setup(inputAudioTranscription={}))
            await client.say(speech + bytes(32_000))
            await client.send(realtimeInput={"text": "my own words"})
            await client.until("turnComplete")
        ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("kioskd"))
        everything = "\n".join(told) + ours + repr(simulator.sessions) + repr(simulator.connections)
    assert "turn_complete" in everything
    for secret in (simulator.key.get_secret_value(), handle, "my own words", "what I heard", "Pssst"):
        assert secret not in everything
