"""The link: it makes, reads, reports and leaves one connection at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pydantic import SecretStr
from tests.support.fakes_devices import ManualClock, MemoryMicrophone, MemorySpeaker
from tests.support.fakes_live import ScriptedConnection, ScriptedLive
from tests.support.kiosk import Inbox, frame, running, soon, voice

from kioskd import ports
from kioskd.core import events
from kioskd.core.effects import Dial, Flush, Greet, HangUp, SetUplink, UplinkGate
from kioskd.core.events import Event
from kioskd.core.machine import State
from kioskd.errors import LinkLost, Remedy
from kioskd.flow.audio.downlink import Downlink
from kioskd.flow.audio.preroll import PreRoll
from kioskd.flow.audio.speech_events import SpeechEvents
from kioskd.flow.audio.uplink import Uplink
from kioskd.flow.link.connection_log import ConnectionLog
from kioskd.flow.link.incoming_reply import VOID_S, IncomingReply
from kioskd.flow.link.live_link import ConnectionUser, LiveLink, SessionStart
from kioskd.flow.link.outbox import MOST, SHOWING_S, Outbox
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.flow.link.transcript import Transcript
from kioskd.media import pcm

JITTER = 0.25
GREETING = "Say hello."
HANDLE = SecretStr("a-handle")
SOUND = voice(0.1, pcm.DOWNLINK_HZ)
TOOLS_AT_WORK, TOOLS_DONE = events.CallsChanged(1, 1, 1), events.CallsChanged(1, 0, 0)


class Linked:
    """The link between a scripted service and fake microphone and speaker."""

    def __init__(
        self,
        *,
        pictures: Sequence[bytes] = (),
        users: Sequence[ConnectionUser] = (),
        on_message: Sequence[Callable[[ports.Message], None]] = (),
    ) -> None:
        self.clock, self.inbox, self.live = ManualClock(), Inbox(), ScriptedLive()
        self.sent: list[bytes] = []
        self.wrote: list[str] = []
        self.microphone, self.speaker = MemoryMicrophone(), MemorySpeaker()
        # These tests ignore the events of the devices.
        self.uplink = Uplink(
            self.microphone,
            _ignore,
            self.clock,
            preroll=PreRoll(0),
            speech_events=SpeechEvents(_ignore),
            on_sent=self.sent.append,
        )
        self.downlink = Downlink(self.speaker, self._played, self.clock, volume=100)
        self.played: list[Event] = []
        self.sound_waits = False
        pacer = PicturePacer(self.clock, uplink_idle=lambda: not self.sound_waits)
        self.outbox = Outbox(pacer, self.clock, self.wrote.append)
        self.link = self.make(self.live, GREETING, pictures, users=users, on_message=on_message)

    def make(
        self,
        live: ports.Live,
        greeting: str,
        pictures: Sequence[bytes] = (),
        *,
        post: Callable[[Event], None] | None = None,
        users: Sequence[ConnectionUser] = (),
        on_message: Sequence[Callable[[ports.Message], None]] = (),
    ) -> LiveLink:
        """Return a link to `live` between these devices."""
        connection_log, transcript = ConnectionLog(self.clock), Transcript()
        return LiveLink(
            SessionStart(live, greeting, pictures),
            self.uplink,
            post or self.inbox.post,
            self.clock,
            replies=IncomingReply(
                self.downlink,
                post or self.inbox.post,
                self.clock,
                counts=connection_log.counts,
                transcript=transcript,
                read_aloud=None,
            ),
            outbox=self.outbox,
            transcript=transcript,
            connection_log=connection_log,
            jitter=lambda: JITTER,
            users=users,
            on_message=on_message,
        )

    def _played(self, event: Event) -> None:
        if isinstance(event, events.ReplyPlayed):
            self.played.append(event)

    async def up(self, epoch: int = 1) -> ScriptedConnection:
        """Dial, wait for the connection, and return it."""
        self.link.dial(Dial(epoch, None))
        connection = await soon(self.live.accept())
        assert await self.inbox.take() == [events.ConnectionUp(epoch, resumed=False)]
        return connection

    async def settle(self) -> None:
        """Let all tasks react."""
        await self.clock.advance(0)

    async def heard(self, seconds: float) -> bytes:
        """Let the speaker play, and return its sound."""
        before = len(self.speaker.heard)
        await soon(self.speaker.advance(seconds))
        await self.settle()
        return bytes(self.speaker.heard[before:])


def _ignore(_event: Event) -> None:
    pass


@asynccontextmanager
async def linked(
    *,
    pictures: Sequence[bytes] = (),
    users: Sequence[ConnectionUser] = (),
    on_message: Sequence[Callable[[ports.Message], None]] = (),
) -> AsyncIterator[Linked]:
    it = Linked(pictures=pictures, users=users, on_message=on_message)
    async with running(it.link.run(), it.uplink.capture(), it.uplink.send(), it.downlink.play()):
        yield it


async def test_a_dial_uses_the_handle_and_reports_whether_the_session_was_resumed() -> None:
    async with linked() as it:
        it.link.dial(Dial(7, HANDLE))
        dial = await soon(it.live.dialed())
        dial.accept()

        assert dial.handle is HANDLE
        assert await it.inbox.take() == [events.ConnectionUp(7, resumed=True)]


async def test_a_connection_is_reported_before_all_its_messages() -> None:
    async with linked() as it:
        it.link.dial(Dial(1, None))
        connection = (await soon(it.live.dialed())).accept()
        connection.say(ports.ResumptionUpdate(HANDLE), ports.TurnComplete(), ports.GoAway(9.0))

        assert await it.inbox.take(4) == [
            events.ConnectionUp(1, resumed=False),
            events.HandleIssued(1, HANDLE),
            events.TurnEnded(1),
            events.GoingAway(1, 9.0),
        ]


async def test_the_old_connection_is_closed_before_the_new_one_is_dialed() -> None:
    async with linked() as it:
        first = await it.up(1)

        it.link.dial(Dial(2, HANDLE))
        await soon(it.live.dialed())

        assert first.closed
        assert it.live.open == []


async def test_the_newest_of_two_orders_counts() -> None:
    async with linked() as it:
        it.link.dial(Dial(1, None))
        it.link.hang_up(HangUp())
        it.link.dial(Dial(2, HANDLE))
        dial = await soon(it.live.dialed())

        assert dial.handle is HANDLE
        dial.accept()
        assert await it.inbox.take() == [events.ConnectionUp(2, resumed=True)]


async def test_hanging_up_closes_and_reports_nothing() -> None:
    async with linked() as it:
        connection = await it.up()
        it.uplink.set_uplink(SetUplink(UplinkGate.SEND))
        assert it.uplink.sending

        it.link.hang_up(HangUp())
        await soon(connection.hung_up())
        await it.settle()

        assert it.inbox.events == []
        assert not it.uplink.sending


async def test_hanging_up_cancels_a_dial() -> None:
    async with linked() as it:
        it.link.dial(Dial(1, None))
        await it.settle()
        it.link.hang_up(HangUp())
        await it.settle()
        it.link.dial(Dial(2, HANDLE))
        dial = await soon(it.live.dialed())

        assert dial.handle is HANDLE, "the first dial is still waiting"
        assert it.inbox.events == []


@pytest.mark.parametrize("turns", range(12))
async def test_an_order_at_the_end_of_a_connection_is_carried_out(turns: int) -> None:
    """Whichever turn of the event loop the order comes in."""
    async with linked() as it:
        first = await it.up(1)

        first.drop()
        for _ in range(turns):
            await asyncio.sleep(0)
        it.link.dial(Dial(2, HANDLE))
        dial = await soon(it.live.dialed())

        assert dial.handle is HANDLE


@pytest.mark.parametrize("turns", range(12))
async def test_cancelling_as_the_connection_ends_ends_the_link(turns: int) -> None:
    it = Linked()
    link = asyncio.create_task(it.link.run())
    first = await it.up(1)

    first.drop()
    for _ in range(turns):
        await asyncio.sleep(0)
    link.cancel()

    done, _ = await asyncio.wait([link], timeout=1)
    assert done, "the link does not end when it is cancelled"
    assert link.cancelled()


async def test_leaving_closes_the_connection() -> None:
    async with linked() as it:
        connection = await it.up()
    assert connection.closed


@pytest.mark.parametrize("remedy", [remedy for remedy in Remedy if remedy is not Remedy.STOP])
async def test_a_dial_that_fails_is_reported_once_with_its_remedy(remedy: Remedy) -> None:
    async with linked() as it:
        it.link.dial(Dial(1, None))
        await soon(it.live.refuse(LinkLost("no", remedy=remedy, retry_after_s=30.0)))

        assert await it.inbox.take() == [events.ConnectionLost(1, remedy, JITTER, 30.0)]
        await it.settle()
        assert it.inbox.events == []
        assert it.link.counts[f"not made: {remedy.value}"] == 1


async def test_a_service_that_answers_with_a_failure_is_reported_as_reached() -> None:
    async with linked() as it:
        it.link.dial(Dial(1, None))
        await soon(it.live.refuse(LinkLost("HTTP 503", reached=True)))

        assert await it.inbox.take() == [events.ConnectionLost(1, Remedy.RESUME, JITTER, reached=True)]


async def test_a_mismatch_between_the_programs_parts_ends_the_worker() -> None:
    it = Linked()

    async def refuse() -> None:
        await it.live.refuse(LinkLost("the SDK is another one", remedy=Remedy.STOP))

    it.link.dial(Dial(1, None))
    async with running(refuse()):
        with pytest.raises(LinkLost, match="another one"):
            await soon(it.link.run())


async def test_the_end_of_a_connection_is_reported_after_its_last_messages() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.GoAway(3.0))
        connection.drop(LinkLost("gone", retry_after_s=2.0))

        assert await it.inbox.take(2) == [
            events.GoingAway(1, 3.0),
            events.ConnectionLost(1, Remedy.RESUME, JITTER, 2.0),
        ]


async def test_after_a_loss_the_next_order_is_carried_out() -> None:
    async with linked() as it:
        (await it.up(1)).drop()
        assert await it.inbox.take() == [events.ConnectionLost(1, Remedy.RESUME, JITTER)]

        await it.up(2)


async def test_the_microphones_sound_goes_only_over_the_open_connection() -> None:
    async with linked() as it:
        it.uplink.set_uplink(SetUplink(UplinkGate.SEND))
        first = await it.up(1)
        it.microphone.say(frame(1))
        await it.settle()
        it.link.dial(Dial(2, None))
        await soon(first.hung_up())
        it.microphone.say(frame(2))
        await it.settle()
        second = await soon(it.live.accept())
        await it.inbox.take()
        await it.settle()

        assert list(first.audio) == [frame(1)]
        assert list(second.audio) == [frame(2)]


async def test_a_reply_begins_with_its_first_sound_and_ends_with_its_end_mark() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        connection.say(ports.ReplyAudio(SOUND), ports.GenerationEnded())
        connection.say(ports.TurnComplete())

        assert await it.inbox.take(2) == [events.ReplyBegan(1, 1), events.TurnEnded(1)]
        assert (await it.heard(0.3)).startswith(SOUND + SOUND)
        assert it.played == [events.ReplyPlayed(1)]


async def test_a_turn_that_ends_without_the_end_of_the_generation_ends_the_reply_too() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        connection.say(ports.TurnComplete())
        await it.inbox.take(2)

        await it.heard(0.3)
        assert it.played == [events.ReplyPlayed(1)]


async def test_a_connection_that_is_lost_during_a_reply_ends_it_after_its_last_sound() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        connection.drop()
        assert await it.inbox.take(2) == [
            events.ReplyBegan(1, 1),
            events.ConnectionLost(1, Remedy.RESUME, JITTER),
        ]

        assert (await it.heard(0.3)).startswith(SOUND)
        assert it.played == [events.ReplyPlayed(1)]


async def test_hanging_up_in_mid_reply_ends_the_reply() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        await it.inbox.take()
        it.link.hang_up(HangUp())
        await soon(connection.hung_up())

        await it.heard(0.3)
        assert it.played == [events.ReplyPlayed(1)]


async def test_reply_numbers_never_repeat_across_connections() -> None:
    async with linked() as it:
        first = await it.up(1)
        first.say(ports.ReplyAudio(SOUND), ports.GenerationEnded(), ports.TurnComplete())
        first.say(ports.ReplyAudio(SOUND))
        first.drop()
        assert (await it.inbox.take(4))[2] == events.ReplyBegan(1, 2)

        second = await it.up(2)
        second.say(ports.ReplyAudio(SOUND))

        assert await it.inbox.take() == [events.ReplyBegan(2, 3)]


async def test_late_sound_of_an_interrupted_reply_is_dropped_until_the_turn_ends() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        connection.say(ports.Interrupted())
        connection.say(ports.ReplyAudio(SOUND))
        await it.inbox.take(2)
        it.downlink.flush(Flush(1))
        await it.settle()
        assert not any(await it.heard(0.3))
        assert it.inbox.events == [], "late sound is not a new reply"

        connection.say(ports.TurnComplete())
        connection.say(ports.ReplyAudio(SOUND))

        assert await it.inbox.take() == [events.ReplyBegan(1, 2)]
        assert (await it.heard(0.3)).startswith(SOUND)


async def test_the_end_of_an_interrupted_turn_does_not_count_as_an_answer() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        connection.say(ports.Interrupted(), ports.TurnComplete())
        connection.say(ports.TurnComplete())

        assert await it.inbox.take(3) == [
            events.ReplyBegan(1, 1),
            events.ReplyInterrupted(1, 1),
            events.TurnEnded(1),
        ]
        await it.settle()
        assert it.inbox.events == []


async def test_sound_is_dropped_for_at_most_two_seconds_after_an_interruption() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        connection.say(ports.Interrupted())
        assert await it.inbox.take(2) == [events.ReplyBegan(1, 1), events.ReplyInterrupted(1, 1)]
        await it.clock.advance(VOID_S - 0.1)
        connection.say(ports.ReplyAudio(SOUND))
        await it.settle()
        assert it.inbox.events == []

        await it.clock.advance(0.2)
        connection.say(ports.ReplyAudio(SOUND))

        assert await it.inbox.take() == [events.ReplyBegan(1, 2)]


async def test_interrupting_a_complete_reply_drops_no_sound_of_the_next() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND), ports.GenerationEnded())
        connection.say(ports.Interrupted())
        connection.say(ports.ReplyAudio(SOUND))

        assert await it.inbox.take(3) == [
            events.ReplyBegan(1, 1),
            events.ReplyInterrupted(1, 1),
            events.ReplyBegan(1, 2),
        ]


async def test_a_new_connection_drops_no_sound_for_an_old_interruption() -> None:
    async with linked() as it:
        first = await it.up(1)
        first.say(ports.ReplyAudio(SOUND))
        first.say(ports.Interrupted())
        await it.inbox.take(2)
        second = await it.up(2)
        second.say(ports.ReplyAudio(SOUND))

        assert await it.inbox.take() == [events.ReplyBegan(2, 2)]


async def test_sound_in_a_message_of_an_interruption_is_not_played() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ReplyAudio(SOUND))
        connection.say(ports.Interrupted(), ports.ReplyAudio(SOUND))

        assert await it.inbox.take(2) == [events.ReplyBegan(1, 1), events.ReplyInterrupted(1, 1)]
        await it.settle()
        assert it.inbox.events == []


async def test_the_greeting_is_asked_for_once() -> None:
    async with linked() as it:
        connection = await it.up()
        it.link.greet(Greet())
        await it.settle()

        assert list(connection.texts) == [GREETING]


async def test_a_greeting_for_one_connection_is_not_sent_over_the_next() -> None:
    async with linked() as it:
        (await it.up(1)).drop()
        await it.inbox.take()
        it.link.greet(Greet())
        second = await it.up(2)
        await it.settle()

        assert list(second.texts) == []


async def test_a_greeting_that_cannot_be_sent_is_a_loss() -> None:
    class Deaf(ScriptedConnection):
        async def send_text(self, text: str) -> None:
            raise LinkLost("took nothing for 5 s")

    class DeafLive(ScriptedLive):
        @asynccontextmanager
        async def connect(
            self, handle: SecretStr | None, recall: Sequence[ports.SpokenText] = (), profile: str = ""
        ) -> AsyncIterator[ports.Connection]:
            yield Deaf(resumed=False)

    it = Linked()
    link = it.make(DeafLive(), "x")
    async with running(link.run()):
        link.dial(Dial(1, None))
        await it.inbox.take()
        link.greet(Greet())
        assert await it.inbox.take() == [events.ConnectionLost(1, Remedy.RESUME, JITTER)]


async def test_a_new_session_in_the_same_conversation_gets_the_transcript() -> None:
    async with linked() as it:
        first = await it.up(1)
        first.say(ports.SpokenText(by_visitor=True, text="Where is "))
        first.say(
            ports.SpokenText(by_visitor=True, text="the exit?"),
            ports.SpokenText(by_visitor=False, text="Left."),
        )
        first.drop()
        await it.inbox.take()

        it.link.dial(Dial(2, None, recall=True))
        dial = await soon(it.live.dialed())

        assert [(said.by_visitor, said.text) for said in dial.recall] == [
            (True, "Where is the exit?"),
            (False, "Left."),
        ]


async def test_a_resumed_session_gets_no_transcript() -> None:
    async with linked() as it:
        first = await it.up(1)
        first.say(ports.SpokenText(by_visitor=True, text="Hello."))
        first.drop()
        await it.inbox.take()

        it.link.dial(Dial(2, HANDLE))

        assert list((await soon(it.live.dialed())).recall) == []


async def test_the_transcript_is_forgotten_with_the_conversation() -> None:
    async with linked() as it:
        first = await it.up(1)
        first.say(ports.SpokenText(by_visitor=True, text="Hello."))
        await it.settle()
        it.link.hang_up(HangUp())
        await soon(first.hung_up())

        it.link.dial(Dial(2, None, recall=True))

        assert list((await soon(it.live.dialed())).recall) == []


async def test_new_settings_are_used_from_the_next_dial_on() -> None:
    async with linked() as it:
        first = await it.up(1)
        other = ScriptedLive()
        it.link.use(SessionStart(other, "Say goodbye."))
        await it.settle()
        assert not first.closed

        it.link.dial(Dial(2, None))
        second = await soon(other.accept())
        await it.inbox.take()
        it.link.greet(Greet())
        await it.settle()

        assert list(second.texts) == ["Say goodbye."]


async def test_undelivered_frames_of_a_lost_connection_are_sent_over_the_next() -> None:
    async with linked() as it:
        it.uplink.set_uplink(SetUplink(UplinkGate.SEND))
        first = await it.up(1)
        first.delivered = 0
        it.microphone.say(frame(1) + frame(2))
        await it.settle()
        first.delivered = 1
        first.drop()
        await it.inbox.take()
        second = await it.up(2)
        await it.settle()

        assert list(first.audio) == [frame(1), frame(2)]
        assert list(second.audio) == [frame(2)]


async def test_the_end_of_a_connection_is_logged_when_its_gap_is_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with linked() as it:
        (await it.up(1)).drop()
        await it.inbox.take()
        await it.clock.advance(2.5)
        await it.up(2)

    [line] = [message for message in caplog.messages if message.startswith("connection ended")]
    assert line.startswith("connection ended: epoch=1 age=0.0s cause=resume action=new session gap=2500ms")


async def test_billed_tokens_are_added_up() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.UsageReported(100, 20))
        connection.say(ports.UsageReported(150, 30))
        await it.settle()

        assert it.link.counts["tokens: prompt"] == 250
        assert it.link.counts["tokens: response"] == 50


async def test_neither_handles_nor_greetings_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with linked() as it:
        it.link.dial(Dial(1, HANDLE))
        connection = await soon(it.live.accept())
        it.link.greet(Greet())
        connection.say(ports.ResumptionUpdate(SecretStr("another-handle")))
        connection.say(ports.ReplyAudio(SOUND), ports.GoAway(5.0), ports.UsageReported(1, 2))
        connection.say(ports.SpokenText(by_visitor=True, text="a secret word"))
        connection.drop()
        await it.inbox.take(5)

    assert "link up" in caplog.text
    for secret in ("a-handle", "another-handle", "a secret word", GREETING, repr(SOUND[:8])):
        assert secret not in caplog.text


# Texts and pictures


async def test_texts_and_pictures_go_out_in_the_order_they_came() -> None:
    async with linked() as it:
        connection = await it.up()
        for what in ("one", b"two", "three"):
            assert it.outbox.put(what)
        await it.settle()

        assert list(connection.sent) == ["text", "show", "text"]
        assert (list(connection.texts), list(connection.shown)) == (["one", "three"], [b"two"])


async def test_a_text_before_there_is_a_connection_waits_for_it() -> None:
    async with linked() as it:
        it.link.dial(Dial(1, None))
        assert it.outbox.put("What time is it?")
        connection = await soon(it.live.accept())
        await it.settle()

        assert list(connection.texts) == ["What time is it?"]


async def test_the_number_of_waiting_items_is_bounded() -> None:
    async with linked() as it:
        it.link.dial(Dial(1, None))
        assert [it.outbox.put(str(number)) for number in range(MOST + 1)] == [*[True] * MOST, False]
        connection = await soon(it.live.accept())
        await it.settle()

        assert list(connection.texts) == [str(number) for number in range(MOST)]
        assert it.outbox.put("again"), "there is room after an item was sent"


async def test_a_text_that_a_lost_connection_did_not_take_is_sent_over_the_next() -> None:
    async with linked() as it:
        first = await it.up(1)
        first.stall()
        it.outbox.put("one")
        it.outbox.put(b"two")
        await it.settle()
        first.drop()
        await it.inbox.take()
        second = await it.up(2)
        await it.settle()

        assert list(first.texts) == []
        assert (list(second.texts), list(second.shown)) == (["one"], [b"two"])


async def test_waiting_items_are_dropped_with_the_conversation() -> None:
    async with linked() as it:
        first = await it.up(1)
        first.stall()
        it.outbox.put("a visitor's own question")
        await it.settle()
        it.link.hang_up(HangUp())
        await soon(first.hung_up())
        second = await it.up(2)
        await it.settle()

        assert list(second.texts) == []


async def test_a_sleeping_kiosk_accepts_no_item_for_its_next_visitor() -> None:
    async with linked() as it:
        assert not it.outbox.put("before anybody came")
        await it.up(1)
        it.link.hang_up(HangUp())
        assert not it.outbox.put(b"the first visitor")
        second = await it.up(2)
        await it.settle()

        assert list(second.sent) == []


async def test_pictures_go_one_at_a_time_and_each_only_when_no_sound_waits() -> None:
    async with linked(pictures=[b"map", b"plan"]) as it:
        it.sound_waits = True
        connection = await it.up()
        it.outbox.put(b"shown by hand")
        await it.clock.advance(1.0)
        assert list(connection.shown) == []
        connection.arrived = 0
        it.sound_waits = False
        await it.clock.advance(1.0)
        assert list(connection.shown) == [b"map"], "the next picture waits until this one has arrived"
        connection.arrived = connection.written
        await it.clock.advance(0.1)
        assert list(connection.shown) == [b"map", b"plan"]
        connection.backlog = 100_000
        connection.arrived = connection.written
        await it.clock.advance(1.0)
        assert list(connection.shown) == [b"map", b"plan"]
        connection.backlog = 0
        await it.clock.advance(0.1)
        assert list(connection.shown) == [b"map", b"plan", b"shown by hand"]


async def test_pictures_without_room_are_dropped_and_delay_no_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with linked(pictures=[b"map", b"plan"]) as it:
        it.sound_waits = True
        connection = await it.up()
        it.outbox.put("hello")
        await it.clock.advance(SHOWING_S + 1)
        assert list(connection.sent) == ["text"]
        assert "pictures dropped, the line to the service is too slow: count=2" in caplog.text


async def test_only_a_new_session_is_shown_the_first_pictures() -> None:
    async with linked(pictures=[b"map", b"plan"]) as it:
        first = await it.up(1)
        await it.settle()
        it.link.dial(Dial(2, HANDLE))
        resumed = await soon(it.live.accept())
        await it.settle()
        it.link.dial(Dial(3, None, recall=True))
        anew = await soon(it.live.accept())
        await it.settle()

        assert list(first.shown) == list(anew.shown) == [b"map", b"plan"]
        assert list(resumed.shown) == []


async def test_first_pictures_that_were_not_sent_go_over_the_next_connection_of_the_conversation() -> None:
    async with linked(pictures=[b"map", b"plan", b"menu"]) as it:
        first = await it.up(1)
        first.arrived = 0
        await it.clock.advance(1.0)
        first.drop()
        await it.settle()
        it.link.dial(Dial(2, HANDLE))
        resumed = await soon(it.live.accept())
        resumed.arrived = 0
        await it.clock.advance(1.0)
        assert (list(first.shown), list(resumed.shown)) == ([b"map"], [b"plan"])
        it.link.hang_up(HangUp())
        it.link.dial(Dial(3, HANDLE))
        restored = await soon(it.live.accept())
        await it.settle()
        assert list(restored.shown) == []


async def test_no_item_is_sent_while_the_core_holds_new_input_back() -> None:
    free = State()
    gated = replace(free, turn=replace(free.turn, gated=True))
    async with linked() as it:
        connection = await it.up()
        it.link.observe(0.0, TOOLS_AT_WORK, free, gated, ())
        it.outbox.put("And what is this?")
        it.outbox.put(b"this")
        await it.clock.advance(1.0)
        assert list(connection.sent) == []
        it.link.observe(0.0, TOOLS_DONE, gated, free, ())
        await it.clock.advance(0.1)
        assert list(connection.sent) == ["text", "show"]


async def test_a_session_gets_its_first_pictures_before_any_text() -> None:
    async with linked(pictures=[b"map"]) as it:
        it.link.dial(Dial(1, None))
        it.outbox.put("What is on the map?")
        connection = await soon(it.live.accept())
        await it.inbox.take()
        it.link.greet(Greet())
        await it.settle()

        assert list(connection.sent) == ["show", "text", "text"]
        assert connection.texts[0] == GREETING


async def test_new_first_pictures_are_used_from_the_next_session_on() -> None:
    async with linked(pictures=[b"map"]) as it:
        await it.up(1)
        it.link.use(SessionStart(it.live, GREETING, [b"other"]))
        second = await it.up(2)
        await it.settle()

        assert list(second.shown) == [b"other"]


# Calls, other users of the connection, and billing


class Taker:
    """A `ConnectionUser` that remembers its connections with their times."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connect(self, _connection: ports.Connection, epoch: int) -> None:
        self.told.append(f"up {epoch}")

    def disconnect(self) -> None:
        self.told.append("down")

    def take(self, message: ports.Message) -> None:
        self.told.append(message)


