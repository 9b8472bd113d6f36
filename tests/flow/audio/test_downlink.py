"""The downlink: replies are heard whole, reported when they are heard, and silenced when asked."""

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping

from tests.support.fakes_devices import ManualClock, MemorySpeaker
from tests.support.kiosk import Inbox, running, soon, voice

from kioskd.core.effects import Chime, Cue, Duck, Flush, Prompt, SetSpeaker, StopPrompt
from kioskd.core.events import Device, DeviceCame, DeviceGone, PromptOver, ReplyPlayed, ReplySounded
from kioskd.errors import Code
from kioskd.flow.audio.downlink import CAPTURE_LATENCY_S, LINGERS_S, REVERBERATION_S, Downlink
from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S
from kioskd.media import cues, pcm

LATENCY_S = 0.2


class Downlinked:
    """The downlink with a fake speaker."""

    def __init__(self, *, chimes: Collection[Cue] = (), prompts: Mapping[Code, bytes] | None = None) -> None:
        self.clock, self.inbox = ManualClock(), Inbox()
        self.speaker = MemorySpeaker(latency_s=LATENCY_S)
        self.cues: list[tuple[cues.CueSound, float]] = []
        self.downlink = Downlink(
            self.speaker,
            self.inbox.post,
            self.clock,
            volume=100,
            chimes=chimes,
            prompts=(prompts or {}).get,
            on_cue=lambda cue, latency_s: self.cues.append((cue, latency_s)),
        )

    async def hear(self, seconds: float) -> bytes:
        """Let the speaker play for `seconds`. Return the sound."""
        before = len(self.speaker.heard)
        await soon(self.speaker.advance(seconds))
        await self.clock.advance(LATENCY_S)
        return bytes(self.speaker.heard[before:])


async def test_the_speaker_counts_as_present_after_its_first_sound() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await soon(it.speaker.advance(0.05))
        assert it.inbox.events == [DeviceCame(Device.SPEAKER)]


async def test_a_reply_is_played_byte_for_byte() -> None:
    it = Downlinked()
    sound = voice(0.5, pcm.DOWNLINK_HZ)
    async with running(it.downlink.play()):
        for start in range(0, len(sound), 1001):  # pieces that cut samples in half
            it.downlink.add(1, sound[start : start + 1001])
        it.downlink.end(1)
        await soon(it.speaker.advance(0.6))

    assert bytes(it.speaker.heard[: len(sound)]) == sound
    assert not any(it.speaker.heard[len(sound) :])


async def test_a_reply_sounds_when_it_is_pulled_and_ends_when_its_last_sound_is_heard() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await soon(it.speaker.advance(0.01))
        it.inbox.events.clear()
        it.downlink.add(1, voice(0.1, pcm.DOWNLINK_HZ))
        it.downlink.end(1)

        await soon(it.speaker.advance(0.01))
        assert it.inbox.events == [ReplySounded(1)]
        await soon(it.speaker.advance(0.1))
        await it.clock.advance(LATENCY_S * 0.75)
        assert it.inbox.events == [ReplySounded(1)], "pulled, but still in the device"

        await it.clock.advance(LATENCY_S * 0.5)
        assert it.inbox.events == [ReplySounded(1), ReplyPlayed(1)]


async def test_a_reply_without_an_end_is_not_over() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        it.downlink.add(1, voice(0.1, pcm.DOWNLINK_HZ))
        await soon(it.speaker.advance(1.0))
        await it.clock.advance(10.0)

        assert ReplyPlayed(1) not in it.inbox.events


async def test_a_flushed_reply_falls_silent_and_is_over() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        it.downlink.add(1, voice(5.0, pcm.DOWNLINK_HZ))
        await soon(it.speaker.advance(0.1))
        it.downlink.flush(Flush(1))
        heard = len(it.speaker.heard)
        await soon(it.speaker.advance(0.1))
        await it.clock.advance(LATENCY_S)

        assert it.inbox.events[-1] == ReplyPlayed(1)
        fade = pcm.byte_count(0.005, pcm.DOWNLINK_HZ)
        assert not any(it.speaker.heard[heard + fade :])


