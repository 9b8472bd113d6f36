"""The announcer: each announcement comes at a pause, once and whole, and refusals say why."""

import asyncio
import dataclasses
import logging

import pytest
from tests.support.core import HALF_DUPLEX, asleep, listening, speaking, thinking
from tests.support.fakes_devices import ManualClock

from kioskd.core.effects import Announce
from kioskd.core.events import (
    AnnouncementDue,
    ConfirmationRequested,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    Pressed,
    PromptOver,
    Started,
    Timer,
    TimerFired,
)
from kioskd.core.levels import State
from kioskd.core.machine import step
from kioskd.flow.announcements.announcer import (
    MOST_ASKERS,
    MOST_WAITING,
    PAUSE_S,
    TRIES,
    WAIT_S,
    Announcement,
    AnnouncementRefused,
    Announcer,
)
from kioskd.media import pcm


def announcement(words: str = "We close soon.", *, now: bool = False, seconds: float = 0.5) -> Announcement:
    return Announcement(bytes(pcm.byte_count(seconds, pcm.DOWNLINK_HZ)), words, "en-GB", "command", now)


class Rig:
    """An announcer with a core, and without any device."""

    def __init__(self, state: State) -> None:
        self.clock = ManualClock()
        self.state = state
        self.played: list[tuple[bytes, bool]] = []
        self.captions: list[tuple[str, str]] = []
        self.quiet = self.lost = False
        self._posted: list[Event] = []
        self._working = False
        self.announcer = Announcer(
            self.post,
            self.clock,
            state=lambda: self.state,
            play=self._play,
            quiet=lambda: self.quiet,
            caption=lambda text, language: self.captions.append((text, language)),
        )

    def _play(self, sound: bytes, *, over: bool) -> bool:
        if self.lost:
            self.post(PromptOver())
            return False
        self.played.append((sound, over))
        return True

    def post(self, event: Event) -> None:
        """Take an event as the engine does: one step after the other."""
        self._posted.append(event)
        if self._working:
            return
        self._working = True
        while self._posted:
            event = self._posted.pop(0)
            before = self.state
            self.state, effects = step(before, event, HALF_DUPLEX)
            for effect in effects:
                if isinstance(effect, Announce):
                    self.announcer.speak(effect)
            self.announcer.observe(self.clock.now(), event, before, self.state, effects)
        self._working = False

    def becomes(self, state: State) -> None:
        """Let the core come into another state by an event that means nothing here."""
        before, self.state = self.state, state
        self.announcer.observe(self.clock.now(), Started(), before, state, ())


async def test_a_sleeping_kiosk_speaks_at_once() -> None:
    rig = Rig(asleep())
    rig.announcer.put(announcement())
    assert len(rig.played) == 1


async def test_an_announcement_waits_until_nobody_has_spoken_for_a_moment() -> None:
    rig = Rig(speaking())
    rig.announcer.put(announcement())
    await rig.clock.advance(60.0)
    assert not rig.played
    rig.becomes(listening())
    await rig.clock.advance(PAUSE_S - 0.1)
    rig.becomes(listening(voice=True))
    await rig.clock.advance(5.0)
    assert not rig.played, "the visitor answered"
    rig.becomes(thinking())
    rig.becomes(listening())
    await rig.clock.advance(PAUSE_S)
    assert len(rig.played) == 1


async def test_an_announcement_without_a_pause_comes_after_the_conversation() -> None:
    rig = Rig(speaking())
    rig.announcer.put(announcement())
    rig.becomes(asleep())
    await rig.clock.advance(PAUSE_S)
    assert len(rig.played) == 1


async def test_an_urgent_announcement_waits_for_nobody_and_goes_first() -> None:
    rig = Rig(speaking())
    rig.announcer.put(announcement("first"))
    rig.announcer.put(announcement("urgent", now=True))
    assert rig.captions == [("urgent", "en-GB")]
    assert rig.played[0][1], "over the reply"


async def test_urgent_announcements_keep_their_order() -> None:
    rig = Rig(dataclasses.replace(asleep(), confirming=True))
    for words in ("one", "two"):
        rig.announcer.put(announcement(words, now=True))
    rig.post(ConfirmationRequested(wanted=False))
    rig.post(PromptOver())
    assert [words for words, _ in rig.captions] == ["one", "two"]


async def test_the_next_announcement_comes_a_moment_after_the_one_before() -> None:
    rig = Rig(asleep())
    for words in ("one", "two"):
        rig.announcer.put(announcement(words))
    assert [words for words, _ in rig.captions] == ["one"]
    rig.post(PromptOver())
    assert [words for words, _ in rig.captions] == ["one"]
    await rig.clock.advance(PAUSE_S)
    assert [words for words, _ in rig.captions] == ["one", "two"]


async def test_the_outcome_of_an_announcement_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig(asleep())
    number = rig.announcer.put(announcement("Secret words."))
    rig.post(PromptOver())
    assert await rig.announcer.ended(number) == ""
    assert "announcement spoken: source=command chars=13 seconds=0.5" in caplog.text
    assert "Secret" not in caplog.text + repr(announcement("Secret words."))


