"""Whole conversations through the composed daemon, whose parts are fakes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from tests.support.fakes_live import ScriptedConnection, ScriptedLive
from tests.support.kiosk import QUIET, Kiosk, frame, kiosk, running, silence, soon, voice

from kioskd.core.effects import KioskStatus
from kioskd.core.policy import Policy
from kioskd.errors import LinkLost, Remedy
from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S
from kioskd.flow.reporting.journal import STATUS
from kioskd.flow.runtime.device_supervisor import RETRY_S
from kioskd.media import cues, pcm
from kioskd.ports import (
    Connection,
    GenerationEnded,
    GoAway,
    Interrupted,
    ReplyAudio,
    ResumptionUpdate,
    SpokenText,
    TurnComplete,
)
from kioskd.settings.conversation import AssistantSettings, ConversationSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings

LOUD = SpeakerSettings(volume=100, cues=())  # not resampled: bytes can be compared
HALF_DUPLEX = Settings(speaker=LOUD)
FULL_DUPLEX = Settings(speaker=LOUD, microphone=MicrophoneSettings(echo="hardware"))
GREETING = Settings(speaker=LOUD, assistant=AssistantSettings(greeting="Say hello."))
ALWAYS_ON = Settings(speaker=LOUD, conversation=ConversationSettings(wake=("start",)))

POLICY = Policy()
HANDLE = SecretStr("the-newest-handle")
REPLY = voice(1.0, pcm.DOWNLINK_HZ)


def numbered(*numbers: int) -> bytes:
    return b"".join(frame(number) for number in numbers)


def sent(connection: ScriptedConnection) -> bytes:
    return b"".join(connection.audio)


async def speak(
    it: Kiosk, connection: ScriptedConnection, reply: bytes = REPLY, *, ended: bool = True
) -> None:
    """Have the model say `reply`, up to the moment when it begins to be heard."""
    connection.say(ReplyAudio(reply))
    if ended:
        connection.say(GenerationEnded(), TurnComplete())
    await it.shows(KioskStatus.SPEAKING)


async def test_the_first_word_survives_a_slow_dial() -> None:
    async with kiosk() as it:
        it.microphone.say(numbered(*range(10)))
        await it.settle()
        it.button.press()
        await it.shows(KioskStatus.WAKING)
        it.microphone.say(numbered(*range(10, 50)))
        await it.clock.advance(9.0)
        connection = await soon(it.live.accept())
        it.microphone.say(numbered(*range(50, 60)))

        words = numbered(*range(60))
        heard = await soon(connection.heard(len(silence(0.02) + words)))
        assert heard == silence(0.02) + words  # the frame from the start was in the pre-roll
        assert it.shown is KioskStatus.LISTENING


async def test_the_first_word_survives_a_client_library_that_is_still_loading() -> None:
    class Loading(ScriptedLive):
        """A service whose client library is loaded when `let` is set. A dial waits for it."""

        def __init__(self) -> None:
            super().__init__()
            self.let = asyncio.Event()

        async def warm_up(self) -> None:
            await self.let.wait()
            await super().warm_up()

        @asynccontextmanager
        async def connect(
            self, handle: SecretStr | None, recall: Sequence[SpokenText] = (), profile: str = ""
        ) -> AsyncIterator[Connection]:
            await self.warm_up()
            async with super().connect(handle, recall, profile) as connection:
                yield connection

    it = Kiosk(QUIET, watchdog_s=None)
    it.live = live = Loading()
    async with running(it.serve()):
        await it.start()
        assert "ready" in it.notifier.told
        assert not live.warmed_up
        it.microphone.say(numbered(*range(10)))
        await it.settle()
        it.button.press()
        await it.shows(KioskStatus.WAKING)
        it.microphone.say(numbered(*range(10, 50)))
        await it.clock.advance(9.0)
        live.let.set()
        connection = await soon(live.accept())

        words = silence(0.02) + numbered(*range(50))
        assert await soon(connection.heard(len(words))) == words


async def test_a_question_is_answered_aloud_and_the_kiosk_listens_again() -> None:
    async with kiosk(HALF_DUPLEX) as it:
        connection = await it.wake()
        await it.ask()
        await speak(it, connection)

        assert (await it.hear(1.5)).startswith(REPLY)
        await it.clock.advance(POLICY.tail_s)

        await it.shows(KioskStatus.LISTENING)
        assert it.lamp.shown == [
            "starting", "asleep", "waking", "listening", "thinking", "speaking", "listening",
        ]  # fmt: skip


async def test_the_service_manager_reads_what_people_are_shown() -> None:
    async with kiosk() as it:
        await it.wake()
    assert it.notifier.told == [
        f"status: {STATUS[KioskStatus.STARTING]}",
        "ready",
        "alive",
        f"status: {STATUS[KioskStatus.ASLEEP]}",
        f"status: {STATUS[KioskStatus.WAKING]}",
        f"status: {STATUS[KioskStatus.LISTENING]}",
    ]


async def test_speaking_into_the_reply_silences_it_and_the_next_one_is_heard() -> None:
    async with kiosk(FULL_DUPLEX) as it:
        connection = await it.wake()
        await it.ask()
        await speak(it, connection, 5 * REPLY, ended=False)
        assert (await it.hear(0.5)) == REPLY[: len(REPLY) // 2]

        it.microphone.say(
            silence(0.6) + voice(0.5)
        )  # the kiosk knows by then how much of its own voice the card leaves
        await it.shows(KioskStatus.LISTENING)
        assert it.state.turn.voice
        connection.say(Interrupted())
        connection.say(ReplyAudio(REPLY))  # was already on its way when the interruption was sent
        await it.settle()
        assert not any((await it.hear(1.0))[pcm.byte_count(0.005, pcm.DOWNLINK_HZ) :])

        connection.say(TurnComplete())
        it.microphone.say(silence(0.8))
        await it.shows(KioskStatus.THINKING)
        await speak(it, connection)
        assert REPLY in await it.hear(1.5)


async def test_the_button_silences_the_reply_and_then_ends_the_conversation() -> None:
    async with kiosk(HALF_DUPLEX) as it:
        connection = await it.wake()
        await it.ask()
        await speak(it, connection, 5 * REPLY)
        await it.hear(0.5)

        it.button.press()
        await it.settle()
        assert not any((await it.hear(1.0))[pcm.byte_count(0.005, pcm.DOWNLINK_HZ) :])
        await it.clock.advance(POLICY.tail_s)
        await it.shows(KioskStatus.LISTENING)
        assert not connection.closed

        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        await soon(connection.hung_up())


async def test_a_reply_that_crosses_the_end_of_the_conversation_is_not_heard() -> None:
    async with kiosk(HALF_DUPLEX) as it:
        connection = await it.wake()
        it.button.press()
        await it.until(lambda: not it.state.turn.awake)
        connection.say(ReplyAudio(REPLY))
        await soon(connection.hung_up())
        await it.settle()

        assert it.state.turn.reply == 1, "the reply came too late to cross anything"
        assert it.shown is KioskStatus.ASLEEP
        assert not any(await it.hear(1.0))


async def test_a_kiosk_without_a_visitor_sleeps_and_hangs_up() -> None:
    async with kiosk() as it:
        connection = await it.wake()
        await it.clock.advance(it.settings.conversation.idle_s - 0.1)
        assert it.shown is KioskStatus.LISTENING

        await it.clock.advance(0.2)

        await it.shows(KioskStatus.ASLEEP)
        await soon(connection.hung_up())
        assert it.live.open == []


async def test_a_visitor_who_speaks_is_not_idle() -> None:
    async with kiosk() as it:
        await it.wake()
        await it.clock.advance(it.settings.conversation.idle_s - 1.0)
        it.microphone.say(voice(1.0))
        await it.until(lambda: it.state.turn.voice)

        await it.clock.advance(it.settings.conversation.idle_s)

        assert it.shown is KioskStatus.LISTENING


async def test_asleep_nothing_is_sent_and_the_next_visitor_hears_nothing_of_the_last() -> None:
    async with kiosk(HALF_DUPLEX) as it:
        first = await it.wake()
        first.say(ResumptionUpdate(HANDLE))
        await it.until(lambda: it.state.link.handle is not None)
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        it.microphone.say(numbered(1, 2, 3))
        await it.settle()

        it.button.press()
        dial = await soon(it.live.dialed())

        assert dial.handle is None, "the session is the last visitor's"
        assert numbered(1) not in sent(first)


async def test_a_lost_link_is_dialed_again_with_the_handle_and_goes_on() -> None:
    async with kiosk() as it:
        first = await it.wake()
        first.say(ResumptionUpdate(SecretStr("an older one")))
        first.say(ResumptionUpdate(HANDLE))
        await it.until(lambda: it.state.link.handle is HANDLE)
        it.microphone.say(numbered(1, 2))
        await soon(first.heard(len(silence(0.02) + numbered(1, 2))))

        first.drop()
        dial = await soon(it.live.dialed())
        it.microphone.say(numbered(3, 4))
        await it.settle()
        second = dial.accept()

        assert dial.handle is HANDLE
        assert await soon(second.heard(len(numbered(3, 4)))) == numbered(3, 4)
        assert it.shown is KioskStatus.LISTENING
        assert it.state.turn.conversation == 1
        assert KioskStatus.OFFLINE not in it.lamp.shown, "a short gap is nobody's business"


async def test_a_link_lost_in_mid_reply_still_plays_the_received_part() -> None:
    async with kiosk(HALF_DUPLEX) as it:
        first = await it.wake()
        await it.ask()
        await speak(it, first, ended=False)
        first.drop()
        await soon(it.live.accept())

        assert (await it.hear(1.5)).startswith(REPLY)
        await it.clock.advance(POLICY.tail_s)
        await it.shows(KioskStatus.LISTENING)


async def test_a_session_that_the_service_has_forgotten_is_begun_afresh_at_once() -> None:
    async with kiosk() as it:
        first = await it.wake()
        first.say(ResumptionUpdate(HANDLE))
        await it.until(lambda: it.state.link.handle is not None)
        first.drop()
        await soon(it.live.refuse(LinkLost("session not found", remedy=Remedy.FRESH)))

        dial = await soon(it.live.dialed())

        assert dial.handle is None


async def test_a_service_that_is_away_is_shown_and_retried_and_gets_all_speech_later() -> None:
    async with kiosk() as it:
        it.button.press()
        await soon(it.live.refuse(LinkLost("no route")))
        await soon(it.live.refuse(LinkLost("no route")))
        await it.shows(KioskStatus.OFFLINE)
        it.microphone.say(numbered(*range(20)))
        await it.clock.advance(1.0)  # the second delay is a random part of one second
        connection = await soon(it.live.accept())

        words = silence(0.02) + numbered(*range(20))
        assert await soon(connection.heard(len(words))) == words
        await it.shows(KioskStatus.LISTENING)


async def test_a_busy_service_is_not_dialed_for_as_long_as_it_asks() -> None:
    async with kiosk() as it:
        it.button.press()
        await soon(it.live.refuse(LinkLost("busy", retry_after_s=15.0)))
        await it.clock.advance(14.9)
        assert it.state.link.epoch == 1

        await it.clock.advance(0.2)
        await soon(it.live.accept())


async def test_refused_settings_are_a_fault_and_the_next_press_tries_again() -> None:
    async with kiosk() as it:
        it.button.press()
        await soon(it.live.refuse(LinkLost("the key is not valid", remedy=Remedy.SETTINGS)))
        await it.shows(KioskStatus.FAULT)
        await it.clock.advance(POLICY.refused_s - 1.0)
        assert it.state.link.epoch == 1, "dialing again as we are cannot help"

        await it.wake()

        await it.shows(KioskStatus.LISTENING)


async def test_a_sleeping_kiosk_finds_that_its_settings_were_mended() -> None:
    async with kiosk() as it:
        it.button.press()
        await soon(it.live.refuse(LinkLost("the key is not valid", remedy=Remedy.SETTINGS)))
        await it.shows(KioskStatus.FAULT)
        await it.clock.advance(POLICY.refused_s)
        probe = await soon(it.live.accept())

        await it.shows(KioskStatus.ASLEEP)
        await soon(probe.hung_up())
        assert list(probe.audio) == [], "nobody is listening in"


async def test_the_kiosk_listens_again_when_the_model_chooses_not_to_answer() -> None:
    async with kiosk() as it:
        connection = await it.wake()
        await it.ask()
        connection.say(TurnComplete())

        await it.shows(KioskStatus.LISTENING)


async def test_the_kiosk_listens_again_when_the_model_says_nothing_at_all() -> None:
    async with kiosk() as it:
        await it.wake()
        await it.ask()
        await it.clock.advance(it.settings.conversation.think_s - 0.1)
        assert it.shown is KioskStatus.THINKING

        await it.clock.advance(0.2)

        await it.shows(KioskStatus.LISTENING)


async def test_half_duplex_is_deaf_during_a_reply_and_tells_the_service_once() -> None:
    async with kiosk(HALF_DUPLEX) as it:
        connection = await it.wake()
        await it.ask()
        before = len(sent(connection))
        await speak(it, connection)
        it.microphone.say(numbered(1, 2))
        await it.hear(1.5)
        it.microphone.say(numbered(3, 4))  # the room still rings
        await it.settle()
        await it.clock.advance(POLICY.tail_s)
        await it.shows(KioskStatus.LISTENING)
        it.microphone.say(numbered(5, 6))

        assert (await soon(connection.heard(before + len(numbered(5, 6)))))[before:] == numbered(5, 6)
        assert connection.audio_ends == 1


async def test_full_duplex_hears_while_it_speaks() -> None:
    async with kiosk(FULL_DUPLEX) as it:
        connection = await it.wake()
        await it.ask()
        before = len(sent(connection))
        await speak(it, connection)
        it.microphone.say(numbered(1, 2))

        assert (await soon(connection.heard(before + len(numbered(1, 2)))))[before:] == numbered(1, 2)
        assert connection.audio_ends == 0


async def test_an_always_on_kiosk_wakes_by_itself_and_again_after_each_conversation() -> None:
    async with kiosk(ALWAYS_ON) as it:
        await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)
        await it.clock.advance(it.settings.conversation.idle_s)
        await it.shows(KioskStatus.ASLEEP)
        await it.clock.advance(POLICY.again_s)

        await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)
        assert it.state.turn.conversation == 2


async def test_an_always_on_kiosk_that_is_refused_does_not_hammer() -> None:
    async with kiosk(ALWAYS_ON) as it:
        await soon(it.live.refuse(LinkLost("the model is unknown", remedy=Remedy.SETTINGS)))
        await it.shows(KioskStatus.FAULT)
        await it.clock.advance(POLICY.refused_s - 1.0)
        assert it.state.link.epoch == 1

        await it.clock.advance(1.0)

        await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)


async def test_a_visitor_is_greeted_once() -> None:
    async with kiosk(GREETING) as it:
        connection = await it.wake()
        await it.shows(KioskStatus.THINKING)
        await soon(connection.until(lambda: connection.texts))
        await speak(it, connection)
        await it.hear(1.5)
        await it.clock.advance(POLICY.tail_s)
        await it.shows(KioskStatus.LISTENING)

        assert list(connection.texts) == ["Say hello."]


async def test_a_connection_that_is_to_end_is_renewed_in_a_quiet_moment_without_a_second_greeting() -> None:
    async with kiosk(GREETING) as it:
        first = await it.wake()
        await speak(it, first)
        first.say(ResumptionUpdate(HANDLE), GoAway(60.0))
        await it.until(lambda: it.state.link.handle is HANDLE)
        await it.settle()
        assert not first.closed, "a reply is sounding: not now"

        await it.hear(1.5)
        await it.clock.advance(POLICY.tail_s)
        dial = await soon(it.live.dialed())
        assert first.closed, "the service takes no second connection for one session"
        assert dial.handle is HANDLE
        it.microphone.say(numbered(1, 2))
        await it.settle()
        second = dial.accept()

        assert await soon(second.heard(len(numbered(1, 2)))) == numbered(1, 2)
        assert list(second.texts) == []
        assert it.shown is KioskStatus.LISTENING


async def test_a_conversation_is_moved_before_its_connection_ends_even_in_mid_speech() -> None:
    async with kiosk() as it:
        first = await it.wake()
        it.microphone.say(voice(1.0))
        await it.until(lambda: it.state.turn.voice)
        first.say(ResumptionUpdate(HANDLE), GoAway(30.0))
        await it.until(lambda: it.state.link.handle is HANDLE)
        await it.clock.advance(30.0 - POLICY.margin_s - 0.1)
        assert not first.closed

        await it.clock.advance(0.2)

        assert (await soon(it.live.dialed())).handle is HANDLE
        assert first.closed


async def test_an_old_connection_is_renewed() -> None:
    settings = Settings(conversation=ConversationSettings(idle_s=600.0, longest_s=3600.0))
    async with kiosk(settings) as it:
        first = await it.wake()
        first.say(ResumptionUpdate(HANDLE))
        await it.until(lambda: it.state.link.handle is HANDLE)
        await it.clock.advance(POLICY.age_s)

        assert (await soon(it.live.dialed())).handle is HANDLE
        assert first.closed


async def test_a_conversation_ends_at_its_longest_time_but_not_in_mid_word() -> None:
    settings = Settings(speaker=LOUD, conversation=ConversationSettings(idle_s=60.0, longest_s=60.0))
    async with kiosk(settings) as it:
        connection = await it.wake()
        await it.clock.advance(50.0)
        await it.ask()
        await speak(it, connection)
        await it.clock.advance(10.0)
        assert it.shown is KioskStatus.SPEAKING

        assert (await it.hear(1.5)).startswith(REPLY)
        await it.shows(KioskStatus.ASLEEP)
        await soon(connection.hung_up())


async def test_an_unplugged_microphone_is_a_fault_until_it_is_back() -> None:
    async with kiosk(watchdog_s=30.0) as it:
        connection = await it.wake()
        it.microphone.unplug()
        await it.shows(KioskStatus.FAULT)
        await it.clock.advance(5.0)
        assert not connection.closed

        it.microphone.replug()
        await it.clock.advance(RETRY_S)
        it.microphone.say(numbered(1))
        await it.shows(KioskStatus.LISTENING)
        assert numbered(1) in await soon(connection.heard(len(silence(0.02) + numbered(1))))


async def test_an_unplugged_speaker_is_a_fault_and_the_reply_goes_on_when_it_is_back() -> None:
    async with kiosk(HALF_DUPLEX) as it:
        connection = await it.wake()
        await it.ask()
        await speak(it, connection)
        heard = await it.hear(0.5)
        it.speaker.unplug()
        await it.shows(KioskStatus.FAULT)
        await it.clock.advance(5.0)
        it.speaker.replug()
        await it.clock.advance(RETRY_S)

        heard += await it.hear(1.0)
        assert heard.startswith(REPLY)
        await it.clock.advance(POLICY.tail_s)
        await it.shows(KioskStatus.LISTENING)


class StuckConnection(ScriptedConnection):
    """Takes no sound, and reports no loss."""

    async def send_audio(self, frame: bytes) -> None:
        await self.until(lambda: self.closed)


class StuckLive(ScriptedLive):
    """Accepts every connection, and then takes no sound."""

    @asynccontextmanager
    async def connect(
        self, handle: SecretStr | None, recall: Sequence[SpokenText] = (), profile: str = ""
    ) -> AsyncIterator[Connection]:
        yield StuckConnection(resumed=handle is not None)


LOOK_S = 3.0


@pytest.mark.parametrize("dead", ["microphone", "speaker", "uplink", "nothing"])
async def test_the_watchdog_is_fed_only_while_every_part_works(dead: str) -> None:
    it = Kiosk(ALWAYS_ON, watchdog_s=3 * LOOK_S)
    if dead == "uplink":
        it.live = StuckLive()
    async with running(it.serve()):
        await it.start()
        if dead != "uplink":
            await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)
        fed: list[int] = []
        for _ in range(6):
            if dead != "microphone":
                it.microphone.say(silence(0.1))
            if dead != "speaker":
                await it.hear(0.1)
            before = it.notifier.told.count("alive")
            await it.clock.advance(LOOK_S)
            fed.append(it.notifier.told.count("alive") - before)

    # The first checks may still count earlier sound.
    assert fed[2:] == 4 * [1 if dead == "nothing" else 0]


async def test_a_sleeping_kiosk_pauses_its_speaker_and_is_well() -> None:
    async with kiosk(Settings(speaker=SpeakerSettings(volume=100)), watchdog_s=3 * LOOK_S) as it:
        fed: list[int] = []
        for _ in range(6):
            it.microphone.say(silence(0.1))
            await it.clock.advance(LOOK_S)
            fed.append(it.notifier.told.count("alive"))
        assert it.speaker.paused
        assert await it.hear(1.0) == b""
        assert fed[2:] == list(range(fed[2], fed[2] + 4))

        await it.wake()
        assert (await it.hear(0.5)).startswith(cues.sound(cues.CueSound.WAKE))
        await it.clock.advance(PAUSE_AFTER_S)
        assert len(await it.hear(1.0)) == pcm.byte_count(1.0, pcm.DOWNLINK_HZ), "not in a conversation"


async def test_a_microphone_that_is_known_to_be_away_causes_no_restart() -> None:
    async with kiosk(watchdog_s=3 * LOOK_S) as it:
        it.microphone.unplug()
        await it.shows(KioskStatus.FAULT)
        fed: list[int] = []
        for _ in range(4):
            await it.hear(0.1)
            await it.clock.advance(LOOK_S)
            fed.append(it.notifier.told.count("alive"))
        assert fed == list(range(fed[0], fed[0] + 4))

        it.microphone.replug()
        await it.clock.advance(RETRY_S)
        it.microphone.say(numbered(1))
        await it.shows(KioskStatus.ASLEEP)
        for _ in range(4):
            await it.hear(0.1)
            await it.clock.advance(LOOK_S)
        assert it.notifier.told.count("alive") <= fed[3] + 2, "back, and deaf: that is one"


async def test_a_kiosk_that_starts_without_its_microphone_says_so_waits_and_serves() -> None:
    it = Kiosk(QUIET, watchdog_s=None)
    it.microphone.unplug()
    async with running(it.serve()):
        await soon(it.speaker.advance(0.01))
        await it.clock.advance(600.0)
        await it.shows(KioskStatus.FAULT)
        assert "ready" in it.notifier.told
        it.button.press()
        await it.settle()
        assert not it.state.turn.awake, "nobody would hear the visitor"

        it.microphone.replug()
        await it.clock.advance(RETRY_S)
        it.microphone.say(numbered(1))
        await it.shows(KioskStatus.ASLEEP)
        await it.wake()


@pytest.mark.parametrize("moment", ["asleep", "dialing", "listening", "speaking", "waiting"])
async def test_stopping_at_any_moment_closes_everything(moment: str) -> None:
    async with asyncio.timeout(5.0):
        async with kiosk() as it:
            if moment in ("listening", "speaking"):
                connection = await it.wake()
                if moment == "speaking":
                    await speak(it, connection)
            elif moment != "asleep":
                it.button.press()
                await it.shows(KioskStatus.WAKING)
                if moment == "waiting":
                    await soon(it.live.refuse(LinkLost("busy", retry_after_s=100.0)))
                    await it.settle()
        assert it.live.open == []
        assert not it.lamp.lit
