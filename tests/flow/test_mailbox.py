"""The inbox keeps the order and has a bound."""

import asyncio

import pytest
from tests.support.kiosk import soon

from kioskd.core.events import Heartbeat, Pressed, VoiceBegan
from kioskd.flow.mailbox import BOUND, Mailbox


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


async def test_a_taker_that_is_cancelled_takes_nothing_with_it() -> None:
    mailbox = Mailbox()
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking], timeout=1)

    mailbox.post(Pressed())

    assert await soon(mailbox.take()) == Pressed()


async def test_a_full_box_is_a_bug_of_who_should_read_it() -> None:
    mailbox = Mailbox()
    for beat in range(BOUND):
        mailbox.post(Heartbeat(beat))

    with pytest.raises(asyncio.QueueFull):
        mailbox.post(Pressed())
