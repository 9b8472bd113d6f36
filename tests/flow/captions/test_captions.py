"""Captions: the lines follow the sound that is heard, and end where it was cut."""

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.caption_screens import MemoryCaptionScreen
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import running
from tests.support.slow import left_out

from kioskd.core.effects import Effect, Flush, KioskStatus, Prompt, ShowStatus
from kioskd.core.events import Event, Heartbeat, ReplyPlayed, SleepRequested, WakeCause, Woken
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.errors import Code
from kioskd.flow.captions.caption_board import BEAT_S, MOST_LINES
from kioskd.flow.captions.captions import STAYS_S, Captions, clean
from kioskd.media import pcm
from kioskd.media.playout import Playout
from kioskd.ports import (
    GenerationEnded,
    Interrupted,
    Message,
    ReplyAudio,
    ReplyText,
    SpokenText,
    TurnComplete,
)

SLOW = pytest.mark.skipif(left_out("minutes") is not None, reason=left_out("minutes") or "")

SECOND = pcm.byte_count(1.0, pcm.DOWNLINK_HZ)


class Talk:
    """A kiosk's captions, with a real playout and a real core's states."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.playout = Playout(lambda _mark: None)
        self.reply = 0
        self.left_s: float | None = None
        self.state = State()
        self.captions = Captions(
            self.clock,
            self.playout,
            language="en-US",
            newest_reply=lambda: self.reply,
            words=lambda code: "No internet, code W 1." if code is Code.WAY else "",
            ends_in_s=lambda: self.left_s,
        )
        self.screen = MemoryCaptionScreen()

    def happen(self, event: Event, *effects: Effect) -> None:
        before = self.state
        self.state, _ = step(before, event, Policy())
        for effect in effects:
            if isinstance(effect, Flush):
                self.playout.flush(effect.reply)
        self.captions.observe(self.clock.now(), event, before, self.state, effects)

    def begin(self) -> int:
        self.reply += 1
        return self.reply

    def send(self, *messages: Message) -> None:
        """Receive messages as the link does: first the speaker gets the sound."""
        for message in messages:
            if isinstance(message, ReplyAudio):
                self.playout.add(self.reply, message.pcm)
            self.captions.received(message)

    async def hear(self, seconds: float) -> None:
        """Let the speaker play in steps of 10 ms."""
        for _ in range(round(seconds * 100)):
            self.playout.pull(pcm.PERIOD_BYTES)
            await self.clock.advance(0.01)

    @property
    def lines(self) -> list[str]:
        return self.screen.texts


@asynccontextmanager
async def talk(*, awake: bool = True) -> AsyncIterator[Talk]:
    made = Talk()
    async with running(made.screen.show(made.captions.follow)):
        if awake:
            made.happen(Woken(WakeCause.REMOTE))
        await made.clock.advance(0)
        yield made


def sound(seconds: float) -> ReplyAudio:
    return ReplyAudio(b"\x01\x00" * (round(seconds * SECOND) // 2))


def said(text: str, *, visitor: bool = False, language: str = "") -> SpokenText:
    return SpokenText(visitor, text, language)


async def test_a_reply_is_shown_as_it_is_heard_and_not_as_it_arrives() -> None:
    async with talk() as it:
        it.begin()
        it.send(said("The first "), sound(1), said("of all words."), sound(1), GenerationEnded())
        await it.clock.advance(1.0)
        assert it.lines == []
        await it.hear(0.6)
        assert it.lines == ["kiosk: The first"]
        await it.hear(0.7)
        assert it.lines == ["kiosk: The first of all"]
        await it.hear(0.8)
        it.send(TurnComplete())
        await it.clock.advance(0)
        assert it.lines == ["kiosk: The first of all words."]
        assert [line["final"] for line in it.screen.lines.values()] == [True]


async def test_a_reply_that_is_cut_ends_at_the_word_that_was_heard() -> None:
    words = [f"word{number:02}" for number in range(20)]
    async with talk() as it:
        reply = it.begin()
        for word in words:
            it.send(said(f"{word} "), sound(0.3))
        it.send(GenerationEnded())
        await it.hear(3.1)  # the eleventh word has begun
        it.happen(Heartbeat(1), Flush(reply))
        await it.clock.advance(0)
        assert it.lines == [f"kiosk: {' '.join(words[:11])}"]
        (line,) = it.screen.lines.values()
        assert (line["final"], line["cut"]) == (True, True)
        it.send(said("late words "), sound(1), TurnComplete())
        await it.hear(1)
        assert it.lines == [f"kiosk: {' '.join(words[:11])}"]


async def test_the_words_after_an_interruption_are_void_until_the_next_reply() -> None:
    async with talk() as it:
        reply = it.begin()
        it.send(said("One two three four "), sound(2))
        await it.hear(1.0)
        it.send(Interrupted(), said("five six "))
        it.happen(Heartbeat(1), Flush(reply))
        it.send(TurnComplete())
        it.begin()
        it.send(said("Again."), sound(1), GenerationEnded(), TurnComplete())
        await it.hear(1.5)
        assert it.lines == ["kiosk: One two three", "kiosk: Again."]


async def test_both_voices_have_lines_in_the_order_in_which_they_are_heard() -> None:
    async with talk() as it:
        it.send(said("Where is ", visitor=True, language="de-DE"), said("the lift?", visitor=True))
        it.begin()
        it.send(said("There."), sound(0.5), GenerationEnded())
        await it.hear(0.6)
        it.happen(ReplyPlayed(1))
        it.send(TurnComplete(), said("Thanks.", visitor=True))
        await it.clock.advance(0)
        assert it.lines == ["visitor: Where is the lift?", "kiosk: There.", "visitor: Thanks."]
        assert [line["final"] for line in it.screen.lines.values()] == [True, True, False]
        assert next(iter(it.screen.lines.values()))["language"] == "de-DE"
        assert it.screen.status["language"] == "de"


async def test_a_written_reply_is_shown_when_it_is_read_aloud() -> None:
    async with talk() as it:
        it.send(ReplyText("Read "), ReplyText("this aloud."))
        it.reply += 1  # as `IncomingReply` does at the end
        it.send(GenerationEnded(), TurnComplete())
        await it.clock.advance(1)
        assert it.lines == []
        it.playout.add(it.reply, sound(1).pcm)
        await it.hear(0.4)
        assert it.lines == ["kiosk: Read this"]
        await it.hear(0.8)
        assert it.lines == ["kiosk: Read this aloud."]


async def test_a_written_reply_without_sound_is_shown_when_it_is_over() -> None:
    async with talk() as it:
        it.send(ReplyText("No voice."))
        it.reply += 1
        it.send(GenerationEnded(), TurnComplete())
        it.happen(ReplyPlayed(1))
        await it.clock.advance(0)
        assert it.lines == ["kiosk: No voice."]


async def test_the_lines_are_gone_when_the_kiosk_sleeps_and_late_words_do_not_come_back() -> None:
    async with talk() as it:
        it.begin()
        it.send(said("Hello.", visitor=True), said("Hello yourself."), sound(1))
        await it.hear(0.5)
        assert len(it.lines) == 2
        it.happen(SleepRequested())
        it.send(said("late", visitor=True), said("late"), sound(1))
        await it.hear(1)
        assert it.state.turn.awake is False
        assert it.lines == []


async def test_an_announcement_and_a_prompt_stay_for_half_a_minute_on_a_sleeping_kiosk() -> None:
    async with talk(awake=False) as it:
        it.captions.announce("We close at six.", "en-GB")
        it.happen(Heartbeat(1), Prompt(Code.WAY))
        await it.clock.advance(STAYS_S - 1)
        assert it.lines == ["kiosk: We close at six.", "kiosk: No internet, code W 1."]
        await it.clock.advance(1)
        assert it.lines == []


async def test_the_status_has_the_fault_in_words_and_the_time_that_is_left() -> None:
    async with talk() as it:
        it.left_s = 61.2
        it.happen(Heartbeat(1), ShowStatus(KioskStatus.OFFLINE, Code.WAY))
        await it.clock.advance(0)
        assert it.screen.status["label"] == "No connection"
        assert it.screen.status["words"] == "No internet, code W 1."
        assert it.screen.status["ends_in_s"] == 61
        it.left_s = 59.0
        await it.clock.advance(1.0)
        assert it.screen.status["ends_in_s"] == 59


async def test_a_slow_reader_gets_the_newest_state_alone() -> None:
    async with talk() as it:
        before = it.screen.messages
        for number in range(1000):
            it.send(said(f"{number} ", visitor=True))
        await it.clock.advance(0)
        assert it.screen.messages == before + 1
        assert it.lines[0].endswith(" 998 999")


async def test_a_reader_without_news_gets_an_empty_message() -> None:
    async with talk(awake=False) as it:
        before = it.screen.messages
        await it.clock.advance(BEAT_S)
        assert it.screen.messages == before + 1


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["Hello \ud83d", "\ude00 there"], "Hello 😀 there"),
        (["Hello \ud83d"], "Hello"),
        (["\ude00 there"], "\ufffd there"),
        (["a\x00b\x1b[31m\n c"], "ab[31m c"),
        (["\u202eabc\u202c \u2067x\u2069"], "abc x"),
        (["شما می\u200cروید"], "شما می\u200cروید"),
    ],
)
def test_odd_characters_do_no_harm(pieces: list[str], shown: str) -> None:
    assert clean("".join(pieces)) == shown


DAY = 24 * 60 * 4
"""The exchanges of a day in which people talk all the time."""


@pytest.mark.parametrize("count", [240, pytest.param(DAY, marks=SLOW)])
async def test_a_day_of_text_leaves_memory_flat(count: int) -> None:
    async with talk() as it:

        async def exchanges(count: int) -> int:
            for number in range(count):
                reply = it.begin()
                it.send(said("Where is the lift? " * 3, visitor=True))
                it.send(said("It is " * 20), sound(0.05), GenerationEnded(), TurnComplete())
                it.playout.pull(SECOND // 10)
                it.happen(ReplyPlayed(reply))
                if number % 20 == 0:
                    await it.clock.advance(BEAT_S)
            it.screen.history.clear()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            before = await exchanges(40)
            after = await exchanges(count)
        finally:
            tracemalloc.stop()
        assert after - before < 50_000
        assert len(it.lines) == MOST_LINES
