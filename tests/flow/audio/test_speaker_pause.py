"""The speaker pauses while the kiosk sleeps and nothing sounds, and sounds at once when it is needed."""

from typing import NoReturn

from tests.support.fakes_devices import ManualClock, MemorySpeaker
from tests.support.kiosk import running, soon

from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S, SpeakerPause
from kioskd.media import pcm
from kioskd.ports import AudioSource


class Restless:
    """A speaker that does not pause, like one behind HDMI."""

    latency_s = 0.0

    async def play(self, source: AudioSource) -> NoReturn:
        raise NotImplementedError

    def pause(self) -> bool:
        return False

    def resume(self) -> None:
        raise AssertionError("it never paused")


class Sleeper:
    """A speaker, its pauses, and a source that can be silent."""

    def __init__(self) -> None:
        self.clock, self.speaker = ManualClock(), MemorySpeaker()
        self.silent = True
        self.pause = SpeakerPause(self.speaker, self.clock, silent=lambda: self.silent)

    def pull(self, byte_count: int) -> bytes:
        if self.pause.fresh:
            self.pause.pulls()
        return bytes(byte_count)

    async def pulled(self, seconds: float = 0.1) -> float:
        """Let time pass; return the seconds that the speaker pulled."""
        before = len(self.speaker.heard)
        await soon(self.speaker.advance(seconds))
        return pcm.duration_s(len(self.speaker.heard) - before, pcm.DOWNLINK_HZ)


async def test_a_speaker_that_is_not_needed_pauses_some_seconds_after_it_was_opened() -> None:
    it = Sleeper()
    async with running(it.pause.play(it)):
        assert await it.pulled() == 0.1
        await it.clock.advance(PAUSE_AFTER_S - 0.1)
        assert not it.pause.paused
        await it.clock.advance(0.2)
        assert it.pause.paused
        assert await it.pulled(60.0) == 0.0


async def test_a_speaker_that_is_needed_does_not_pause() -> None:
    it = Sleeper()
    it.pause.need(needed=True)
    async with running(it.pause.play(it)):
        await it.pulled()
        await it.clock.advance(10 * PAUSE_AFTER_S)
        assert await it.pulled() == 0.1
        it.pause.need(needed=False)
        await it.clock.advance(PAUSE_AFTER_S + 0.1)
        assert it.pause.paused


async def test_a_pause_ends_at_once_when_the_speaker_is_needed() -> None:
    it = Sleeper()
    async with running(it.pause.play(it)):
        await it.pulled()
        await it.clock.advance(PAUSE_AFTER_S)
        it.pause.need(needed=True)
        assert (it.pause.paused, it.pause.fresh) == (False, True)
        assert await it.pulled() == 0.1
        assert not it.pause.fresh


async def test_a_sound_ends_a_pause_and_the_next_pause_waits_for_its_end() -> None:
    it = Sleeper()
    async with running(it.pause.play(it)):
        await it.pulled()
        await it.clock.advance(PAUSE_AFTER_S)
        it.silent = False
        it.pause.stir()
        assert await it.pulled() == 0.1
        await it.clock.advance(10 * PAUSE_AFTER_S)
        assert not it.pause.paused
        it.silent = True
        await it.clock.advance(PAUSE_AFTER_S)
        assert it.pause.paused


async def test_a_speaker_does_not_pause_before_it_has_proved_that_it_works() -> None:
    it = Sleeper()
    it.pause.need(needed=False)
    async with running(it.pause.play(it)):
        await it.clock.advance(10 * PAUSE_AFTER_S)
        assert await it.pulled() == 0.1


async def test_a_speaker_that_is_opened_again_begins_without_a_pause() -> None:
    it = Sleeper()
    async with running(it.pause.play(it)):
        await it.pulled()
        await it.clock.advance(PAUSE_AFTER_S)
        assert it.pause.paused
    async with running(it.pause.play(it)):
        assert await it.pulled() == 0.1
        assert not it.pause.paused


async def test_a_speaker_that_cannot_pause_is_not_taken_for_paused() -> None:
    clock = ManualClock()
    pause = SpeakerPause(Restless(), clock, silent=lambda: True)
    pause.pulls()
    await clock.advance(PAUSE_AFTER_S + 1.0)
    assert not pause.paused
    pause.need(needed=True)
