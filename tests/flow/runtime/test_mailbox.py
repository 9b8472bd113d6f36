"""The mailbox: it keeps the order, and it is bounded."""

import asyncio

import pytest
from tests.support.kiosk import running, soon

from kioskd.core.events import Heartbeat, Pressed, VoiceBegan
from kioskd.flow.runtime.mailbox import BOUND, CALM, Mailbox


async def test_events_come_out_in_the_order_they_went_in() -> None:
    mailbox = Mailbox()
    mailbox.post(Pressed())
    mailbox.post(VoiceBegan())

    assert await soon(mailbox.take()) == Pressed()
    assert await soon(mailbox.take()) == VoiceBegan()


async def test_an_empty_box_waits_for_the_next_event() -> None:
    mailbox = Mailbox()
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    assert not taking.done()

    mailbox.post(Pressed())

    async with asyncio.timeout(1):
        assert await taking == Pressed()


async def test_a_cancelled_take_loses_no_event() -> None:
    mailbox = Mailbox()
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking], timeout=1)

    mailbox.post(Pressed())

    assert await soon(mailbox.take()) == Pressed()


async def test_a_flood_drops_only_its_own_oldest_events(caplog: pytest.LogCaptureFixture) -> None:
    mailbox = Mailbox()
    mailbox.post(Pressed())
    for beat in range(3 * BOUND):
        mailbox.post(Heartbeat(beat))
    mailbox.post(VoiceBegan())

    found = [await soon(mailbox.take()) for _ in range(BOUND)]
    assert found[0] == Pressed()
    assert found[1:-1] == [Heartbeat(beat) for beat in range(2 * BOUND + 2, 3 * BOUND)]
    assert found[-1] == VoiceBegan()
    assert [record.getMessage() for record in caplog.records] == [
        "inbox is full, dropping the oldest events of one kind: kind=Heartbeat"
    ]


async def test_the_reader_of_a_peer_waits_until_the_core_has_caught_up() -> None:
    mailbox = Mailbox()
    await soon(mailbox.room())
    for beat in range(BOUND):
        mailbox.post(Heartbeat(beat))
    waiting = asyncio.create_task(mailbox.room())
    for _ in range(BOUND - CALM):
        assert not waiting.done()
        await soon(mailbox.take())
    async with asyncio.timeout(1):
        await waiting


async def test_emptying_a_full_mailbox_does_not_block_other_tasks() -> None:
    mailbox = Mailbox()
    for beat in range(100):
        mailbox.post(Heartbeat(beat))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with running(others()):
        for _ in range(100):
            await mailbox.take()
        assert turns >= 4
