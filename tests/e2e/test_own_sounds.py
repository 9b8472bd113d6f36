"""A kiosk that hears itself: its own sounds do not wake it, are not sent, and begin no visitor's turn."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np
import pytest
from tests.room.acoustics import Acoustics
from tests.room.conversation import KIOSK_DB, VISITOR_DB, Stage
from tests.room.devices import FRAME_S
from tests.room.sounds import Samples, from_pcm, kiosk_sentences, level_db, levelled, people, to_pcm
from tests.support.kiosk import running

from kioskd.core import button_gesture
from kioskd.core.turn import TurnPhase
from kioskd.media import pcm
from kioskd.settings.model import Settings

if shutil.which("espeak-ng") is None or not people():
    pytest.skip("no espeak-ng or no recordings of people here", allow_module_level=True)

COUPLING_DB: Final = {"half_duplex": 0.0, "cancel": -10.0, "hardware": -20.0}
"""Gain from the loudspeaker to the microphone; with a card that cancels echo, the worst rest that it
leaves."""

OWN_VOICE_DB: Final = -50.0
"""Level above which a sound in an empty room is the kiosk's own."""
RINGS_MS: Final = 200


class Awake(Stage):
    """A kiosk in a room. A voice begins its conversation, and its button ends it."""

    def __init__(
        self,
        echo: str,
        *,
        cues: bool = False,
        preroll_ms: int = 600,
        does: button_gesture.ButtonRole = "end",
        **conversation: Any,
    ) -> None:
        """Build a kiosk. `does` is the button's role."""
        button = {"button": {"source": "gpio:pi/17", "does": does}} if does == "hold" else {}
        chosen = Settings.model_validate(
            {
                "microphone": {"echo": echo, "preroll_ms": preroll_ms},
                "speaker": {"volume": 100, "cues": cues},
                "controls": button,
                "conversation": {"wake": ("voice",), "idle_s": 60} | conversation,
            }
        )
        acoustics = Acoustics(COUPLING_DB[echo], 0.12, 50e-6, 0.6, "pink", -65.0, seed=7)
        super().__init__(chosen, acoustics, button_gesture.GestureRules(does=does))

    async def live(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / FRAME_S)):
            await self.step()

    async def called(self) -> None:
        """Have a visitor speak, and the model answer with a long reply."""
        await self.live(3.0)
        self.room.say(a_word())
        await self.live(2.5)
        assert self.state.turn.awake
        assert self.model.connected

    async def reply(self) -> None:
        """Have the model talk for some ten seconds; return when it is heard."""
        sentences = [levelled(sentence, KIOSK_DB) for sentence in kiosk_sentences()[:2]]
        self.model.say(self.clock.now(), to_pcm(np.concatenate(sentences)))
        while self.state.turn.phase is not TurnPhase.SPEAKING:
            await self.step()


def a_word() -> Samples:
    """Return a second of a visitor's speech."""
    spoken = people()[0]
    return levelled(spoken.samples[round(spoken.onset_s * pcm.UPLINK_HZ) :][: pcm.UPLINK_HZ], VISITOR_DB)


@asynccontextmanager
async def awake(echo: str, **chosen: Any) -> AsyncIterator[Awake]:
    """Have a conversation."""
    stage = Awake(echo, **chosen)
    async with running(stage.serve()):
        await stage.start()
        await stage.called()
        yield stage


@pytest.mark.parametrize("echo", COUPLING_DB)
async def test_a_reply_that_is_cut_short_does_not_wake_the_kiosk_and_the_next_visitor_does(echo: str) -> None:
    async with awake(echo) as stage:
        await stage.reply()
        await stage.live(2.7)
        stage.button.press()
        await stage.live(3.0)
        assert not stage.state.turn.awake

        stage.room.say(a_word())
        await stage.live(1.0)
        assert stage.state.turn.awake


@pytest.mark.parametrize("echo", COUPLING_DB)
async def test_the_chime_that_ends_a_conversation_does_not_begin_the_next(echo: str) -> None:
    async with awake(echo, cues=True) as stage:
        conversation = stage.state.turn.conversation
        await stage.live(1.0)
        stage.button.press()
        await stage.live(5.0)
        assert (stage.state.turn.awake, stage.state.turn.conversation) == (False, conversation)


async def test_a_visitor_who_is_cut_off_can_wake_the_kiosk_again_after_a_pause() -> None:
    async with awake("half_duplex", idle_s=5, longest_s=5) as stage:
        conversation = stage.state.turn.conversation
        for _ in range(12):
            stage.room.say(a_word())
            await stage.live(1.0)
        assert (stage.state.turn.awake, stage.state.turn.conversation) == (False, conversation)

        await stage.live(3.0)
        stage.room.say(a_word())
        await stage.live(1.0)
        assert stage.state.turn.awake


@pytest.mark.parametrize("interruptions", ["allowed", "ignored"])
@pytest.mark.parametrize("only_speech", [{"turn_taking": "local"}, {"uplink": "voice"}])
async def test_the_rest_of_a_reply_that_a_card_leaves_begins_no_turn(
    interruptions: str, only_speech: dict[str, str]
) -> None:
    async with awake("hardware", interruptions=interruptions, **only_speech) as stage:
        await stage.live(2.0)
        await stage.reply()
        sent = 0
        while stage.state.turn.phase is TurnPhase.SPEAKING:
            await stage.step()
            sent += len(stage.model.frames)
        assert sent == 0


@pytest.mark.parametrize("echo", COUPLING_DB)
async def test_holding_the_button_into_a_reply_sends_nothing_of_the_reply(echo: str) -> None:
    stage = Awake(echo, does="hold", preroll_ms=3000)
    async with running(stage.serve()):
        await stage.start()
        stage.button.hold()
        await stage.live(1.0)
        stage.button.release()
        await stage.live(1.0)
        await stage.reply()
        await stage.live(4.0)

        stage.button.hold()
        sent: list[bytes] = []
        for _ in range(round(1.0 / FRAME_S)):
            await stage.step()
            sent += stage.model.frames
        assert sent
        # If the gate did not wait, the fading reply and the ringing room would be sent.
        loud = sum(level_db(from_pcm(frame)) > OWN_VOICE_DB for frame in sent)
        assert loud * pcm.FRAME_MS <= RINGS_MS
