"""Replies are heard whole, reported when they are, and silenced when they should be."""

import asyncio
import threading

from tests.support.kiosk import Inbox, running, soon, voice

from kioskd.adapters.memory import ManualClock, MemorySpeaker
from kioskd.core.effects import Flush
from kioskd.core.events import Device, DeviceCame, ReplyPlayed, ReplySounded
from kioskd.flow.live_to_speaker import LiveToSpeaker
from kioskd.media import pcm

LATENCY_S = 0.2


class Downlinked:
    """The downlink before a speaker in memory."""

    def __init__(self) -> None:
        self.clock, self.inbox = ManualClock(), Inbox()
        self.speaker = MemorySpeaker(latency_s=LATENCY_S)
        self.downlink = LiveToSpeaker(self.speaker, self.inbox.post, self.clock, volume=100)


async def test_the_first_sound_of_the_device_says_that_it_is_there() -> None:
    it = Downlinked()
    async with running(it.downlink.play()):
        await soon(it.speaker.advance(0.05))
        assert it.inbox.events == [DeviceCame(Device.SPEAKER)]


async def test_a_reply_is_played_byte_for_byte() -> None:
    it = Downlinked()
    sound = voice(0.5, pcm.DOWNLINK_HZ)
    async with running(it.downlink.play()):
        for start in range(0, len(sound), 1001):  # pieces that cut samples in two
            it.downlink.add(1, sound[start : start + 1001])
        it.downlink.end(1)
        await soon(it.speaker.advance(0.6))

    assert bytes(it.speaker.heard[: len(sound)]) == sound
    assert not any(it.speaker.heard[len(sound) :])


async def test_a_reply_sounds_when_it_is_pulled_and_is_over_when_the_last_of_it_is_heard() -> None:
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


async def test_what_comes_late_of_a_flushed_reply_is_not_heard() -> None:
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
    downlink = LiveToSpeaker(
        it.speaker, lambda _event: threads.append(threading.get_ident()), it.clock, volume=100
    )
    downlink.add(1, voice(0.01, pcm.DOWNLINK_HZ))
    downlink.end(1)

    await asyncio.to_thread(downlink.pull, 960)
    await it.clock.advance(LATENCY_S)

    assert threads == [threading.get_ident()] * 2  # sounded, played


def test_a_device_that_outlives_the_loop_by_a_period_does_no_harm() -> None:
    async def make() -> LiveToSpeaker:
        return LiveToSpeaker(MemorySpeaker(), Inbox().post, ManualClock(), volume=100)

    loop = asyncio.new_event_loop()
    downlink = loop.run_until_complete(make())
    loop.close()

    assert downlink.pull(480) == bytes(480)