async def test_the_models_calls_are_handed_over_with_their_connection() -> None:
    called = ports.ToolsCalled([ports.ToolCall("1", "look", {})])
    cancelled = ports.ToolCallsCancelled(["1"])
    taker = Taker()
    async with linked(users=[taker], on_message=[taker.take]) as it:
        connection = await it.up(7)
        connection.say(called, cancelled)
        await it.settle()
        connection.drop()
        assert await it.inbox.take() == [events.ConnectionLost(7, Remedy.RESUME, JITTER)]

    assert taker.told == ["up 7", called, cancelled, "down"]


async def test_other_senders_get_the_connection_before_the_core_knows_of_it() -> None:
    it = Linked()
    seen: list[list[Event]] = []

    class Companion:
        def connect(self, _connection: ports.Connection, _epoch: int) -> None:
            seen.append(list(it.inbox.events))

        def disconnect(self) -> None:
            seen.append(list(it.inbox.events))

    link = it.make(it.live, "", users=[Companion()])
    async with running(link.run()):
        link.dial(Dial(1, None))
        (await soon(it.live.accept())).drop()
        await it.settle()

    up, lost = events.ConnectionUp(1, resumed=False), events.ConnectionLost(1, Remedy.RESUME, JITTER)
    assert seen == [[], [up]]
    assert it.inbox.events == [up, lost]


