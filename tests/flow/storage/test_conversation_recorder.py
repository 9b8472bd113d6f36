"""The recorder: the words and sound of conversations are recorded, and nothing in between."""

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import frame, running

from kioskd.adapters.storage.recordings import RecordFolder
from kioskd.core.events import Pressed
from kioskd.core.machine import State
from kioskd.core.turn import Turn, TurnPhase
from kioskd.flow.storage.conversation_recorder import MOST_CHARS, ConversationRecorder
from kioskd.media import pcm
from kioskd.ports import Message, ReplyAudio, ReplyText, SpokenText, TurnComplete

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=timezone(timedelta(hours=1)))
NAME: Final = "20261120T120000-0001"
ASLEEP: Final = State()
AWAKE: Final = State(turn=Turn(TurnPhase.LISTENING, conversation=1))
SECOND: Final = bytes(pcm.byte_count(1.0, pcm.DOWNLINK_HZ))


class MemoryRecordStore:
    """A `RecordStore` in memory."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.sounds: list[tuple[str, int, float, int]] = []
        self.finished = self.announced = self.closed = 0

    def write(self, name: str, text: str) -> None:
        self.texts[name] = self.texts.get(name, "") + text

    def sound(self, name: str, rate_hz: int, at_s: float, sound: bytes) -> None:
        self.sounds.append((name, rate_hz, round(at_s, 3), len(sound)))

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.finish()
        self.closed += 1

    def announce(self) -> None:
        self.announced += 1


class Desk:
    """A recorder with its stores."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.record_store = MemoryRecordStore()
        start = self.clock.now()
        self.recorder = ConversationRecorder(
            self.clock,
            lambda: NOON + timedelta(seconds=self.clock.now() - start),
            words=self.record_store,
            sounds=self.record_store,
        )

    def hear(self, *messages: Message) -> None:
        for message in messages:
            self.recorder.received(message)

    def wake(self) -> None:
        self.recorder.observe(self.clock.now(), Pressed(), ASLEEP, AWAKE, ())

    def sleep(self) -> None:
        self.recorder.observe(self.clock.now(), Pressed(), AWAKE, ASLEEP, ())

    @property
    def words(self) -> list[str]:
        return self.record_store.texts.get(NAME, "").splitlines()


async def test_pieces_of_one_speaker_are_one_line_with_its_time() -> None:
    it = Desk()
    it.wake()
    it.hear(SpokenText(by_visitor=True, text="Where is"), SpokenText(by_visitor=True, text=" the\nlion?"))
    await it.clock.advance(3)
    it.hear(SpokenText(by_visitor=False, text="In the second hall."))
    it.hear(TurnComplete())
    it.recorder.wrote("And the bear?")
    assert it.words == [
        "12:00:03 visitor: Where is the lion?",
        "12:00:03 kiosk: In the second hall.",
        "12:00:03 typed: And the bear?",
    ]


def test_the_last_words_are_recorded_when_the_conversation_ends() -> None:
    it = Desk()
    it.wake()
    it.hear(SpokenText(by_visitor=False, text="Goodbye"))
    it.sleep()
    assert it.words == ["12:00:00 kiosk: Goodbye"]
    assert it.record_store.finished == 2  # the stores of words and of sounds


def test_a_sleeping_kiosk_writes_nothing() -> None:
    it = Desk()
    everything: list[Message] = [
        SpokenText(by_visitor=True, text="secret"),
        ReplyAudio(SECOND),
        TurnComplete(),
    ]
    it.hear(*everything)
    it.recorder.sent(frame(1))
    it.wake()
    it.sleep()
    it.hear(*everything)
    it.recorder.sent(frame(1))
    it.wake()
    it.sleep()
    assert (it.record_store.texts, it.record_store.sounds) == ({}, [])


def test_a_speaker_without_end_is_written_in_parts() -> None:
    it = Desk()
    it.wake()
    for _ in range(100):
        it.hear(SpokenText(by_visitor=False, text="word " * 40))
    it.sleep()
    assert len(it.words) > 1
    assert all(len(line) < 2 * MOST_CHARS for line in it.words)


async def test_sound_is_handed_over_by_the_second_with_its_place() -> None:
    it = Desk()
    it.wake()
    await it.clock.advance(0.5)
    for _ in range(75):
        it.recorder.sent(frame(1))
        await it.clock.advance(0.02)
    it.hear(ReplyAudio(SECOND), ReplyAudio(SECOND[:100]))
    it.sleep()
    assert it.record_store.sounds == [
        (f"{NAME}-visitor", 16_000, 0.5, 32_000),
        (f"{NAME}-kiosk", 24_000, 2.0, 48_000),
        (f"{NAME}-visitor", 16_000, 1.5, 16_000),
        (f"{NAME}-kiosk", 24_000, 2.0, 100),
    ]


async def test_a_recorder_announces_its_stores_and_closes_them_when_cancelled() -> None:
    it = Desk()
    assert it.recorder.kept == "transcripts and recordings"
    it.wake()
    async with running(it.recorder.run()):
        await it.clock.advance(0)
        assert it.record_store.announced == 2
        it.hear(SpokenText(by_visitor=True, text="Hello?"))

    assert it.words == ["12:00:00 visitor: Hello?"]
    assert it.record_store.closed == 2


@pytest.mark.parametrize(
    "piece", ["a\ud83d", "\x1b[31m", "\u202eabc\u202c", "a\x00\x9b", "\u200bb\ufeff", "\U000e0041"]
)
async def test_a_record_holds_no_misleading_characters(piece: str, tmp_path: Path) -> None:
    record_store = RecordFolder(tmp_path / "kept", what="transcripts", keep_days=1, most_mb=1)
    it = Desk()
    it.recorder = ConversationRecorder(it.clock, lambda: NOON, words=record_store)
    it.wake()
    it.hear(SpokenText(by_visitor=True, text=piece), TurnComplete())
    it.recorder.wrote(piece)
    it.sleep()
    await asyncio.to_thread(record_store.close)
    (text,) = [path.read_text() for path in await asyncio.to_thread(lambda: [*(tmp_path / "kept").iterdir()])]
    assert len(text.splitlines()) == 2
    assert all(line.isprintable() for line in text.splitlines())


async def test_a_character_that_arrived_in_halves_is_whole_in_the_record() -> None:
    it = Desk()
    it.wake()
    it.hear(
        SpokenText(by_visitor=False, text="\ud83d"),
        SpokenText(by_visitor=False, text="\ude00"),
        TurnComplete(),
    )
    assert it.words == ["12:00:00 kiosk: \U0001f600"]


async def test_a_written_reply_is_recorded_like_a_spoken_one() -> None:
    it = Desk()
    it.wake()
    it.hear(ReplyText("We open at ten."), TurnComplete())
    assert it.words == ["12:00:00 kiosk: We open at ten."]
