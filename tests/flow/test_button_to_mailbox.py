"""A press is an event, whatever becomes of the button in between."""

import logging

import pytest
from tests.support.kiosk import Inbox, running

from kioskd.adapters.memory import ManualClock, MemoryButton
from kioskd.core.events import Pressed
from kioskd.flow.attendant import RETRY_S
from kioskd.flow.button_to_mailbox import ButtonToMailbox


async def test_each_press_is_an_event() -> None:
    clock, inbox, button = ManualClock(), Inbox(), MemoryButton()
    async with running(ButtonToMailbox(button, inbox.post, clock).run()):
        button.press()
        button.press()
        assert await inbox.take(2) == [Pressed(), Pressed()]


async def test_a_button_that_comes_back_works_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, inbox, button = ManualClock(), Inbox(), MemoryButton()
    async with running(ButtonToMailbox(button, inbox.post, clock).run()):
        button.press()
        await inbox.take()
        button.unplug()
        await clock.advance(5.0)
        button.replug()
        await clock.advance(RETRY_S)

        button.press()

        assert await inbox.take() == [Pressed()]
    assert sum("button lost" in message for message in caplog.messages) == 1
    assert sum("button back" in message for message in caplog.messages) == 1


async def test_a_button_never_pressed_and_lost_after_an_hour_is_waited_for() -> None:
    clock, inbox, button = ManualClock(), Inbox(), MemoryButton()
    async with running(ButtonToMailbox(button, inbox.post, clock).run()):
        await clock.advance(3600.0)
        button.unplug()
        await clock.advance(RETRY_S / 2)
        button.replug()
        await clock.advance(RETRY_S)

        button.press()

        assert await inbox.take() == [Pressed()]
