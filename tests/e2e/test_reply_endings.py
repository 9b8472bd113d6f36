"""Replies without an end, or with a late, doubled or early one, give the turn back within seconds."""

import logging
from typing import Final

import pytest
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import QUIET, Kiosk, kiosk, voice

from kioskd.ports import GenerationEnded, Interrupted, Message, ReplyAudio, TurnComplete
from kioskd.settings.model import Settings
from kioskd.settings.sound import MicrophoneSettings

SOUND: Final = ReplyAudio(voice(0.4, 24_000))
HALF_DUPLEX: Final = QUIET
FULL_DUPLEX: Final = QUIET.model_copy(update={"microphone": MicrophoneSettings(echo="hardware")})


async def say(k: Kiosk, connection: ScriptedConnection, *messages: Message) -> None:
    """Have the service send these messages one by one, and the kiosk read them."""
    for message in messages:
        connection.say(message)
    await k.settle()


def shown(k: Kiosk) -> str:
    """Return the state that is shown now."""
    return k.shown.value


async def pass_time(k: Kiosk, seconds: float) -> None:
    """Let time pass for clock and speaker alike."""
    for _ in range(round(seconds * 10)):
        await k.clock.advance(0.1)
        await k.hear(0.1)


@pytest.mark.parametrize("settings", [HALF_DUPLEX, FULL_DUPLEX], ids=["half duplex", "full duplex"])
@pytest.mark.parametrize(
    "end", [(), (GenerationEnded(),), (TurnComplete(),)], ids=["none", "generation", "turn"]
)
async def test_the_kiosk_listens_again_after_each_kind_of_end(
    settings: Settings, end: tuple[Message, ...]
) -> None:
    async with kiosk(settings) as k:
        connection = await k.wake()
        await k.ask()
        await say(k, connection, SOUND, *end)
        await pass_time(k, 0.2)
        assert shown(k) == "speaking"
        await pass_time(k, 5.0)
        assert shown(k) == "listening"


async def test_a_reply_that_stalls_for_three_seconds_goes_on_as_one_reply(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "kioskd")
    async with kiosk(HALF_DUPLEX) as k:
        connection = await k.wake()
        await k.ask()
        await say(k, connection, SOUND)
        await pass_time(k, 3.3)
        assert shown(k) == "speaking"
        await say(k, connection, SOUND, GenerationEnded(), TurnComplete())
        await pass_time(k, 1.0)
        assert shown(k) == "listening"
        assert k.state.turn.reply == 1
    assert "has no end" not in caplog.text


async def test_the_late_rest_of_a_reply_is_a_reply_of_its_own() -> None:
    async with kiosk(HALF_DUPLEX) as k:
        connection = await k.wake()
        await k.ask()
        await say(k, connection, SOUND)
        await pass_time(k, 6.0)
        assert shown(k) == "listening"
        await say(k, connection, SOUND)
        heard = await k.hear(0.4)
        assert any(heard)
        assert shown(k) == "speaking", "the microphone is shut while it sounds"
        await pass_time(k, 6.0)
        assert shown(k) == "listening"


async def test_an_interruption_without_an_end_of_its_turn_hides_no_later_end() -> None:
    async with kiosk(FULL_DUPLEX) as k:
        connection = await k.wake()
        await k.ask()
        await say(k, connection, SOUND)
        await pass_time(k, 0.2)
        await say(k, connection, Interrupted())
        await pass_time(k, 2.5)
        await say(k, connection, SOUND, GenerationEnded(), TurnComplete())
        await pass_time(k, 1.0)
        await k.ask()
        await say(k, connection, TurnComplete())  # a turn without a word: the visitor has the word at once
        assert shown(k) == "listening"


async def test_sound_after_the_end_of_its_turn_is_heard_and_ends() -> None:
    async with kiosk(HALF_DUPLEX) as k:
        connection = await k.wake()
        await k.ask()
        await say(k, connection, SOUND, TurnComplete(), SOUND)
        heard = await k.hear(1.0)
        assert len(heard.strip(b"\0")) > 1.5 * len(SOUND.pcm) / 2
        await pass_time(k, 6.0)
        assert shown(k) == "listening"