async def test_late_sound_of_a_flushed_reply_is_not_heard() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        it.downlink.add(1, voice(0.1, pcm.DOWNLINK_HZ))
        it.downlink.flush(Flush(1))
        it.downlink.add(1, voice(1.0, pcm.DOWNLINK_HZ))
        it.downlink.end(1)
        await soon(it.speaker.advance(2.0))
        await it.clock.advance(LATENCY_S)

    assert not any(it.speaker.heard)
    assert it.inbox.events.count(ReplyPlayed(1)) == 1


async def test_the_reply_after_a_flushed_one_is_heard() -> None:
    it = Downlinked()
    second = voice(0.1, pcm.DOWNLINK_HZ)
    async with running(it.downlink.play()):
        it.downlink.add(1, voice(1.0, pcm.DOWNLINK_HZ))
        it.downlink.flush(Flush(1))
        it.downlink.add(2, second)
        it.downlink.end(2)
        await soon(it.speaker.advance(0.2))
        await it.clock.advance(LATENCY_S)

    assert second in bytes(it.speaker.heard)
    assert it.inbox.events[-1] == ReplyPlayed(2)


async def test_a_device_thread_reports_in_the_loops_thread() -> None:
    it = Downlinked()
    threads: list[int] = []
    downlink = Downlink(
        it.speaker, lambda _event: threads.append(threading.get_ident()), it.clock, volume=100
    )
    downlink.add(1, voice(0.01, pcm.DOWNLINK_HZ))
    downlink.end(1)

    await asyncio.to_thread(downlink.pull, 960)
    await it.clock.advance(LATENCY_S)

    assert threads == [threading.get_ident()] * 2  # sounded, played


def test_a_device_that_outlives_the_loop_by_a_period_does_no_harm() -> None:
    async def make() -> Downlink:
        return Downlink(MemorySpeaker(), Inbox().post, ManualClock(), volume=100)

    loop = asyncio.new_event_loop()
    downlink = loop.run_until_complete(make())
    loop.close()

    assert downlink.pull(480) == bytes(480)


# Chimes


async def test_a_chime_sounds_and_is_announced_before() -> None:
    it = Downlinked(chimes=[Cue.WAKE])
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.chime(Chime(Cue.WAKE))
        assert it.cues == [(cues.CueSound.WAKE, LATENCY_S + CAPTURE_LATENCY_S)]
        sound = cues.sound(cues.CueSound.WAKE)

        assert sound in await it.hear(0.5)


async def test_an_unwanted_chime_is_neither_heard_nor_announced() -> None:
    it = Downlinked(chimes=[Cue.WAKE])
    async with running(it.downlink.play()):
        it.downlink.chime(Chime(Cue.END))
        assert not any(await it.hear(0.5))
        assert it.cues == []


async def test_a_chime_does_not_disturb_a_reply_or_its_end() -> None:
    it = Downlinked(chimes=list(Cue))
    async with running(it.downlink.play()):
        it.downlink.add(1, voice(0.1, pcm.DOWNLINK_HZ))
        it.downlink.end(1)
        it.downlink.chime(Chime(Cue.END))
        await it.hear(0.5)
        assert it.inbox.events[-2:] == [ReplySounded(1), ReplyPlayed(1)]


# Prompts


WORDS = voice(0.2, pcm.DOWNLINK_HZ)


async def test_a_prompt_ends_when_its_last_sound_is_heard() -> None:
    it = Downlinked(prompts={Code.WAY: WORDS})
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.prompt(Prompt(Code.WAY))
        assert it.downlink.own_voice
        await soon(it.speaker.advance(0.25))
        assert WORDS in bytes(it.speaker.heard)
        await it.clock.advance(LATENCY_S + REVERBERATION_S * 0.75)
        assert PromptOver() not in it.inbox.events, "pulled, but still in the device, then in the room"
        assert it.downlink.own_voice

        await it.clock.advance(REVERBERATION_S * 0.5)
        assert it.inbox.events[-1] == PromptOver()
        assert not it.downlink.own_voice


