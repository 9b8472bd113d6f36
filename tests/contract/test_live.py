"""The behaviour that all `ports.Live` share: in memory, and over TLS to a server on loopback."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

import pytest
from pydantic import SecretStr
from tests.support.fakes_live import ScriptedConnection, ScriptedLive
from tests.support.live_server import LiveServer, accept_setup, live_server, read_json
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini import GeminiConfig, GeminiLive
from kioskd.errors import LinkLost, Remedy
from kioskd.ports import (
    Connection,
    Interrupted,
    Live,
    Message,
    ReplyAudio,
    ResumptionUpdate,
    SpokenText,
    ToolAnswer,
    ToolCall,
    ToolCallsCancelled,
    ToolsCalled,
    TurnComplete,
)

HANDLE = SecretStr("handle")
FRAME = bytes(range(256)) * 2 + bytes(128)
JPEG = b"\xff\xd8\xff\xe0a picture"
CALLS = ToolsCalled((ToolCall("1", "open_door", {"which": "left"}), ToolCall("2", "look", {})))
ANSWERS = (
    ToolAnswer("1", "open_door", {"status": "ok", "message": "open"}, scheduling="interrupt"),
    ToolAnswer("2", "look", {"status": "ok", "message": "here it is"}, picture=JPEG),
)
RECALL = (
    SpokenText(by_visitor=True, text="Where is the exit?"),
    SpokenText(by_visitor=False, text="Left."),
    SpokenText(by_visitor=True, text="Thanks."),
)


class Peer(Protocol):
    """The service's side of one connection."""

    async def say(self, *messages: Message) -> None:
        """Send one message."""

    async def drop(self) -> None:
        """Break the connection."""

    async def heard(self, byte_count: int) -> bytes:
        """Wait for `byte_count` bytes of audio, and return them."""

    async def heard_texts(self, count: int) -> list[str]:
        """Wait for `count` texts, and return them."""

    async def seen(self, count: int) -> list[bytes]:
        """Wait for `count` pictures, and return them."""

    async def shown(self, count: int) -> list[bytes]:
        """Wait until `count` pictures were shown at once, and return them."""

    async def answered(self, count: int) -> list[tuple[str, str, str, bytes | None]]:
        """Wait for `count` answers, and return the id, name, message and picture of each."""

    async def told(self) -> list[tuple[str, str]]:
        """Wait for the earlier texts of the new session, and return them by role."""

    async def hung_up(self) -> None:
        """Wait until the other side has closed the connection."""


class Stage(Protocol):
    """A service that the test controls, and the adapter that dials it."""

    live: Live

    async def accept(self) -> Peer:
        """Wait for the next dial, and accept it."""

    async def refuse(self, remedy: Remedy) -> None:
        """Wait for the next dial, and refuse it in a way that leads to this remedy."""

    async def dialed(self) -> None:
        """Wait for the next dial, and do not answer it."""


class ScriptedPeer:
    def __init__(self, connection: ScriptedConnection) -> None:
        self._connection = connection

    async def say(self, *messages: Message) -> None:
        self._connection.say(*messages)

    async def drop(self) -> None:
        self._connection.drop()

    async def heard(self, byte_count: int) -> bytes:
        return await self._connection.heard(byte_count)

    async def heard_texts(self, count: int) -> list[str]:
        await self._connection.until(lambda: len(self._connection.texts) >= count)
        return list(self._connection.texts)

    async def seen(self, count: int) -> list[bytes]:
        await self._connection.until(lambda: len(self._connection.pictures) >= count)
        return list(self._connection.pictures)

    async def shown(self, count: int) -> list[bytes]:
        await self._connection.until(lambda: len(self._connection.shown) >= count)
        return list(self._connection.shown)

    async def answered(self, count: int) -> list[tuple[str, str, str, bytes | None]]:
        await self._connection.until(lambda: len(self._connection.answers) >= count)
        return [
            (answer.id, answer.name, str(answer.result["message"]), answer.picture)
            for answer in self._connection.answers
        ]

    async def told(self) -> list[tuple[str, str]]:
        return [("user" if said.by_visitor else "model", said.text) for said in self._connection.recall]

    async def hung_up(self) -> None:
        await self._connection.hung_up()


