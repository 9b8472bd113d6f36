"""A service that sends too much at once: the session goes on, and the event loop is not blocked."""

import json
from typing import Final

import pytest
from pydantic import SecretStr
from tests.support.gemini import live
from tests.support.live_server import LiveServer, accept_setup
from tests.support.loop_holds import Holds, holds
from tests.support.service_thread import service_thread
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from kioskd.adapters.gemini.intake import TooManyFields, check_fields
from kioskd.errors import LinkLost
from kioskd.ports import ResumptionUpdate, SpokenText

LAST: Final = json.dumps({"sessionResumptionUpdate": {"newHandle": "last", "resumable": True}})


async def heard(server: LiveServer, *, until: object) -> tuple[list[object], Holds]:
    """Return the messages of a connection up to `until`, and the longest time that they blocked the event
    loop.
    """
    found: list[object] = []
    async with live(server).connect(None) as connection:
        with holds() as longest:
            while until not in found:
                found += await connection.receive()
    return found, longest


@pytest.mark.parametrize("parts", [1_200_000, 1_300])
async def test_a_message_of_many_fields_neither_blocks_the_loop_nor_ends_the_session(parts: int) -> None:
    message = '{"serverContent":{"modelTurn":{"parts":[' + ",".join(["{}"] * parts) + "]}}}"

    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        await connection.send(message)
        await connection.send(LAST)
        await connection.wait_closed()

    with service_thread(talk) as server:
        found, longest = await heard(server, until=ResumptionUpdate(SecretStr("last")))
    assert found == [ResumptionUpdate(SecretStr("last"))]
    assert longest.longest_s < longest.limit_s, longest


LARGE: Final = 4_900_000


@pytest.mark.parametrize(
    "message",
    [
        '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm","data":"%s"}}]}}}'
        % ("A" * LARGE),
        '{"serverContent":{"inputTranscription":{"text":"%s"}}}' % ("\\ud83d" * (LARGE // 6)),
        '{"toolCall":{"functionCalls":[{"id":"a","name":"%s"}]}}' % ("n" * LARGE),
        "{" + "x" * LARGE,
    ],
    ids=["sound", "half characters", "a name", "no JSON"],
)
async def test_the_largest_message_blocks_the_loop_for_two_frames_at_most(message: str) -> None:
    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        await connection.send(message)
        await connection.send(LAST)
        await connection.wait_closed()

    with service_thread(talk) as server:
        found, longest = await heard(server, until=ResumptionUpdate(SecretStr("last")))
    assert len(found) <= 2
    assert longest.longest_s < longest.limit_s, longest


async def test_a_hundred_thousand_frames_in_one_read_do_not_block_the_loop() -> None:
    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        text = b'{"serverContent":{"inputTranscription":{"text":"a"}}}'
        frame = bytes([0x81, len(text)]) + text
        connection.transport.write(frame * 2_000 + b"\x8a\x00" * 100_000)  # unasked pongs
        await connection.send(LAST)
        await connection.wait_closed()

    with service_thread(talk) as server:
        found, longest = await heard(server, until=ResumptionUpdate(SecretStr("last")))
    assert found == [SpokenText(True, "a")] * 2_000 + [ResumptionUpdate(SecretStr("last"))]
    assert longest.longest_s < longest.limit_s, longest


async def test_a_close_behind_a_burst_is_understood() -> None:
    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        connection.transport.write(b"\x8a\x00" * 10_000)
        await connection.close(1011, "overloaded")

    with service_thread(talk) as server, pytest.raises(LinkLost, match="1011 overloaded"):
        await heard(server, until=None)


async def test_a_service_that_sends_pings_and_accepts_no_pongs_is_dropped() -> None:
    async def talk(connection: ServerConnection) -> None:
        await accept_setup(connection)
        connection.transport.pause_reading()
        ping = (b"\x89\x7d" + bytes(125)) * 500
        try:
            while True:
                connection.transport.write(ping)
                await connection.ping()
        except ConnectionClosed:
            return

    with service_thread(talk) as server, pytest.raises(LinkLost, match="accepted no data"):
        await heard(server, until=None)


def test_sound_of_any_length_is_one_field() -> None:
    check_fields('{"data":"%s"}' % ("A" * 2**22))
    with pytest.raises(TooManyFields):
        check_fields("[" * 5000)
