"""A spoken word wakes the composed daemon. Its start does not wait for the word's model."""

import asyncio
import shutil
import threading

import pytest
from tests.room.sounds import called, to_pcm
from tests.support.kiosk import Kiosk, kiosk, silence, soon

from kioskd.adapters import wakeword
from kioskd.core.effects import KioskStatus
from kioskd.errors import ConfigError
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.model import Settings
from kioskd.settings.sound import SpeakerSettings

pytest.importorskip("pymicro_wakeword", reason="the extra kioskd[wakeword] is not installed")

CALLED: Settings = Settings(
    conversation=ConversationSettings(wake=("button", "wakeword")), speaker=SpeakerSettings(cues=())
)


async def serves(it: Kiosk) -> None:
    """Wait until the kiosk is ready. One of its threads works in true time."""
    async with asyncio.timeout(60):
        while not it.state.started:
            await it.clock.advance(0.01)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="no espeak-ng here")
async def test_the_word_wakes_the_kiosk() -> None:
    async with kiosk(CALLED, started=False) as it:
        it.microphone.say(silence(0.02))
        await soon(it.speaker.advance(0.01))
        await serves(it)
        assert it.shown is KioskStatus.ASLEEP
        it.microphone.say(silence(1.0) + to_pcm(called("Okay Nabu")) + silence(1.0))
        await soon(it.live.accept())
        await it.shows(KioskStatus.LISTENING)


async def test_the_button_wakes_a_kiosk_that_is_still_loading_its_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()
    real = wakeword.words

    def slow() -> tuple[str, ...]:
        assert go_on.wait(10)
        return real()

    monkeypatch.setattr(wakeword, "words", slow)
    async with kiosk(CALLED, started=False) as it:
        try:
            it.microphone.say(silence(0.02))
            await soon(it.speaker.advance(0.01))
            await it.wake()
            await it.clock.advance(0.1)
            assert not it.state.started, "a kiosk that does not hear its word yet is not ready"
        finally:
            go_on.set()
        await serves(it)
        assert "ready" in it.notifier.told


async def test_a_missing_word_model_ends_the_daemon_with_the_reason() -> None:
    settings = Settings(conversation=ConversationSettings(wake=("wakeword",), wakeword=("open_sesame",)))
    with pytest.raises(ConfigError, match="no such wake word"):
        await soon(Kiosk(settings, watchdog_s=None).serve())