async def test_a_question_ends_like_a_prompt_when_its_last_sound_is_heard() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.question(WORDS)
        assert it.downlink.own_voice
        await soon(it.speaker.advance(0.25))
        assert WORDS in bytes(it.speaker.heard)
        await it.clock.advance(LATENCY_S + REVERBERATION_S * 1.25)
        assert it.inbox.events[-1] == PromptOver()
        assert not it.downlink.own_voice


async def test_a_question_that_has_no_sound_is_over_at_once() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.question(None)
        assert it.inbox.events[-1] == PromptOver()


async def test_a_prompt_without_words_is_over_at_once() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.prompt(Prompt(Code.WAY))
        assert it.inbox.events[-1] == PromptOver()
        assert not it.downlink.own_voice


async def test_a_prompt_for_a_speaker_that_is_away_is_over_at_once() -> None:
    it = Downlinked(prompts={Code.WAY: WORDS})
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.speaker.unplug()
        await it.clock.advance(0)
        it.downlink.prompt(Prompt(Code.WAY))
        assert it.inbox.events[-1] == PromptOver()


async def test_a_hushed_prompt_falls_silent() -> None:
    it = Downlinked(prompts={Code.WAY: voice(5.0, pcm.DOWNLINK_HZ)})
    async with running(it.downlink.play()):
        it.downlink.prompt(Prompt(Code.WAY))
        await it.hear(0.1)
        it.downlink.hush_prompt(StopPrompt())
        heard = await it.hear(0.1)
        assert not any(heard[pcm.byte_count(0.02, pcm.DOWNLINK_HZ) :])
        await it.clock.advance(REVERBERATION_S)
        assert it.inbox.events[-1] == PromptOver()


async def test_a_prompt_hushed_while_the_speaker_is_away_is_not_heard_when_it_is_back() -> None:
    it = Downlinked(prompts={Code.WAY: voice(5.0, pcm.DOWNLINK_HZ)})
    async with running(it.downlink.play()):
        it.downlink.prompt(Prompt(Code.WAY))
        await it.hear(0.1)
        it.speaker.unplug()
        await it.clock.advance(0)
        it.downlink.hush_prompt(StopPrompt())
        it.speaker.replug()
        await it.clock.advance(5.0)
        heard = await it.hear(1.0)

        assert len(heard) == pcm.byte_count(1.0, pcm.DOWNLINK_HZ)
        assert not any(heard[pcm.byte_count(0.02, pcm.DOWNLINK_HZ) :])
        await it.clock.advance(REVERBERATION_S)
        assert not it.downlink.own_voice


async def test_a_chime_for_a_speaker_that_is_away_is_not_heard_when_it_is_back() -> None:
    it = Downlinked(chimes=[Cue.END])
    async with running(it.downlink.play()):
        await it.hear(0.1)
        it.speaker.unplug()
        await it.clock.advance(0)
        it.downlink.chime(Chime(Cue.END))
        it.speaker.replug()
        await it.clock.advance(5.0)
        assert not any(await it.hear(1.0))
        it.downlink.chime(Chime(Cue.END))
        assert any(await it.hear(1.0))


async def test_a_prompt_that_another_replaced_does_not_end_the_other() -> None:
    it = Downlinked(prompts={Code.WAY: voice(5.0, pcm.DOWNLINK_HZ), Code.MICROPHONE: WORDS})
    async with running(it.downlink.play()):
        it.downlink.prompt(Prompt(Code.WAY))
        await it.hear(0.1)
        it.inbox.events.clear()
        it.downlink.hush_prompt(StopPrompt())
        await soon(it.speaker.advance(0.02))  # its end is on its way
        it.downlink.prompt(Prompt(Code.MICROPHONE))
        await it.clock.advance(LATENCY_S + REVERBERATION_S)
        assert it.inbox.events == []
        assert it.downlink.own_voice

        await it.hear(0.3)
        await it.clock.advance(REVERBERATION_S)
        assert it.inbox.events == [PromptOver()]


# Pauses


async def paused(it: Downlinked) -> None:
    """Let the speaker work, and wait until it pauses."""
    await it.hear(0.1)
    await it.clock.advance(PAUSE_AFTER_S)
    assert it.downlink.paused
    assert await it.hear(0.1) == b""


