"""Speech events: calls, speech, interruptions and a dead microphone are reported to the core."""

import threading
from collections.abc import Iterable, Mapping

import pytest
from tests.support.kiosk import Inbox, On, frame, frames, running, silence, soon, voice
from tests.support.until import until

from kioskd.core.events import (
    Event,
    MicrophoneSilent,
    VoiceBegan,
    VoiceEnded,
    VoiceSuspected,
    WakeCause,
    Woken,
)
from kioskd.errors import ConfigError
from kioskd.flow.audio.speech_events import LoadingDetector, SpeechEvents, WakeDetector
from kioskd.media import pcm
from kioskd.media.barge_in import BargeInVerdict
from kioskd.media.dead_microphone import BEGIN_FRAMES, END_FRAMES
from kioskd.media.voice_activity import PAUSE_MS

NOISE = [frame(number + 1) for number in range(10)]


class Told:
    """Returns the verdict that a test has set for each frame; a `BargeInListener`."""

    def __init__(self, said: Mapping[bytes, BargeInVerdict]) -> None:
        self.said = said
        self.heard: list[tuple[bytes, bool]] = []
        self.resets = 0

    def feed(self, frame: bytes, own_voice: bool) -> BargeInVerdict | None:
        self.heard.append((frame, own_voice))
        return self.said.get(frame) if own_voice else None

    def reset(self) -> None:
        self.resets += 1


class Listening:
    """Speech events with their detectors, and the events that they posted."""

    def __init__(
        self, *, wakers: Mapping[WakeCause, WakeDetector] | None = None, interrupter: Told | None = None
    ) -> None:
        self.inbox = Inbox()
        self.sounds = False
        self.rings = False
        self.speech_events = SpeechEvents(
            self.inbox.post,
            wakers=wakers,
            interrupter=interrupter,
            own_voice=lambda: self.sounds,
            own_sound=lambda: self.rings,
        )

    def hear(self, heard: Iterable[bytes]) -> list[Event]:
        """Listen to a conversation, and return the new events."""
        self.inbox.events.clear()
        for each in heard:
            self.speech_events.listen(each)
        return list(self.inbox.events)

    def sleep(self, heard: Iterable[bytes]) -> list[Event]:
        """Listen asleep, and return the new events."""
        self.inbox.events.clear()
        for each in heard:
            self.speech_events.listen_asleep(each)
        return list(self.inbox.events)


# Wake detectors


def test_a_call_wakes_the_kiosk_and_names_its_cause() -> None:
    it = Listening(wakers={WakeCause.VOICE: On(NOISE[2]), WakeCause.WAKEWORD: On(NOISE[5])})
    assert it.sleep(NOISE) == [Woken(WakeCause.VOICE), Woken(WakeCause.WAKEWORD)]


def test_a_kiosk_that_is_awake_hears_no_calls() -> None:
    waker = On(NOISE[2])
    it = Listening(wakers={WakeCause.VOICE: waker})
    assert it.hear(NOISE) == []
    assert waker.heard == []


def test_a_kiosk_without_wake_detectors_hears_nothing_asleep() -> None:
    assert Listening().sleep(frames(voice(2.0))) == []


def test_a_wake_word_is_distinguished_from_the_visitors_question() -> None:
    it = Listening(wakers={WakeCause.VOICE: On(NOISE[2]), WakeCause.WAKEWORD: On(NOISE[5])})
    assert [it.speech_events.listen_asleep(each) for each in NOISE].index(True) == 5


def test_no_sound_wakes_the_kiosk_until_its_own_sound_has_died_away() -> None:
    waker = On(NOISE[2])
    it = Listening(wakers={WakeCause.VOICE: waker})
    it.sleep(NOISE[:2])
    it.rings = True
    assert it.sleep(NOISE) == []
    assert (waker.heard, waker.resets) == (NOISE[:2], 0)

    it.rings = False
    assert it.sleep(NOISE) == [Woken(WakeCause.VOICE)]
    assert (waker.resets, waker.pauses) == (1, 0), "earlier sound does not count any more"


def test_speech_that_continues_after_a_conversation_does_not_wake_the_kiosk() -> None:
    waker = On(NOISE[2])
    it = Listening(wakers={WakeCause.VOICE: waker})
    it.hear(frames(voice(1.0)))
    it.speech_events.fall_asleep(unheard=False)
    it.rings = True
    it.sleep(NOISE)
    it.rings = False
    it.sleep(NOISE)
    assert waker.pauses == 1

    it.rings = True
    it.sleep(NOISE)
    it.rings = False
    it.sleep(NOISE)
    assert waker.pauses == 1, "that conversation ended long ago"


# A conversation


def test_a_voice_begins_and_ends() -> None:
    it = Listening()
    assert it.hear(frames(voice(1.0))) == [VoiceBegan()]
    assert it.hear(frames(silence(1.0))) == [VoiceEnded(late_s=PAUSE_MS / 1000)]


def test_a_pause_ends_the_voice_at_its_last_word_and_resets_all_detectors() -> None:
    waker, interrupter = On(b""), Told({})
    it = Listening(wakers={WakeCause.VOICE: waker}, interrupter=interrupter)
    it.hear(frames(silence(1.0) + voice(1.0) + silence(0.4)))
    it.inbox.events.clear()
    it.speech_events.pause()

    (ended,) = it.inbox.events
    assert isinstance(ended, VoiceEnded)
    assert ended.late_s == pytest.approx(0.4, abs=0.03)
    assert (waker.resets, interrupter.resets) == (1, 1)
    assert it.hear(frames(silence(1.0))) == [], "the voice is over, so its end is not reported again"
    assert it.hear(frames(voice(1.0))) == [VoiceBegan()]


