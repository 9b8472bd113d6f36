"""A visitor shows codes to the reader of the composed daemon, and steps before its sensor."""

import pytest
from tests.support.kiosk import Kiosk, running, soon, voice
from tests.support.parts import changed

from kioskd import app
from kioskd.adapters.fakes.devices import MemoryButton, MemoryReader
from kioskd.core.effects import Chime, Cue, KioskStatus
from kioskd.errors import LinkLost, Remedy
from kioskd.flow.subjects.presence import PresenceRules
from kioskd.flow.subjects.subjects import Subject
from kioskd.media import pcm
from kioskd.ports import GenerationEnded, ReplyAudio, TurnComplete
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings, SpeakerSettings

SETTINGS = Settings(
    speaker=SpeakerSettings(cues=()),
    microphone=MicrophoneSettings(echo="hardware"),
    conversation=ConversationSettings(idle_s=20.0),
)
CLOCK = Subject("clock", "The clock.", "Greet.", (b"clock",))
TOWER = Subject("tower-*", "The tower.", "", (b"tower",))
REPLY = voice(1.0, pcm.DOWNLINK_HZ)


class Museum(Kiosk):
    """A kiosk with a reader, two subjects and a presence sensor."""

    def __init__(self) -> None:
        super().__init__(SETTINGS, watchdog_s=None)
        self.reader, self.sensor = MemoryReader(), MemoryButton()

    def parts(self) -> app.Parts:
        return changed(
            super().parts(),
            readers=[app.ReaderSpec(self.reader)],
            presence=app.PresenceSpec(self.sensor, PresenceRules(greeting="Offer help.")),
            subjects=[CLOCK, TOWER],
        )

    async def scan(self, line: str) -> None:
        """Show the reader a code, after a pause."""
        await self.clock.advance(1.0)
        self.reader.scan(line)
        await self.settle()


def about(texts: list[str]) -> list[str]:
    """Return what the contexts are about."""
    return [text.rpartition(": ")[2] for text in texts]


async def test_a_scan_wakes_with_its_subject_and_another_one_changes_it_after_the_reply() -> None:
    it = Museum()
    async with running(it.serve()):
        await it.start()
        await it.scan("clock")
        connection = await soon(it.live.accept())
        await it.shows(KioskStatus.THINKING)
        await it.clock.advance(0.1)
        assert (about(connection.contexts), connection.shown) == (["The clock."], [b"clock"])
        assert connection.texts == ["Greet."]

        connection.say(ReplyAudio(REPLY), GenerationEnded(), TurnComplete())
        await it.shows(KioskStatus.SPEAKING)
        await it.scan("tower-4711")
        await it.scan("ticket-4711")
        assert about(connection.contexts) == ["The clock."], "the reply is not over"
        await it.hear(1.5)
        await it.shows(KioskStatus.LISTENING)
        await it.clock.advance(0.1)
        assert about(connection.contexts) == ["The clock.", "The tower."]
        assert "4711" not in repr([connection.contexts, connection.texts])
        chimes = [effect.cue for effect in it.effects if isinstance(effect, Chime)]
        assert chimes == [Cue.WAKE, Cue.WAKE, Cue.ERROR]


@pytest.mark.parametrize("remedy", [Remedy.FRESH, Remedy.RESUME])
async def test_a_new_session_is_told_the_subject_again(remedy: Remedy) -> None:
    it = Museum()
    async with running(it.serve()):
        await it.start()
        await it.scan("tower-1")
        connection = await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        await it.clock.advance(0.1)
        connection.drop(LinkLost("gone", remedy=remedy))
        await it.clock.advance(5.0)
        again = await soon(it.live.accept())
        await it.until(lambda: it.state.link.open)
        await it.clock.advance(0.1)
        assert (again.resumed, about(again.contexts)) == (False, ["The tower."])


async def test_the_next_conversation_knows_nothing_of_the_subject() -> None:
    it = Museum()
    async with running(it.serve()):
        await it.start()
        await it.scan("tower-1")
        await soon(it.live.accept())
        it.button.press()
        await it.shows(KioskStatus.ASLEEP)
        connection = await it.wake()
        await it.clock.advance(0.1)
        assert connection.contexts == []


async def test_the_sensor_greets_a_visitor_and_ends_the_conversation_when_the_visitor_has_left() -> None:
    it = Museum()
    async with running(it.serve()):
        await it.start()
        it.sensor.hold()
        await it.clock.advance(2.1)
        connection = await soon(it.live.accept())
        await it.clock.advance(0.1)
        assert (connection.texts, connection.contexts) == (["Offer help."], [])
        connection.say(ReplyAudio(REPLY), GenerationEnded(), TurnComplete())
        await it.shows(KioskStatus.SPEAKING)
        it.sensor.release()
        await it.hear(1.5)
        await it.shows(KioskStatus.LISTENING)
        await it.clock.advance(15.1)
        await it.shows(KioskStatus.ASLEEP)
