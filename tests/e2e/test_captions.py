"""Captions of the composed daemon: cut at the word that was heard, cleared at sleep, and free when off."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.caption_screens import MemoryCaptionScreen
from tests.support.kiosk import Kiosk, running, silence, voice
from tests.support.parts import changed

from kioskd import app
from kioskd.core.effects import KioskStatus
from kioskd.media import pcm
from kioskd.ports import GenerationEnded, Interrupted, ReplyAudio, SpokenText, TurnComplete
from kioskd.settings.captions import CaptionsSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings

WORD_S = 0.3
WORDS = [f"word{number:02}" for number in range(30)]
CAPTIONED = Settings(
    speaker=SpeakerSettings(volume=100, cues=()),
    microphone=MicrophoneSettings(echo="hardware"),
    captions=CaptionsSettings(stream=True),
)


class CaptionedKiosk(Kiosk):
    """A kiosk in memory with a screen for captions."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, watchdog_s=None)
        self.screen = MemoryCaptionScreen()

    def parts(self) -> app.Parts:
        return changed(super().parts(), caption_screens=[self.screen])


@asynccontextmanager
async def captioned(settings: Settings = CAPTIONED) -> AsyncIterator[CaptionedKiosk]:
    made = CaptionedKiosk(settings)
    async with running(made.serve()):
        await made.start()
        yield made


async def play(it: CaptionedKiosk, seconds: float) -> None:
    """Let speaker and clock go on together, in steps of 20 ms."""
    for _ in range(round(seconds / 0.02)):
        await it.hear(0.02)
        await it.clock.advance(0.02)


async def test_a_caption_ends_within_300_ms_of_the_sound_that_was_heard_at_a_barge_in() -> None:
    async with captioned() as it:
        connection = await it.wake()
        connection.say(SpokenText(True, "Tell me a story."))
        for word in WORDS:
            connection.say(SpokenText(False, f"{word} "), ReplyAudio(voice(WORD_S, pcm.DOWNLINK_HZ)))
        connection.say(GenerationEnded())
        await it.shows(KioskStatus.SPEAKING)
        before = len(it.speaker.heard)
        await play(it, 4.0)
        it.microphone.say(silence(0.6) + voice(0.5))
        await it.shows(KioskStatus.LISTENING)
        connection.say(Interrupted(), SpokenText(False, "late "))
        await play(it, 0.5)
        sound = bytes(it.speaker.heard[before:])
        heard_s = pcm.duration_s(len(sound.rstrip(b"\0")), pcm.DOWNLINK_HZ)

        (visitor, kiosk) = it.screen.lines.values()
        assert visitor["text"] == "Tell me a story."
        shown = kiosk["text"].split()
        assert shown == WORDS[: len(shown)]
        assert (kiosk["cut"], kiosk["final"]) == (True, True)
        assert 3.9 < heard_s < 5.5
        # The last word that is shown had begun; the next one had not.
        assert (len(shown) - 1) * WORD_S - 0.3 <= heard_s <= len(shown) * WORD_S + 0.3


async def test_no_word_is_shown_before_it_is_heard() -> None:
    async with captioned() as it:
        connection = await it.wake()
        for word in WORDS[:10]:
            connection.say(SpokenText(False, f"{word} "), ReplyAudio(voice(WORD_S, pcm.DOWNLINK_HZ)))
        connection.say(GenerationEnded(), TurnComplete())
        await it.shows(KioskStatus.SPEAKING)
        for step in range(1, 9):
            await play(it, WORD_S)
            shown = it.screen.texts[-1].split()[1:] if it.screen.texts else []
            assert abs(len(shown) - step) <= 1
        await play(it, 4 * WORD_S)
        await it.shows(KioskStatus.LISTENING)
        assert it.screen.texts == [f"kiosk: {' '.join(WORDS[:10])}"]


async def test_the_screen_is_empty_when_the_kiosk_sleeps() -> None:
    async with captioned() as it:
        connection = await it.wake()
        connection.say(SpokenText(True, "My number is 12345."))
        await it.screen.until(lambda: it.screen.texts)
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        await it.settle()
        assert it.screen.texts == []
        assert it.screen.status["state"] == "asleep"


async def test_without_captions_no_task_runs_for_them() -> None:
    async with captioned(Settings()) as it:
        await it.settle()
        assert it.screen.messages == 0
        assert not [task for task in asyncio.all_tasks() if "captions" in task.get_name()]


def test_without_captions_nothing_of_them_is_imported() -> None:
    asked = (
        "import sys, kioskd.app.kiosk, kioskd.app.devices, kioskd.cli.run; "
        "print([name for name in sys.modules if name.startswith(('kioskd.flow.captions', "
        "'kioskd.adapters.captions'))])"
    )
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