def test_a_voice_that_outlasts_its_conversation_has_no_end_event() -> None:
    it = Listening()
    it.hear(frames(voice(1.0)))
    it.inbox.events.clear()
    it.speech_events.fall_asleep(unheard=False)
    it.speech_events.pause()
    assert it.inbox.events == []


# Interruptions


def test_while_the_kiosk_sounds_only_the_interrupter_listens() -> None:
    interrupter = Told({})
    it = Listening(interrupter=interrupter)
    it.sounds = True
    assert it.hear(frames(voice(1.0))) == []
    assert interrupter.heard == [(each, True) for each in frames(voice(1.0))]

    it.sounds = False
    interrupter.heard.clear()
    assert it.hear(frames(voice(1.0))) == [VoiceBegan()]
    assert interrupter.heard == [(each, False) for each in frames(voice(1.0))], "it keeps learning the room"


def test_a_voice_that_had_begun_before_the_reply_is_heard_to_its_end() -> None:
    it = Listening(interrupter=Told({}))
    assert it.hear(frames(voice(1.0))) == [VoiceBegan()]
    it.sounds = True
    assert it.hear(frames(silence(1.0))) == [VoiceEnded(late_s=PAUSE_MS / 1000)]


def test_a_suspicion_comes_and_goes() -> None:
    it = Listening(interrupter=Told({NOISE[1]: BargeInVerdict.SUSPECTED, NOISE[4]: BargeInVerdict.CLEARED}))
    it.sounds = True
    assert it.hear(NOISE) == [VoiceSuspected(suspected=True), VoiceSuspected(suspected=False)]


def test_an_interruption_is_a_voice_and_its_end_is_heard_after_the_reply_has_stopped() -> None:
    it = Listening(interrupter=Told({NOISE[1]: BargeInVerdict.SUSPECTED, NOISE[2]: BargeInVerdict.SURE}))
    it.sounds = True
    assert it.hear(NOISE) == [VoiceSuspected(suspected=True), VoiceBegan()]

    it.sounds = False
    assert it.hear(frames(voice(1.0))) == [], "the voice goes on"
    assert it.hear(frames(silence(1.0))) == [VoiceEnded(late_s=PAUSE_MS / 1000)]


def test_without_an_interrupter_every_voice_counts_as_the_visitors() -> None:
    it = Listening()
    it.sounds = True
    assert it.hear(frames(voice(1.0))) == [VoiceBegan()]


# A wake detector that loads slowly


async def test_a_detector_that_is_loading_hears_nothing_and_blocks_nothing() -> None:
    begin, threads = threading.Event(), list[threading.Thread]()

    def load() -> WakeDetector:
        threads.append(threading.current_thread())
        assert begin.wait(10)
        return On(NOISE[1])

    waker = LoadingDetector("word", load)
    it = Listening(wakers={WakeCause.WAKEWORD: waker})
    async with running(waker.run()):
        await until(lambda: bool(threads))
        assert not waker.ready
        assert it.sleep(NOISE) == []
        it.speech_events.pause()
        begin.set()
        await until(lambda: waker.ready)
        assert it.sleep(NOISE) == [Woken(WakeCause.WAKEWORD)]
    assert threads != [threading.main_thread()]


async def test_a_loaded_detector_is_reset_when_the_kiosk_pauses() -> None:
    word = On(NOISE[1])
    waker = LoadingDetector("word", lambda: word)
    it = Listening(wakers={WakeCause.WAKEWORD: waker})
    async with running(waker.run()):
        await until(lambda: waker.ready)
        it.speech_events.pause()
    assert word.resets == 1


async def test_a_detector_that_cannot_be_loaded_ends_the_kiosk_with_its_reason() -> None:
    def load() -> WakeDetector:
        raise ConfigError("no such wake word")

    with pytest.raises(ConfigError, match="no such wake word"):
        await soon(LoadingDetector("word", load).run())


async def test_a_slow_load_is_logged_once_and_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    go_on = threading.Event()

    def load() -> WakeDetector:
        assert go_on.wait(10)
        return On(NOISE[1])

    waker = LoadingDetector("word", load, slow_s=0.01)
    async with running(waker.run()):
        await until(lambda: bool(caplog.records))
        go_on.set()
        await until(lambda: waker.ready)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "word still loading: waited=0.01s; check whether the disk fails"
    ]


# A dead microphone


def test_a_silent_microphone_is_reported_once_and_so_is_its_recovery() -> None:
    it = Listening()
    for _ in range(2 * BEGIN_FRAMES):
        it.speech_events.check_level(bytes(pcm.FRAME_BYTES))
    assert it.inbox.events == [MicrophoneSilent(deaf=True)]

    for number in range(2 * END_FRAMES):
        it.speech_events.check_level(
            b"".join((number + at).to_bytes(2, "little") for at in range(pcm.FRAME_BYTES // 2))
        )
    assert it.inbox.events == [MicrophoneSilent(deaf=True), MicrophoneSilent(deaf=False)]


def test_a_quiet_room_does_not_count_as_a_dead_microphone() -> None:
    it = Listening()
    hiss = b"\0\0\1\0" * (pcm.FRAME_BYTES // 4)
    for _ in range(2 * BEGIN_FRAMES):
        it.speech_events.check_level(hiss)
    assert it.inbox.events == []
