"""Rejected turns are logged, written ones are read aloud, and after three the session is replaced."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import QUIET, Kiosk, running, soon, voice
from tests.support.parts import changed

from kioskd.ports import (
    GenerationEnded,
    GoAway,
    Interrupted,
    Message,
    ReplyAudio,
    ReplyText,
    ResumptionUpdate,
    SpokenText,
    TurnComplete,
    UsageReported,
)
from kioskd.settings.sound import MicrophoneSettings

SETTINGS = QUIET.model_copy(update={"microphone": MicrophoneSettings(echo="hardware")})
WORDS = "We open at ten."
SPOKEN = voice(0.3, 24_000)


async def in_english(text: str) -> bytes | None:
    """Be a machine that can read aloud."""
    return SPOKEN if text == WORDS else None


async def not_at_all(_text: str) -> bytes | None:
    """Be a machine without espeak-ng."""
    return None


async def never(_text: str) -> bytes | None:
    """Be a machine that hangs."""
    await asyncio.Event().wait()
    return None


@asynccontextmanager
async def kiosk(read_aloud: Callable[[str], Awaitable[bytes | None]] = in_english) -> AsyncIterator[Kiosk]:
    made = Kiosk(SETTINGS, watchdog_s=None)
    parts = made.parts
    made.parts = lambda: changed(parts(), read_aloud=read_aloud)  # type: ignore[method-assign]
    async with running(made.serve()):
        await made.start()
        yield made


async def turn(k: Kiosk, connection: ScriptedConnection, *messages: Message) -> None:
    """Ask a question, and have the service answer with this."""
    await k.ask()
    for message in messages:
        connection.say(message)
    await k.settle()


async def test_a_rejected_turn_is_logged_with_its_reason_and_the_kiosk_listens_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with kiosk() as k:
        connection = await k.wake()
        await turn(k, connection, TurnComplete("RESPONSE_REJECTED"))
        assert k.shown.value == "listening"
    assert "turn of the model was rejected by the service: reason=RESPONSE_REJECTED in_a_row=1" in caplog.text


async def test_three_rejected_turns_are_followed_by_a_fresh_session_with_the_transcript() -> None:
    async with kiosk() as k:
        connection = await k.wake()
        connection.say(SpokenText(True, "When do you open?"), ResumptionUpdate(SecretStr("old")))
        for _ in range(3):
            await turn(k, connection, TurnComplete("RESPONSE_REJECTED"), ResumptionUpdate(SecretStr("newer")))
        fresh = await soon(k.live.accept())
        assert not fresh.resumed
        assert fresh.recall == (SpokenText(True, "When do you open?"),)


async def test_a_second_session_that_rejects_everything_is_followed_by_one_without_the_transcript() -> None:
    async with kiosk() as k:
        connection = await k.wake()
        connection.say(SpokenText(True, "words that it minds"))
        for _ in range(2):
            for _ in range(3):
                await turn(k, connection, TurnComplete("RESPONSE_REJECTED"))
            connection = await soon(k.live.accept())
            await k.until(lambda: k.state.link.open)
        assert connection.recall == ()


async def test_a_turn_with_sound_in_between_keeps_the_session() -> None:
    async with kiosk() as k:
        connection = await k.wake()
        for _ in range(2):
            for _ in range(2):
                await turn(k, connection, TurnComplete("RESPONSE_REJECTED"))
            await turn(k, connection, ReplyAudio(SPOKEN), GenerationEnded(), TurnComplete())
            await k.hear(0.5)
        assert not connection.closed
        assert k.state.link.epoch == 1


@pytest.mark.parametrize("end", [TurnComplete(), GenerationEnded()])
async def test_a_reply_in_writing_is_read_aloud_and_in_no_log(
    end: Message, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with kiosk() as k:
        connection = await k.wake()
        await turn(k, connection, ReplyText("We open "), ReplyText("at ten."), end)
        assert k.shown.value == "speaking"
        assert len((await k.hear(0.5)).rstrip(b"\0")) == len(SPOKEN.rstrip(b"\0"))
        await k.clock.advance(0.5)
        assert k.shown.value == "listening"
    assert "turn of the model came as text: chars=15 in_a_row=1" in caplog.text
    assert "We open" not in caplog.text
    assert "at ten" not in caplog.text


@pytest.mark.parametrize("read_aloud", [not_at_all, never])
async def test_a_reply_that_cannot_be_read_aloud_causes_no_wait(
    read_aloud: Callable[[str], Awaitable[bytes | None]], caplog: pytest.LogCaptureFixture
) -> None:
    async with kiosk(read_aloud) as k:
        connection = await k.wake()
        await turn(k, connection, ReplyText(WORDS), TurnComplete())
        await k.hear(0.5)
        await k.clock.advance(12.5)
        await k.hear(0.1)
        assert k.shown.value == "listening"
    if (
        read_aloud is not_at_all
    ):  # the journal says that a visitor heard nothing, and does not quote the words
        assert "written reply could not be read aloud, the visitor heard nothing: chars=15" in caplog.text
    assert WORDS not in caplog.text


async def test_text_beside_sound_is_not_read_aloud() -> None:
    async with kiosk() as k:
        connection = await k.wake()
        await turn(k, connection, ReplyAudio(voice(0.1, 24_000)), ReplyText(WORDS), TurnComplete())
        await k.hear(0.5)
        assert k.state.turn.reply == 1


async def test_a_burst_of_small_messages_fills_no_box_and_ends_nothing() -> None:
    async with kiosk() as k:
        connection = await k.wake()
        for left_s in range(4_000):
            connection.say(GoAway(300.0 + left_s), Interrupted(), UsageReported(1, 1))
        await k.ask()
        await turn(k, connection, ReplyAudio(SPOKEN), GenerationEnded(), TurnComplete())
        await k.until(lambda: k.state.turn.reply == 1)
        assert any(await k.hear(0.5))
