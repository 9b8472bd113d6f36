"""The pacer: pictures of all senders go one at a time, and only while no sound waits."""

import asyncio
from functools import partial

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.fakes_live import ScriptedConnection

from kioskd.errors import LinkLost
from kioskd.flow.link.picture_pacer import BACKLOG_BYTES, PATIENCE_S, PicturePacer


def always() -> bool:
    return True


async def test_of_two_waiting_pictures_the_second_waits_until_the_first_has_arrived() -> None:
    clock, connection = ManualClock(), ScriptedConnection(resumed=False)
    quiet = False
    way = PicturePacer(clock, uplink_idle=lambda: quiet)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for sending in (connection.send_picture, partial(_show, connection)):
            group.create_task(way.send(connection, partial(sending, b"picture"), wanted=always))
        await clock.advance(1.0)
        assert list(connection.sent) == []
        quiet, connection.arrived = True, 0
        await clock.advance(1.0)
        assert len(connection.sent) == 1
        assert way.busy(connection)
        connection.arrived = connection.written
        await clock.advance(PATIENCE_S)
        assert len(connection.sent) == 2


async def _show(connection: ScriptedConnection, jpeg: bytes) -> None:
    await connection.show_pictures([jpeg])


async def test_a_picture_that_is_not_wanted_any_more_is_not_sent() -> None:
    clock, connection = ManualClock(), ScriptedConnection(resumed=False)
    connection.backlog = BACKLOG_BYTES + 1
    wanted = True
    way = PicturePacer(clock, uplink_idle=always)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        sending = group.create_task(
            way.send(connection, partial(connection.send_picture, b"picture"), wanted=lambda: wanted)
        )
        await clock.advance(1.0)
        wanted = False
        connection.backlog = 0
        await clock.advance(PATIENCE_S)
        assert await sending is False
    assert list(connection.sent) == []


async def test_a_picture_on_a_lost_connection_does_not_block_the_next_one() -> None:
    clock, first, second = ManualClock(), ScriptedConnection(resumed=False), ScriptedConnection(resumed=False)
    way = PicturePacer(clock, uplink_idle=always)
    first.drop()
    async with asyncio.timeout(60):
        with pytest.raises(LinkLost):
            await way.send(first, partial(first.send_picture, b"picture"), wanted=always)
        assert await way.send(second, partial(second.send_picture, b"picture"), wanted=always)
    assert list(second.pictures) == [b"picture"]
