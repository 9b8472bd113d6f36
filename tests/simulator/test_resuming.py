"""Sessions that continue over several connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.simulator.raw_client import MODEL, RawClient, dial, handle_of

from kioskd.simulator import Reply, ScriptedFault, ServiceScript, Simulator

Tone = Callable[[float], Reply]
OTHER = "models/gemini-2.5-flash-native-audio-preview-12-2025"


@asynccontextmanager
async def running_simulator(reply: Reply = Reply(silent=True), **script: Any) -> AsyncIterator[Simulator]:  # noqa: B008  frozen
    async with Simulator(ServiceScript(replies=(reply,), think_s=0, **script)) as simulator:
        yield simulator


async def resume(client: RawClient, handle: str, **fields: object) -> list[dict[str, Any]]:
    return await client.setup(sessionResumption={"handle": handle}, **fields)


async def refusal(simulator: Simulator, handle: str, model: str = MODEL) -> tuple[int | None, str]:
    async with dial(simulator) as client:
        await client.send(setup={"model": model, "sessionResumption": {"handle": handle}})
        return await client.closing()


async def first_handle(simulator: Simulator) -> str:
    async with dial(simulator) as client:
        return handle_of(await client.setup())


async def test_a_session_goes_on_over_connections(speech: bytes) -> None:
    async with running_simulator() as simulator:
        async with dial(simulator) as client:
            handle = handle_of(await client.setup())
            await client.say(speech[:6400])
            await client.send(realtimeInput={"text": "a"})
            await client.until("turnComplete")
            handle = handle_of(await client.until("sessionResumptionUpdate"))
        async with dial(simulator) as client:
            resumed = await resume(client, handle)
            await client.say(speech[6400:9600])
            await client.send(realtimeInput={"text": "b"})
            await client.until("turnComplete")
        (session,) = simulator.sessions
        assert resumed[0]["setupComplete"]["sessionId"] == session.id
        assert bytes(session.audio) == speech[:9600]
        assert (session.texts, len(session.setups)) == (["a", "b"], 2)
        assert [(entry.session, entry.resumed) for entry in simulator.connections] == [
            (session.id, False),
            (session.id, True),
        ]


async def test_without_a_handle_a_new_session_begins() -> None:
    async with running_simulator() as simulator:
        await first_handle(simulator)
        async with dial(simulator) as client:
            await resume(client, "")
        assert len(simulator.sessions) == 2


async def test_the_newest_handle_can_be_used_again(tone: Tone) -> None:
    """A client that loses the connection before the next handle reaches it is not lost."""
    async with running_simulator(
        faults=tuple(ScriptedFault(on="setup", nth=nth, do="abort") for nth in (2, 3))
    ) as simulator:
        handle = await first_handle(simulator)
        for _ in range(2):
            assert (await refusal(simulator, handle))[0] is None
        async with dial(simulator) as client:
            await resume(client, handle)


async def test_a_new_handle_makes_the_old_one_invalid() -> None:
    async with running_simulator() as simulator:
        first = await first_handle(simulator)
        async with dial(simulator) as client:
            second = handle_of(await resume(client, first))
        assert (await refusal(simulator, first))[0] == 1008
        async with dial(simulator) as client:
            await resume(client, second)


@pytest.mark.parametrize("code", [1008, 1007])
async def test_an_unknown_handle_is_refused(code: int) -> None:
    async with running_simulator(unknown_handle=code) as simulator:
        assert await refusal(simulator, "nobody") == (code, "BidiGenerateContent session not found")
        assert simulator.sessions == []


async def test_a_handle_is_forgotten_after_its_time() -> None:
    async with running_simulator(handles_last_s=0) as simulator:
        handle = await first_handle(simulator)
        await simulator.wait_for("closed")
        assert (await refusal(simulator, handle))[0] == 1008


async def test_a_session_that_is_still_connected_cannot_be_resumed() -> None:
    async with running_simulator() as simulator, dial(simulator) as client:
        handle = handle_of(await client.setup())
        assert (await refusal(simulator, handle))[0] == 1011
        await client.socket.close()
        async with dial(simulator) as again:
            await resume(again, handle)


async def test_a_client_that_has_dropped_its_frozen_connection_may_resume(tone: Tone) -> None:
    async with running_simulator(tone(1), faults=(ScriptedFault(on="reply", do="freeze"),)) as simulator:
        async with dial(simulator) as client:
            handle = handle_of(await client.setup())
            await client.send(realtimeInput={"text": "Hello?"})
            await client.until("modelTurn")
            assert (await refusal(simulator, handle))[0] == 1011
            client.socket.transport.abort()
            await client.socket.wait_closed()
        async with dial(simulator) as client:
            await resume(client, handle)


async def test_a_session_keeps_its_model() -> None:
    async with running_simulator() as simulator:
        handle = await first_handle(simulator)
        assert (await refusal(simulator, handle, OTHER))[0] == 1007


async def test_the_rest_of_the_settings_may_change() -> None:
    async with running_simulator() as simulator:
        handle = await first_handle(simulator)
        async with dial(simulator) as client:
            await resume(client, handle, systemInstruction={"parts": [{"text": "Be brief."}]})


async def test_a_history_is_not_accepted_twice() -> None:
    old, history = "models/gemini-3.1-flash-live-preview", {"initialHistoryInClientContent": True}
    async with running_simulator() as simulator:
        async with dial(simulator) as client:
            handle = handle_of(await client.setup(model=old, historyConfig=history))
        async with dial(simulator) as client:
            await resume(client, handle, model=old, historyConfig=history)
            await client.send(clientContent={"turns": [{"parts": [{"text": "Hi"}]}], "turnComplete": True})
            assert (await client.closing())[0] == 1007


async def test_a_reply_that_was_cut_off_is_not_in_the_context(tone: Tone) -> None:
    fault = ScriptedFault(on="reply", do="abort")
    async with running_simulator(tone(0.4), faults=(fault,)) as simulator:
        async with dial(simulator) as client:
            handle = handle_of(await client.setup())
            await client.send(realtimeInput={"text": "x" * 400})
            await client.closing()
        async with dial(simulator) as client:
            await resume(client, handle)
            await client.send(realtimeInput={"text": "x" * 4})
            bill = (await client.until("usageMetadata"))[-1]
        assert bill["usageMetadata"]["promptTokenCount"] == 1


async def test_many_sessions_live_side_by_side(tone: Tone) -> None:
    async with running_simulator(tone(0.1)) as simulator:

        async def converse(words: str) -> None:
            async with dial(simulator) as client:
                await client.setup()
                await client.send(realtimeInput={"text": words})
                await client.until("turnComplete")

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for number in range(10):
                tasks.create_task(converse(str(number)))
        assert sorted(session.texts[0] for session in simulator.sessions) == [
            str(number) for number in range(10)
        ]