async def test_each_kind_of_sound_ends_a_pause_and_is_heard_whole() -> None:
    it = Downlinked(chimes=[Cue.MUTE], prompts={Code.WAY: WORDS})
    ways: list[tuple[Callable[[], None], bytes]] = [
        (lambda: it.downlink.chime(Chime(Cue.MUTE)), cues.sound(cues.CueSound.MUTE)),
        (lambda: it.downlink.prompt(Prompt(Code.WAY)), WORDS),
        (lambda: it.downlink.question(WORDS), WORDS),
        (lambda: it.downlink.add(1, WORDS), WORDS),
    ]
    async with running(it.downlink.play()):
        for sounds, sound in ways:
            await paused(it)
            sounds()
            assert (await it.hear(1.0)).startswith(sound)


async def test_a_reply_that_is_not_over_keeps_the_speaker_from_pausing() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await it.hear(0.1)
        it.downlink.add(1, WORDS)
        await it.hear(1.0)
        await it.clock.advance(10 * PAUSE_AFTER_S)
        assert not it.downlink.paused
        it.downlink.end(1)
        await it.hear(0.1)
        await it.clock.advance(2 * PAUSE_AFTER_S)
        assert it.downlink.paused


async def test_a_speaker_is_ready_in_a_conversation() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await paused(it)
        it.downlink.set_speaker(SetSpeaker(ready=True))
        await it.clock.advance(10 * PAUSE_AFTER_S)
        assert len(await it.hear(0.1)) == pcm.byte_count(0.1, pcm.DOWNLINK_HZ)
        it.downlink.set_speaker(SetSpeaker(ready=False))
        await it.clock.advance(PAUSE_AFTER_S)
        assert it.downlink.paused


async def test_a_paused_speaker_that_is_lost_is_opened_again() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await paused(it)
        it.inbox.events.clear()
        it.speaker.unplug()
        await it.clock.advance(0)
        assert it.inbox.events == [DeviceGone(Device.SPEAKER, "")]
        it.speaker.replug()
        await it.clock.advance(5.0)
        assert len(await it.hear(0.1)) == pcm.byte_count(0.1, pcm.DOWNLINK_HZ)
        assert it.inbox.events[-1] == DeviceCame(Device.SPEAKER)


# Volume, and the kiosk's own voice


def loudest(sound: bytes) -> int:
    """Return the largest sample."""
    return max(
        abs(int.from_bytes(sound[at : at + 2], "little", signed=True)) for at in range(0, len(sound), 2)
    )


async def test_a_reply_gets_quieter_while_a_visitor_may_be_speaking() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        it.downlink.add(1, voice(2.0, pcm.DOWNLINK_HZ))
        loud = loudest(await it.hear(0.2))
        it.downlink.duck(Duck(down=True))
        await it.hear(0.05)
        ducked = loudest(await it.hear(0.2))
        it.downlink.duck(Duck(down=False))
        await it.hear(0.2)

        assert ducked < loud / 3
        assert loudest(await it.hear(0.2)) == loud


async def test_the_kiosk_has_a_voice_from_the_first_sound_of_a_reply_until_it_was_heard() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.add(1, WORDS)
        it.downlink.end(1)
        assert not it.downlink.own_voice
        await soon(it.speaker.advance(0.01))
        assert it.downlink.own_voice
        await soon(it.speaker.advance(0.3))
        assert it.downlink.own_voice, "pulled, but still in the device"
        await it.clock.advance(LATENCY_S)
        assert not it.downlink.own_voice


async def test_a_reply_counts_as_the_kiosks_voice_until_it_has_died_away_in_the_room() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await it.hear(0.01)
        assert not it.downlink.sound_reverberates
        it.downlink.add(1, WORDS)
        it.downlink.end(1)
        await it.hear(0.3)
        assert not it.downlink.own_voice
        assert (it.downlink.voice_reverberates, it.downlink.sound_reverberates) == (True, True)
        await it.clock.advance(CAPTURE_LATENCY_S + LINGERS_S + 0.01)
        assert (it.downlink.voice_reverberates, it.downlink.sound_reverberates) == (False, False)