class ScriptedStage:
    def __init__(self) -> None:
        self.script = ScriptedLive()
        self.live: Live = self.script

    async def accept(self) -> Peer:
        return ScriptedPeer(await self.script.accept())

    async def refuse(self, remedy: Remedy) -> None:
        await self.script.refuse(LinkLost("by the script", remedy=remedy))

    async def dialed(self) -> None:
        await self.script.dialed()


class WirePeer:
    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def say(self, *messages: Message) -> None:
        content: dict[str, object] = {}
        fields: dict[str, object] = {"serverContent": content}
        for message in messages:
            match message:
                case ReplyAudio(pcm):
                    data = base64.b64encode(pcm).decode()
                    content["modelTurn"] = {
                        "parts": [{"inlineData": {"mimeType": "audio/pcm", "data": data}}]
                    }
                case TurnComplete():
                    content["turnComplete"] = True
                case Interrupted():
                    content["interrupted"] = True
                case ResumptionUpdate(handle):
                    update = {"newHandle": handle.get_secret_value(), "resumable": True}
                    fields["sessionResumptionUpdate"] = update
                case ToolsCalled(calls):
                    fields["toolCall"] = {
                        "functionCalls": [
                            {"id": call.id, "name": call.name, "args": call.arguments} for call in calls
                        ]
                    }
                case ToolCallsCancelled(ids):
                    fields["toolCallCancellation"] = {"ids": ids}
                case _:
                    raise NotImplementedError(message)
        await self._connection.send(json.dumps(fields))

    async def drop(self) -> None:
        self._connection.transport.abort()

    async def heard(self, byte_count: int) -> bytes:
        found = b""
        while len(found) < byte_count:
            audio = (await read_json(self._connection))["realtime_input"]["audio"]
            found += base64.urlsafe_b64decode(audio["data"])
        return found

    async def heard_texts(self, count: int) -> list[str]:
        return [(await read_json(self._connection))["realtime_input"]["text"] for _ in range(count)]

    async def seen(self, count: int) -> list[bytes]:
        return [
            base64.urlsafe_b64decode((await read_json(self._connection))["realtime_input"]["video"]["data"])
            for _ in range(count)
        ]

    async def shown(self, count: int) -> list[bytes]:
        content = (await read_json(self._connection))["client_content"]
        assert content["turnComplete"] is False
        (turn,) = content["turns"]
        assert len(turn["parts"]) == count
        return [base64.urlsafe_b64decode(part["inlineData"]["data"]) for part in turn["parts"]]

    async def answered(self, count: int) -> list[tuple[str, str, str, bytes | None]]:
        responses = (await read_json(self._connection))["tool_response"]["functionResponses"]
        assert len(responses) == count
        return [
            (
                response["id"],
                response["name"],
                response["response"]["message"],
                base64.urlsafe_b64decode(response["parts"][0]["inline_data"]["data"])
                if "parts" in response
                else None,
            )
            for response in responses
        ]

    async def told(self) -> list[tuple[str, str]]:
        content = (await read_json(self._connection))["client_content"]
        assert content["turnComplete"] is True
        return [(turn["role"], turn["parts"][0]["text"]) for turn in content["turns"]]

    async def hung_up(self) -> None:
        await self._connection.wait_closed()


class WireStage:
    """A stage whose server passes each connection to the test, and waits until it is closed."""

    closes: Final = {
        Remedy.RESUME: (1001, "going away"),
        Remedy.RESUME_LATER: (1011, "Internal error"),
        Remedy.FRESH: (1007, "invalid argument"),
        Remedy.QUOTA: (1011, "quota exhausted"),
        Remedy.SETTINGS: (1008, "model x is not supported"),
    }

    def __init__(self, server: LiveServer, dials: asyncio.Queue[ServerConnection]) -> None:
        self.live: Live = GeminiLive(
            GeminiConfig(
                key=SecretStr("key"),
                model="m",
                voice="Kore",
                endpoint=server.endpoint,
                ca_file=server.ca_file,
            )
        )
        self._dials = dials

    async def accept(self) -> Peer:
        connection = await self._dials.get()
        await accept_setup(connection)
        return WirePeer(connection)

    async def refuse(self, remedy: Remedy) -> None:
        connection = await self._dials.get()
        await connection.recv()
        await connection.close(*self.closes[remedy])

    async def dialed(self) -> None:
        await self._dials.get()


