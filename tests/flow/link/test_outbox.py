"""The outbox: texts and pictures go in order, pictures after the sound, and texts soon after pictures."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import running

from kioskd.flow.link.outbox import ASKED_S, FIRST_S, SHOWING_S, Background, Outbox
from kioskd.flow.link.picture_pacer import PicturePacer


class Bench:
    """An outbox, and a connection with or without room for pictures."""

    def __init__(self) -> None:
        self.clock, self.connection = ManualClock(), ScriptedConnection(resumed=False)
        self.room = True
        self.outbox = Outbox(PicturePacer(self.clock, uplink_idle=lambda: self.room), self.clock)
        self.outbox.open()
        self.fates: list[str] = []

    @property
    def sent(self) -> list[str]:
        """The kinds of the sent items, in order."""
        return list(self.connection.sent)

    @asynccontextmanager
    async def up(self, connection: ScriptedConnection | None = None) -> AsyncIterator[None]:
        """Run the sender on a connection."""
        self.connection = connection or self.connection
        async with running(self.outbox.send(self.connection)):
            await self.clock.advance(0)
            yield

    def show(self, jpeg: bytes) -> None:
        """Request that a picture is shown."""
        assert self.outbox.put(jpeg, self.fates.append)


async def test_texts_wait_a_few_seconds_for_a_sessions_first_pictures() -> None:
    it = Bench()
    it.room = False
    it.outbox.begin([b"map", b"plan"])
    it.outbox.greet("Say hello.")
    async with it.up():
        await it.clock.advance(FIRST_S - 0.1)
        assert it.sent == []
        await it.clock.advance(0.2)
        assert it.sent == ["text"]
        it.outbox.put("What is on the map?")
        await it.clock.advance(0.1)
        assert it.sent == ["text", "text"], "the pictures have had their time"
        it.room = True
        await it.clock.advance(0.1)
        assert it.sent == ["text", "text", "show", "show"]


async def test_first_pictures_without_room_are_dropped_in_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Bench()
    it.room = False
    it.outbox.begin([b"map", b"plan"])
    async with it.up():
        await it.clock.advance(SHOWING_S + 0.1)
        it.room = True
        await it.clock.advance(1.0)
    assert it.sent == []
    assert caplog.messages == [
        "pictures dropped, the line to the service is too slow: count=2 waited=30s",
    ]


async def test_texts_wait_a_few_seconds_for_any_number_of_requested_pictures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Bench()
    it.room = False
    async with it.up():
        for jpeg in (b"one", b"two", b"three"):
            it.show(jpeg)
        it.outbox.put("What do you see?")
        await it.clock.advance(ASKED_S - 0.1)
        assert (it.sent, it.fates) == ([], [])
        await it.clock.advance(0.2)
    assert it.sent == ["text"]
    assert it.fates == ["the line to the service is too slow for pictures; try again"] * 3
    assert len(caplog.messages) == 3


async def test_the_fate_of_a_picture_is_known_when_it_was_sent_and_not_before() -> None:
    it = Bench()
    it.room = False
    it.show(b"one")
    async with it.up():
        await it.clock.advance(1.0)
        assert it.fates == []
        it.room = True
        await it.clock.advance(0.1)
        assert (it.sent, it.fates) == (["show"], [""])


async def test_a_picture_has_its_full_time_on_each_connection() -> None:
    it = Bench()
    it.room = False
    it.show(b"one")
    async with it.up():
        await it.clock.advance(ASKED_S - 1)
    await it.clock.advance(60)
    async with it.up(ScriptedConnection(resumed=True)):
        await it.clock.advance(1.0)
        assert it.fates == [], "no item could be sent meanwhile"
        it.room = True
        await it.clock.advance(0.1)
        assert (it.sent, it.fates) == (["show"], [""])


async def test_a_closed_gate_holds_all_items_and_uses_up_no_pictures_time() -> None:
    it = Bench()
    it.room = False
    it.outbox.begin([b"map"])
    async with it.up():
        it.outbox.gate(shut=True)
        it.show(b"one")
        it.outbox.put("What is this?")
        it.outbox.greet("Say hello.")
        it.room = True
        await it.clock.advance(SHOWING_S + 1)
        assert it.sent == []
        it.outbox.gate(shut=False)
        await it.clock.advance(0.2)
        assert it.sent == ["show", "text", "show", "text"]
        assert list(it.connection.shown) == [b"map", b"one"]


async def test_a_picture_that_waits_for_room_is_held_back_by_the_gate() -> None:
    it = Bench()
    it.room = False
    async with it.up():
        it.show(b"one")
        await it.clock.advance(1.0)
        it.outbox.gate(shut=True)
        it.room = True
        await it.clock.advance(ASKED_S)
        assert it.sent == []
        it.outbox.gate(shut=False)
        await it.clock.advance(0.1)
        assert (it.sent, it.fates) == (["show"], [""])


async def test_a_dropped_item_is_not_sent_even_if_its_turn_had_come() -> None:
    it = Bench()
    it.room = False
    it.outbox.begin([b"map"])
    it.show(b"one")
    async with it.up():
        await it.clock.advance(FIRST_S + 1)
        it.outbox.close()
        it.room = True
        await it.clock.advance(1.0)
        assert (it.sent, it.fates) == ([], [])


# The background.

CLOCK = Background("The clock.", (b"clock",), "Greet.")
TOWER = Background("The tower.", (b"tower",))


async def test_a_session_gets_the_background_first_and_its_greeting_replaces_the_general_one() -> None:
    it = Bench()
    it.outbox.use(CLOCK)
    it.outbox.begin([b"map"])
    it.outbox.greet("Say hello.")
    async with it.up():
        await it.clock.advance(0.1)
        assert it.sent == ["context", "show", "show", "text"]
        assert (it.connection.contexts, it.connection.shown) == (["The clock."], [b"clock", b"map"])
        assert it.connection.texts == ["Greet."]


async def test_a_background_without_a_greeting_leaves_the_general_one() -> None:
    it = Bench()
    it.outbox.use(TOWER)
    it.outbox.begin([])
    it.outbox.greet("Say hello.")
    async with it.up():
        await it.clock.advance(0.1)
        assert it.connection.texts == ["Say hello."]
        it.outbox.use(Background(greeting="Offer help."))
        it.outbox.greet("")
        await it.clock.advance(0.1)
        assert it.connection.texts == ["Say hello.", "Offer help."]


async def test_another_background_is_sent_at_once_with_its_greeting() -> None:
    it = Bench()
    it.outbox.use(TOWER)
    it.outbox.begin([])
    async with it.up():
        await it.clock.advance(SHOWING_S + 1)
        it.outbox.change(CLOCK)
        await it.clock.advance(0.1)
        assert it.sent == ["context", "show", "context", "show", "text"]
        it.outbox.change(TOWER)
        await it.clock.advance(0.1)
        assert it.sent[5:] == ["context", "show"]


async def test_a_new_session_gets_the_newest_background_again_and_a_resumed_one_does_not() -> None:
    it = Bench()
    it.outbox.use(TOWER)
    it.outbox.begin([])
    async with it.up():
        it.outbox.change(CLOCK)
        await it.clock.advance(0.1)
    async with it.up(ScriptedConnection(resumed=True)):
        await it.clock.advance(0.1)
        assert it.sent == []
    it.outbox.begin([])
    async with it.up(ScriptedConnection(resumed=False)):
        await it.clock.advance(0.1)
        assert it.connection.contexts == ["The clock."]
        assert it.connection.texts == [], "the greeting was for the moment of the choice"


async def test_a_text_that_a_lost_connection_did_not_take_goes_over_the_next_one() -> None:
    it = Bench()
    it.connection.stall()
    it.outbox.change(CLOCK)
    async with it.up():
        await it.clock.advance(0.1)
    async with it.up(ScriptedConnection(resumed=True)):
        await it.clock.advance(0.1)
        assert it.sent == ["context", "show", "text"]


async def test_the_end_of_the_conversation_forgets_the_background() -> None:
    it = Bench()
    it.outbox.use(CLOCK)
    it.outbox.begin([])
    it.outbox.close()
    it.outbox.open()
    it.outbox.begin([b"map"])
    it.outbox.greet("Say hello.")
    async with it.up():
        await it.clock.advance(0.1)
        assert it.sent == ["show", "text"]
        assert it.connection.texts == ["Say hello."]


async def test_pictures_of_the_background_without_room_do_not_hold_up_its_greeting() -> None:
    it = Bench()
    it.room = False
    async with it.up():
        it.outbox.change(CLOCK)
        await it.clock.advance(FIRST_S + 0.1)
        assert it.sent == ["context", "text"]