async def test_a_chime_reverberates_but_does_not_count_as_a_voice() -> None:
    it = Downlinked(chimes=[Cue.END])
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.chime(Chime(Cue.END))
        assert (it.downlink.voice_reverberates, it.downlink.sound_reverberates) == (False, True)
        await it.clock.advance(LATENCY_S + cues.duration_s(cues.CueSound.END) + LINGERS_S)
        assert it.downlink.sound_reverberates, "the microphone is late, too"
        await it.clock.advance(CAPTURE_LATENCY_S + 0.02)
        assert not it.downlink.sound_reverberates


async def test_a_speaker_that_is_away_has_no_voice() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await it.hear(0.01)
        it.downlink.add(1, voice(5.0, pcm.DOWNLINK_HZ))
        await it.hear(0.1)
        assert it.downlink.own_voice
        it.speaker.unplug()
        await it.clock.advance(0)
        assert not it.downlink.own_voice


async def test_the_end_of_one_reply_does_not_take_the_voice_of_the_next() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        for reply in (1, 2):
            it.downlink.add(reply, WORDS)
            it.downlink.end(reply)
        await soon(it.speaker.advance(0.3))
        await it.clock.advance(LATENCY_S)

        assert it.inbox.events[-1] == ReplyPlayed(1)
        assert it.downlink.own_voice
        await it.hear(0.2)
        assert not it.downlink.own_voice


async def test_an_announcement_is_over_when_it_was_heard_and_its_echo_has_faded() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await soon(it.speaker.advance(0.01))
        it.inbox.events.clear()
        assert it.downlink.announce(voice(0.1, pcm.DOWNLINK_HZ), volume=100, over=False)
        assert it.downlink.own_voice
        await soon(it.speaker.advance(0.11))
        await it.clock.advance(LATENCY_S)
        assert it.inbox.events == [], "the room still sounds"
        await it.clock.advance(REVERBERATION_S)
        assert it.inbox.events == [PromptOver()]
        assert not it.downlink.own_voice


async def test_the_end_of_a_stopped_announcement_does_not_end_the_prompt_after_it() -> None:
    it = Downlinked(prompts={Code.WAY: voice(2.0, pcm.DOWNLINK_HZ)})
    async with running(it.downlink.play()):
        await soon(it.speaker.advance(0.01))
        it.inbox.events.clear()
        it.downlink.announce(voice(2.0, pcm.DOWNLINK_HZ), volume=100, over=False)
        await soon(it.speaker.advance(0.1))
        it.downlink.hush_prompt(StopPrompt())
        it.downlink.prompt(Prompt(Code.WAY))
        await it.hear(0.5)
        await it.clock.advance(1.0)
        assert it.inbox.events == []


async def test_a_reply_under_an_announcement_is_own_voice_until_both_are_over() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await soon(it.speaker.advance(0.01))
        it.downlink.add(1, voice(1.0, pcm.DOWNLINK_HZ))
        it.downlink.end(1)
        await it.hear(0.1)
        it.downlink.announce(voice(0.2, pcm.DOWNLINK_HZ), volume=100, over=True)
        await it.hear(0.4)
        await it.clock.advance(REVERBERATION_S)
        assert it.inbox.events[-1] == PromptOver()
        assert it.downlink.own_voice, "the reply goes on"
        it.inbox.events.clear()
        await it.hear(1.0)
        assert it.inbox.events == [ReplyPlayed(1)]
        assert not it.downlink.own_voice


async def test_an_announcement_wakes_a_speaker_that_pauses() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await soon(it.speaker.advance(0.01))
        await it.clock.advance(PAUSE_AFTER_S)
        assert it.downlink.paused
        it.downlink.announce(voice(0.1, pcm.DOWNLINK_HZ), volume=100, over=False)
        assert not it.downlink.paused
        assert any(await it.hear(0.2))


async def test_an_announcement_without_a_speaker_is_refused_and_over() -> None:
    it = Downlinked()
    it.speaker.unplug()
    async with running(it.downlink.play()):
        await it.clock.advance(1.0)
        it.inbox.events.clear()
        assert not it.downlink.announce(voice(0.1, pcm.DOWNLINK_HZ), volume=100, over=False)
        assert it.inbox.events == [PromptOver()]