async def test_calls_without_a_receiver_do_no_harm() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.say(ports.ToolsCalled([ports.ToolCall("1", "look", {})]), ports.TurnComplete())

        assert await it.inbox.take() == [events.TurnEnded(1)]


async def test_usage_reports_are_passed_on_as_they_come() -> None:
    bills: list[ports.Message] = []
    async with linked(on_message=[bills.append]) as it:
        connection = await it.up()
        connection.say(ports.UsageReported(100, 20))
        connection.say(ports.UsageReported(150, 30))
        await it.settle()

    assert bills == [ports.UsageReported(100, 20), ports.UsageReported(150, 30)]


async def test_sent_texts_and_received_messages_are_passed_to_observers() -> None:
    came: list[ports.Message] = []
    said = ports.SpokenText(by_visitor=False, text="Hi.")
    async with linked(on_message=[came.append]) as it:
        connection = await it.up()
        it.uplink.set_uplink(SetUplink(UplinkGate.SEND))
        it.microphone.say(frame(1))
        it.outbox.put("Hello?")
        connection.say(ports.ReplyAudio(SOUND), said, ports.TurnComplete())
        await it.settle()

    assert came == [ports.ReplyAudio(SOUND), said, ports.TurnComplete()], "observers get replies, too"
    assert (it.sent, it.wrote) == ([frame(1)], ["Hello?"])


async def test_a_text_that_no_connection_took_is_not_passed_on_as_sent() -> None:
    async with linked() as it:
        connection = await it.up()
        connection.stall()
        it.uplink.set_uplink(SetUplink(UplinkGate.SEND))
        it.microphone.say(frame(1))
        it.outbox.put("Hello?")
        await it.settle()
        assert (it.sent, it.wrote) == ([], [])
