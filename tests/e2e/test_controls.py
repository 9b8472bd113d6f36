"""A visitor uses the button and sees the lamp of the composed daemon, whose parts are fakes."""

from pathlib import Path

import pytest
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import Kiosk, frame, kiosk, running, silence, soon, voice
from tests.support.parts import changed

from kioskd import app
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.adapters.storage.recordings import RecordFolder
from kioskd.core.effects import KioskStatus, Overlay
from kioskd.core.policy import Policy
from kioskd.media import pcm
from kioskd.ports import GenerationEnded, ReplyAudio, TurnComplete
from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.limits import PrivacySettings, RecordSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings

LOUD = SpeakerSettings(volume=100, cues=())  # not resampled: bytes can be compared
HELD = Settings(
    speaker=LOUD, controls=ControlsSettings(button=ButtonSettings(source="gpio:pi/17", does="hold"))
)
FULL_DUPLEX = MicrophoneSettings(echo="hardware")
TAIL_S = Policy().tail_s
LATE = voice(1.0, pcm.DOWNLINK_HZ)
ANSWER = voice(0.7, pcm.DOWNLINK_HZ)
WORDS = b"".join(frame(number) for number in range(50))


def answer(connection: ScriptedConnection, reply: bytes) -> None:
    """Have the model say `reply`."""
    connection.say(ReplyAudio(reply), GenerationEnded(), TurnComplete())


class Two(Kiosk):
    """A kiosk with another button."""

    def __init__(self, settings: Settings, *, watchdog_s: float | None) -> None:
        super().__init__(settings, watchdog_s=watchdog_s)
        self.other = MemoryButton()

    def parts(self) -> app.Parts:
        parts = super().parts()
        others = [app.hand(self.other, button) for button in self.settings.controls.buttons]
        return changed(parts, buttons=[*parts.devices.buttons, *others])


async def hold_and_ask(it: Kiosk) -> ScriptedConnection:
    """Hold the button, say something, release it; return the connection that received it."""
    it.button.hold()
    connection = await soon(it.live.accept())
    await it.until(lambda: it.state.link.open)
    it.microphone.say(voice(0.5))
    await it.settle()
    it.button.release()
    it.microphone.say(silence(0.5))
    await it.shows(KioskStatus.THINKING)
    return connection


@pytest.mark.parametrize("settings", [HELD, HELD.model_copy(update={"microphone": FULL_DUPLEX})])
async def test_holding_the_button_again_drops_the_answer_to_the_earlier_question(
    settings: Settings,
) -> None:
    async with kiosk(settings) as it:
        connection = await hold_and_ask(it)
        it.button.hold()
        await it.shows(KioskStatus.LISTENING)
        answer(connection, LATE)
        await it.settle()
        assert not any(await it.hear(1.2))

        connection.audio.clear()
        it.microphone.say(WORDS)
        await it.settle()
        assert b"".join(connection.audio) == WORDS

        it.button.release()
        it.microphone.say(silence(0.5))
        await it.shows(KioskStatus.THINKING)
        answer(connection, ANSWER)
        await it.shows(KioskStatus.SPEAKING)
        assert ANSWER in await it.hear(1.5)


async def test_holding_the_button_into_a_reply_sends_speech_once_the_room_is_quiet() -> None:
    async with kiosk(HELD) as it:
        connection = await hold_and_ask(it)
        answer(connection, LATE)
        await it.shows(KioskStatus.SPEAKING)
        await it.hear(0.2)
        connection.audio.clear()
        it.button.hold()
        await it.settle()
        await it.hear(0.1)  # it fades
        it.microphone.say(voice(0.2))  # the kiosk's own voice, which is still in the device
        await it.clock.advance(TAIL_S)
        it.microphone.say(WORDS)
        await it.settle()
        assert b"".join(connection.audio) == WORDS
        assert not any(await it.hear(1.2))


async def test_a_turn_with_two_talk_buttons_ends_when_both_are_released() -> None:
    left, right = (ButtonSettings(source=f"gpio:pi/{line}", does="hold") for line in (17, 18))
    controls = ControlsSettings(button=left, buttons=(right,))
    it = Two(HELD.model_copy(update={"microphone": FULL_DUPLEX, "controls": controls}), watchdog_s=None)
    async with running(it.serve()):
        await it.start()
        it.button.hold()
        connection = await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        it.other.hold()
        await it.settle()
        it.button.release()
        await it.settle()
        connection.audio.clear()
        it.microphone.say(WORDS)
        await it.settle()
        assert (it.shown, b"".join(connection.audio)) == (KioskStatus.LISTENING, WORDS)
        it.other.release()
        await it.shows(KioskStatus.THINKING)


async def test_a_press_that_interrupts_leaves_the_visitor_time_to_speak() -> None:
    settings = Settings(speaker=LOUD, conversation=ConversationSettings(follow_up_s=0.0))
    async with kiosk(settings) as it:
        connection = await it.wake()
        await it.ask()
        answer(connection, LATE)
        await it.shows(KioskStatus.SPEAKING)
        it.button.press()
        await it.clock.advance(TAIL_S + 5.0)
        assert it.shown is KioskStatus.LISTENING
        await it.ask()


async def test_a_double_press_in_a_conversation_leaves_it_as_it_is() -> None:
    button = ButtonSettings(source="gpio:pi/17", double="look")
    async with kiosk(Settings(speaker=LOUD, controls=ControlsSettings(button=button))) as it:
        it.button.press()
        await it.clock.advance(0.4)
        await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        conversation = it.state.turn.conversation
        it.button.press()
        await it.clock.advance(0.2)
        it.button.press()
        await it.clock.advance(5.0)
        assert (it.shown, it.state.turn.conversation) == (KioskStatus.LISTENING, conversation)
        it.button.press()
        await it.clock.advance(0.4)
        assert it.shown is KioskStatus.ASLEEP


class Keeping(Kiosk):
    """A kiosk that stores transcripts."""

    def __init__(self, folder: Path) -> None:
        kept = RecordSettings(folder=folder, keep_days=1, most_mb=1)
        super().__init__(Settings(privacy=PrivacySettings(transcripts=kept)), watchdog_s=None)
        self._words = RecordFolder(folder, what="transcripts", keep_days=1, most_mb=1)

    def parts(self) -> app.Parts:
        return changed(super().parts(), transcripts=self._words)


async def test_the_lamp_shows_that_the_conversation_is_stored(tmp_path: Path) -> None:
    it = Keeping(tmp_path / "words")
    async with running(it.serve()):
        await it.start()
        assert it.lamp.light.overlay == Overlay.NONE
        await it.wake()
        await it.shows(KioskStatus.LISTENING)
        assert it.lamp.light.overlay == Overlay.RECORDING
