"""Deadlines, limits and the close of the socket under a Live session."""

import asyncio

import pytest
from tests.support.live_server import (
    accept_setup,
    live_server,
    read_json,
)
from tests.support.live_visits import connected, deaf, dial, live_at, no_other_task, talk, thaw
from websockets.asyncio.server import ServerConnection

from kioskd.adapters.gemini import GeminiLive
from kioskd.adapters.gemini.live_socket import Deadlines
from kioskd.errors import LinkLost, Remedy


async def test_a_service_that_never_answers_the_setup_is_lost_in_time() -> None:
    async def mute(peer: ServerConnection) -> None:
        await peer.wait_closed()

    async with live_server(mute) as server, asyncio.timeout(60):
        with pytest.raises(LinkLost, match=r"no answer to the setup within 0\.3 s"):
            await dial(live_at(server.endpoint, server.ca_file, Deadlines(setup_s=0.3)))
        await server.emptied.wait()
        await no_other_task()


@pytest.mark.parametrize(
    "first",
    [
        "{}",
        '{"goAway": {"timeLeft": "5s"}}',
        '{"error": {"code": 400}}',
        '{"code": 503}',
        '{"setupComplete": null}',
        '{"setupComplete": 5}',
        "[]",
        "junk",
        "",
        b"\xff\xfe\xff",
        "[" * 50_000,
    ],
    ids=lambda first: repr(first)[:30],
)
async def test_another_first_message_than_the_setups_answer_is_a_lost_link(first: str | bytes) -> None:
    async def service(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(first)
        await peer.wait_closed()

    async with live_server(service) as server:
        with pytest.raises(LinkLost, match="answered the setup with another message") as caught:
            await dial(live_at(server.endpoint, server.ca_file), "a-handle")
        assert caught.value.remedy is Remedy.RESUME_LATER
        await server.emptied.wait()


async def test_a_message_beyond_the_limit_ends_the_connection_and_says_why() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await peer.send(b" " * (8 * 2**20 + 1))
        await peer.wait_closed()

    async with connected(service) as connection:
        with pytest.raises(LinkLost, match="ended by this side, 1009"):
            await connection.receive()


async def test_a_send_to_a_peer_that_accepts_no_data_is_lost_in_time() -> None:
    loop = asyncio.get_running_loop()
    async with connected(deaf, Deadlines(send_s=0.3), receive_buffer=4096) as connection:
        with pytest.raises(LinkLost, match=r"accepted no data for 0\.3 s"):
            await talk(connection)
        with pytest.raises(LinkLost):
            await connection.receive()
        left_at = loop.time()
    assert loop.time() - left_at < 2


async def test_a_full_buffer_does_not_delay_the_close() -> None:
    loop = asyncio.get_running_loop()
    left_at = 0.0
    patient = Deadlines(send_s=60)
    async with connected(deaf, patient, receive_buffer=4096) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await talk(connection)
        left_at = loop.time()
    assert loop.time() - left_at < 2


async def test_the_kernel_finds_a_dead_link_while_audio_flows() -> None:
    async with connected(deaf, Deadlines(send_s=60, unacknowledged_s=0.5), receive_buffer=4096) as connection:
        talking = asyncio.create_task(talk(connection))
        with pytest.raises(LinkLost, match="1006"):
            await connection.receive()
        with pytest.raises(LinkLost, match="1006"):
            await talking


async def test_cancelling_a_hang_up_still_closes_the_socket() -> None:
    leaving = asyncio.Event()

    async def visit(live: GeminiLive) -> None:
        async with live.connect(None) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await talk(connection)
            leaving.set()

    async with live_server(deaf, receive_buffer=4096) as server, asyncio.timeout(60):
        live = live_at(server.endpoint, server.ca_file, Deadlines(hang_up_s=30))
        visiting = asyncio.create_task(visit(live))
        await leaving.wait()
        visiting.cancel()
        left_at = asyncio.get_running_loop().time()
        with pytest.raises(asyncio.CancelledError):
            await visiting
        assert asyncio.get_running_loop().time() - left_at < 1
        await thaw(server)
        await no_other_task()


async def test_a_peer_that_freezes_during_the_close_is_dropped() -> None:
    async def service(peer: ServerConnection) -> None:
        await accept_setup(peer)
        await read_json(peer)
        peer.transport.pause_reading()
        await peer.close(1011, "and never lets go")

    loop = asyncio.get_running_loop()
    left_at = 0.0
    async with connected(service) as connection:
        await connection.end_audio()
        left_at = loop.time()
    assert loop.time() - left_at < 2


def test_the_deadlines_keep_what_the_port_promises() -> None:
    deadlines = Deadlines()
    assert deadlines.open_s + deadlines.setup_s <= 20
    assert deadlines.send_s == 5
    assert deadlines.hang_up_s <= 0.5