async def test_a_press_ends_an_announcement_for_good() -> None:
    rig = Rig(asleep())
    number = rig.announcer.put(announcement())
    await rig.clock.advance(0.2)
    rig.post(Pressed())
    await rig.clock.advance(60.0)
    assert len(rig.played) == 1
    assert await rig.announcer.ended(number) == "a person stopped it after 0.2 s"


async def test_an_announcement_that_a_question_stopped_comes_again_from_its_beginning() -> None:
    rig = Rig(listening())
    await rig.clock.advance(PAUSE_S)
    number = rig.announcer.put(announcement())
    rig.post(ConfirmationRequested(wanted=True, name="door", aloud=True))
    rig.post(ConfirmationRequested(wanted=False))
    rig.post(TimerFired(Timer.TAIL))
    await rig.clock.advance(PAUSE_S)
    rig.post(PromptOver())
    assert len(rig.played) == 2
    assert await rig.announcer.ended(number) == ""


async def test_an_announcement_that_a_lost_speaker_stopped_comes_when_the_speaker_is_back() -> None:
    rig = Rig(asleep())
    rig.announcer.put(announcement())
    rig.post(DeviceGone(Device.SPEAKER))
    rig.post(TimerFired(Timer.TAIL))
    await rig.clock.advance(60.0)
    assert len(rig.played) == 1
    rig.post(DeviceCame(Device.SPEAKER))
    await rig.clock.advance(PAUSE_S)
    assert len(rig.played) == 2


@pytest.mark.parametrize("now", [False, True])
async def test_a_speaker_that_is_lost_each_time_ends_the_tries(now: bool) -> None:
    rig = Rig(asleep())
    rig.lost = True
    number = rig.announcer.put(announcement(now=now))
    await rig.clock.advance(TRIES * PAUSE_S)
    assert await rig.announcer.ended(number) == f"the speaker was lost, {TRIES} times"
    assert rig.announcer.waiting == 0


async def test_an_announcement_that_finds_no_pause_is_dropped() -> None:
    rig = Rig(speaking())
    number = rig.announcer.put(announcement())
    await rig.clock.advance(WAIT_S)
    assert await rig.announcer.ended(number) == "no pause came within 15 min"
    rig.becomes(asleep())
    await rig.clock.advance(PAUSE_S)
    assert not rig.played


async def test_in_quiet_hours_only_an_urgent_announcement_is_taken() -> None:
    rig = Rig(asleep())
    rig.quiet = True
    with pytest.raises(AnnouncementRefused, match=r"quiet hours.*--now"):
        rig.announcer.put(announcement())
    rig.announcer.put(announcement(now=True))
    assert len(rig.played) == 1


async def test_an_announcement_that_waits_into_quiet_hours_is_dropped() -> None:
    rig = Rig(speaking())
    number = rig.announcer.put(announcement())
    rig.quiet = True
    rig.becomes(asleep())
    assert "quiet hours have begun" in await rig.announcer.ended(number)


async def test_an_announcement_without_a_speaker_is_refused() -> None:
    rig = Rig(dataclasses.replace(asleep(), missing={Device.SPEAKER: ("hw:1",)}))
    with pytest.raises(AnnouncementRefused, match="speaker is missing"):
        rig.announcer.put(announcement())


async def test_a_full_queue_refuses() -> None:
    rig = Rig(speaking())
    for _ in range(MOST_WAITING):
        rig.announcer.put(announcement())
    with pytest.raises(AnnouncementRefused, match="8 announcements of 4 s wait already"):
        rig.announcer.put(announcement())


async def test_a_queue_of_long_announcements_refuses() -> None:
    rig = Rig(speaking())
    for _ in range(3):
        rig.announcer.put(announcement(seconds=59.0))
    with pytest.raises(AnnouncementRefused, match="3 announcements of 177 s wait already"):
        rig.announcer.put(announcement(seconds=4.0))


async def test_a_kiosk_that_has_not_started_speaks_after_its_start() -> None:
    rig = Rig(State())
    rig.announcer.put(announcement())
    await rig.clock.advance(5.0)
    assert not rig.played
    rig.post(Started())
    await rig.clock.advance(PAUSE_S)
    assert len(rig.played) == 1


async def test_few_clients_can_wait_for_an_end() -> None:
    rig = Rig(speaking())
    number = rig.announcer.put(announcement())
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(rig.announcer.ended(number)) for _ in range(MOST_ASKERS)]
        await rig.clock.advance(0.0)
        with pytest.raises(AnnouncementRefused, match="it is queued"):
            await rig.announcer.ended(number)
        for each in waiting:
            each.cancel()
    rig.becomes(asleep())
    await rig.clock.advance(PAUSE_S)
    rig.post(PromptOver())
    assert await rig.announcer.ended(number) == ""


async def test_an_unknown_number_is_refused() -> None:
    with pytest.raises(AnnouncementRefused, match="not known any more"):
        await Rig(asleep()).announcer.ended(7)


async def test_a_due_announcement_that_has_gone_meanwhile_ends_at_once() -> None:
    rig = Rig(asleep())
    rig.post(AnnouncementDue())
    assert rig.state.prompt is None