@pytest.fixture(params=["scripted", "gemini"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "scripted":
        yield ScriptedStage()
        return
    dials: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def hand_over(connection: ServerConnection) -> None:
        dials.put_nowait(connection)
        await connection.wait_closed()

    async with live_server(hand_over) as server:
        yield WireStage(server, dials)


@contextlib.asynccontextmanager
async def connected(
    stage: Stage, handle: SecretStr | None = None, recall: Sequence[SpokenText] = ()
) -> AsyncIterator[tuple[Connection, Peer]]:
    """Yield both ends of a connection, for 60 s at most."""
    async with asyncio.timeout(60):
        accepting = asyncio.create_task(stage.accept())
        async with stage.live.connect(handle, recall) as connection:
            yield connection, await accepting


async def dial(stage: Stage, handle: SecretStr | None = None) -> None:
    async with stage.live.connect(handle):
        pass


async def test_warm_up_may_be_called_again(stage: Stage) -> None:
    await stage.live.warm_up()
    await stage.live.warm_up()
    async with connected(stage):
        pass


@pytest.mark.parametrize("handle", [None, HANDLE])
async def test_a_connection_knows_whether_it_resumes_a_session(
    stage: Stage, handle: SecretStr | None
) -> None:
    async with connected(stage, handle) as (connection, _peer):
        assert connection.resumed == (handle is not None)


async def test_messages_arrive_one_by_one(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await peer.say(ReplyAudio(FRAME))
        await peer.say(ReplyAudio(FRAME), TurnComplete(), ResumptionUpdate(HANDLE))
        await peer.say(Interrupted(), TurnComplete())
        assert list(await connection.receive()) == [ReplyAudio(FRAME)]
        assert list(await connection.receive()) == [
            ReplyAudio(FRAME),
            TurnComplete(),
            ResumptionUpdate(HANDLE),
        ]
        assert list(await connection.receive()) == [Interrupted(), TurnComplete()]


async def test_audio_and_texts_arrive(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await connection.send_audio(FRAME)
        await connection.send_audio(FRAME[::-1])
        assert await peer.heard(2 * len(FRAME)) == FRAME + FRAME[::-1]
        await connection.send_text("first")
        await connection.send_text("second")
        assert await peer.heard_texts(2) == ["first", "second"]
        await connection.end_audio()


async def test_calls_and_cancellations_arrive(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await peer.say(CALLS)
        await peer.say(Interrupted(), ToolCallsCancelled(("1", "2")))
        assert list(await connection.receive()) == [CALLS]
        assert list(await connection.receive()) == [Interrupted(), ToolCallsCancelled(("1", "2"))]


async def test_calls_are_answered_together_and_in_order(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await connection.answer(())
        await connection.answer(ANSWERS)
        assert await peer.answered(2) == [
            ("1", "open_door", "open", None),
            ("2", "look", "here it is", JPEG),
        ]


async def test_pictures_arrive(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await connection.send_picture(JPEG)
        await connection.send_picture(JPEG[:-1])
        assert await peer.seen(2) == [JPEG, JPEG[:-1]]


async def test_pictures_for_the_memory_arrive_in_one_message(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await connection.show_pictures(())
        await connection.show_pictures((JPEG, JPEG[:-1]))
        assert await peer.shown(2) == [JPEG, JPEG[:-1]]


async def test_a_connection_that_takes_everything_has_no_backlog(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await connection.send_audio(FRAME)
        await peer.heard(len(FRAME))
        assert connection.backlog == 0
    assert connection.backlog == 0


async def test_frames_are_counted_in_any_mix_of_messages(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        for number in range(1, 6):
            await connection.begin_audio()
            await connection.send_audio(FRAME)
            await peer.heard(len(FRAME))
            await connection.send_picture(JPEG)
            await peer.seen(1)
            await connection.answer(ANSWERS[:1])
            await peer.answered(1)
            assert connection.delivered <= number
    assert connection.delivered == 5


async def test_a_frame_counts_as_delivered_when_the_service_has_taken_it(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        assert connection.delivered == 0
        for _ in range(10):
            await connection.send_audio(FRAME)
            await peer.heard(len(FRAME))
        await connection.end_audio()
    assert connection.delivered == 10


async def test_a_new_session_gets_the_earlier_texts(stage: Stage) -> None:
    async with connected(stage, recall=RECALL) as (_connection, peer):
        assert await peer.told() == [("user", "Where is the exit?"), ("model", "Left."), ("user", "Thanks.")]


async def test_a_resumed_session_gets_no_earlier_texts(stage: Stage) -> None:
    async with connected(stage, HANDLE, recall=RECALL) as (connection, peer):
        await connection.send_text("first")
        assert await peer.heard_texts(1) == ["first"]


async def test_messages_from_before_a_loss_are_still_received(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        await peer.say(TurnComplete())
        assert list(await connection.receive()) == [TurnComplete()]
        await peer.drop()
        with pytest.raises(LinkLost):
            await connection.receive()


async def test_after_a_loss_every_call_raises(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        waiting = asyncio.create_task(connection.receive())
        await peer.drop()
        with pytest.raises(LinkLost):
            await waiting
        for call in (
            connection.receive(),
            connection.send_audio(FRAME),
            connection.end_audio(),
            connection.send_text("text"),
            connection.send_picture(JPEG),
            connection.show_pictures((JPEG,)),
            connection.send_context("text"),
            connection.answer(ANSWERS),
        ):
            with pytest.raises(LinkLost):
                await call


async def test_a_cancelled_receive_leaves_the_message_to_the_next(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        waiting = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await peer.say(TurnComplete())
        assert list(await connection.receive()) == [TurnComplete()]


@pytest.mark.parametrize("remedy", WireStage.closes)
async def test_a_refusal_names_its_remedy(stage: Stage, remedy: Remedy) -> None:
    async with asyncio.timeout(60):
        refusing = asyncio.create_task(stage.refuse(remedy))
        with pytest.raises(LinkLost) as caught:
            await dial(stage, HANDLE)
        assert caught.value.remedy is remedy
        await refusing


async def test_a_refusal_does_not_affect_the_next_dial(stage: Stage) -> None:
    async with asyncio.timeout(60):
        refusing = asyncio.create_task(stage.refuse(Remedy.RESUME))
        with pytest.raises(LinkLost):
            await dial(stage)
        await refusing
    async with connected(stage) as (connection, peer):
        await peer.say(TurnComplete())
        assert list(await connection.receive()) == [TurnComplete()]


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
async def test_leaving_the_block_hangs_up(stage: Stage, error: type[Exception] | None) -> None:
    with pytest.raises(error) if error else contextlib.nullcontext():
        async with connected(stage) as (_connection, peer):
            if error:
                raise error
    async with asyncio.timeout(60):
        await peer.hung_up()


async def test_a_closed_connection_is_lost(stage: Stage) -> None:
    async with connected(stage) as (connection, _peer):
        pass
    with pytest.raises(LinkLost):
        await connection.receive()
    with pytest.raises(LinkLost):
        await connection.send_audio(FRAME)


async def test_cancelling_the_block_hangs_up(stage: Stage) -> None:
    async def visit() -> None:
        async with stage.live.connect(None) as connection:
            await connection.receive()

    async with asyncio.timeout(60):
        visiting = asyncio.create_task(visit())
        peer = await stage.accept()
        visiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        await peer.hung_up()


async def test_a_cancelled_dial_can_be_followed_by_another(stage: Stage) -> None:
    async with asyncio.timeout(60):
        dialing = asyncio.create_task(dial(stage))
        await stage.dialed()
        dialing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialing
    async with connected(stage) as (connection, peer):
        await connection.send_audio(FRAME)
        assert await peer.heard(len(FRAME)) == FRAME


async def test_two_receives_at_once_are_a_bug(stage: Stage) -> None:
    async with connected(stage) as (connection, peer):
        first = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await connection.receive()
        await peer.say(TurnComplete())
        assert list(await first) == [TurnComplete()]
