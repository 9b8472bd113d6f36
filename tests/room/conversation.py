"""One conversation in one room: the real daemon between the room and the model, in virtual time."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from pydantic import ValidationError
from tests.room.acoustics import Acoustics
from tests.room.devices import FRAME_S, FRAME_SAMPLES, Room
from tests.room.model import Model
from tests.room.sounds import (
    Samples,
    Utterance,
    from_pcm,
    kiosk_sentences,
    level_db,
    levelled,
    likeness,
    people,
    to_pcm,
)
from tests.support.fakes_devices import ManualClock, MemoryNotifier
from tests.support.parts import parts as kiosk_parts

from kioskd import app
from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.core import button_gesture
from kioskd.core.effects import Duck, Effect, Flush
from kioskd.core.events import Event
from kioskd.core.machine import State
from kioskd.core.turn import TurnPhase
from kioskd.settings.model import Settings

ANY_PRESS: Final = button_gesture.GestureRules()
KIOSK_DB: Final = -20.0
VISITOR_DB: Final = -26.0
"""Levels while they speak, of full scale: the kiosk's at the loudspeaker, the visitor's at the microphone."""

PAUSE_S: Final = 0.8
"""Between the end of a reply and the next."""
NOTICED_WITHIN_S: Final = 1.5
"""An interruption that takes longer is none: the visitor has given up."""
FAR_TOO_LONG_S: Final = 30.0
DAMAGE_S: Final = 1.0
"""How much of what a visitor says into a reply is compared with what the service received of it."""
LEARNT_S: Final = 2.0
QUIET_DB: Final = -70.0
"""What is left of an echo is measured in rooms whose noise is below this: it cannot be told from noise."""
ECHO_DB: Final = -55.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried."""

    mode: str
    acoustics: Acoustics
    seconds: float
    interrupting: bool
    """Whether a visitor interrupts each reply; otherwise nobody is there, and every interruption is a false one."""


@dataclass(slots=True)
class Found:
    """What was found in it."""

    trial: Trial
    reply_s: float = 0.0
    false_interruptions: int = 0
    false_turns: int = 0
    """How often the service heard somebody where nobody was, into a reply or not."""
    false_ducks: int = 0
    """How often a reply became softer for nothing."""
    erle_db: list[float] = field(default_factory=list)
    """Of each second of echo."""
    tried: int = 0
    barge_in_ms: list[float] = field(default_factory=list)
    """From the onset of the voice to silence in the air, of those that were noticed."""
    likeness: list[float] = field(default_factory=list)
    """How alike what the service received of an interruption is to what was said."""
    kept_db: list[float] = field(default_factory=list)
    """How much louder or softer it was."""


class OutOfReachError(Exception):
    """The daemon's settings do not have this yet."""


def settings(section: str, **values: Any) -> Settings:
    """Return settings with `values` in one section.

    Raises:
        OutOfReachError: they are refused.
    """
    given: dict[str, dict[str, Any]] = {
        "speaker": {"volume": 100},
        "conversation": {"longest_s": 86_400, "idle_s": 120},
    }
    given[section] = given.get(section, {}) | values
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise OutOfReachError(error.errors(include_url=False)[0]["msg"]) from None


class Stage:
    """The daemon in a room. Time passes by `step`, and by nothing else."""

    def __init__(
        self, chosen: Settings, acoustics: Acoustics, rules: button_gesture.GestureRules = ANY_PRESS
    ) -> None:
        """`rules`: what the button is for."""
        self.clock = ManualClock()
        self._rules = rules
        self.room = Room(acoustics)
        self.model = Model()
        self.button = MemoryButton()
        self.state = State()
        self.flushed_at: list[float] = []
        self.ducks = 0
        self._settings = chosen

    async def serve(self) -> None:
        """Be a kiosk, and its service, until cancelled."""
        parts = kiosk_parts(
            clock=self.clock,
            microphone=self.room.microphone,
            speaker=self.room.speaker,
            live=self.model.live,
            notifier=MemoryNotifier(),
            buttons=[app.ButtonSpec(self.button, self._rules)],
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self.model.serve())
            group.create_task(app.serve(self._settings, parts, observers=[self._observe]))

    async def step(self) -> None:
        """Let 20 ms pass. What the model said with the last step arrives before."""
        await self.clock.advance(FRAME_S)
        self.room.step()
        await self.clock.advance(0)
        self.model.step(self.clock.now())

    async def start(self) -> None:
        """Let time pass until the kiosk serves."""
        for _ in range(round(FAR_TOO_LONG_S / FRAME_S)):
            await self.step()
            if self.state.started:
                return
        raise RuntimeError("the kiosk does not serve")

    def _observe(
        self, now: float, _event: Event, _before: State, after: State, effects: Iterable[Effect]
    ) -> None:
        self.state = after
        if any(isinstance(effect, Flush) for effect in effects):
            self.flushed_at.append(now)
        self.ducks += sum(isinstance(effect, Duck) and effect.down for effect in effects)


class Conversation:
    """Replies, one after the other; into each a visitor speaks, or nobody."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._found = Found(trial)
        self._stage = Stage(settings("microphone", echo=trial.mode), trial.acoustics)
        self._chance = np.random.default_rng(trial.acoustics.seed)
        self._echo: list[Samples] = []
        self._sent: list[Samples] = []
        self._visitor: list[Samples] = []

    async def run(self) -> Found:
        """Return what was found."""
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(self._stage.serve())
            await self._converse()
            serving.cancel()
        if not self._trial.interrupting:
            self._found.false_turns = self._stage.model.turns
            self._found.false_ducks = self._stage.ducks
        return self._found

    async def _converse(self) -> None:
        stage = self._stage
        await stage.start()
        stage.button.press()
        began = stage.clock.now()
        while not (stage.state.link.open and stage.model.connected):
            await self._step()
        number = 0
        while stage.clock.now() - began < self._trial.seconds:
            await self._quiet(PAUSE_S)
            stage.model.say(stage.clock.now(), self._reply(number))
            number += 1
            if self._trial.interrupting:
                await self._interrupt(self._chance.uniform(2.0, 4.0))
            else:
                await self._listen()

    def _reply(self, number: int) -> bytes:
        sentences = kiosk_sentences()
        # Two sentences: some ten seconds.
        said = [levelled(sentences[(number + more) % len(sentences)], KIOSK_DB) for more in range(2)]
        return to_pcm(np.concatenate(said))

    async def _step(self) -> None:
        await self._stage.step()
        if self._stage.state.turn.phase is TurnPhase.SPEAKING:
            self._found.reply_s += FRAME_S

    async def _quiet(self, seconds: float) -> None:
        """Wait until nobody has spoken for so long."""
        stage, silent_s = self._stage, 0.0
        while silent_s < seconds:
            await self._step()
            busy = stage.model.speaking or stage.model.hearing or stage.room.visitor_speaks
            busy = busy or stage.state.turn.phase in (TurnPhase.SPEAKING, TurnPhase.REVERBERATING)
            silent_s = 0.0 if busy else silent_s + FRAME_S

    async def _listen(self) -> None:
        """Hear a reply to its end, and see whether anything interrupts it."""
        stage = self._stage
        flushed = len(stage.flushed_at)
        measured_from = self._found.reply_s < LEARNT_S
        while stage.model.speaking or stage.state.turn.phase is TurnPhase.SPEAKING:
            await self._step()
            if self._trial.acoustics.noise_db < QUIET_DB and not measured_from:
                self._measure_echo()
            measured_from = measured_from and self._found.reply_s < LEARNT_S
        self._found.false_interruptions += len(stage.flushed_at) > flushed
        self._echo.clear()
        self._sent.clear()

    def _measure_echo(self) -> None:
        sent = self._stage.model.frames
        if len(sent) != 1:
            return
        self._echo.append(self._stage.room.echo)
        self._sent.append(from_pcm(sent[0]))
        if len(self._echo) * FRAME_S >= 1:
            before, sent_s = level_db(np.concatenate(self._echo)), np.concatenate(self._sent)
            # What is muted is not cancelled: the canceller does that while it knows the room too little.
            if before > ECHO_DB and np.all(np.any(sent_s.reshape(-1, FRAME_SAMPLES), axis=1)):
                self._found.erle_db.append(before - level_db(sent_s))
            self._echo.clear()
            self._sent.clear()

    async def _interrupt(self, after_s: float) -> None:
        """Speak into the reply (in half duplex: press the button), and see how long it goes on."""
        stage, found = self._stage, self._found
        flushed = len(stage.flushed_at)
        while found.reply_s == 0.0 or stage.state.turn.phase is not TurnPhase.SPEAKING:
            await self._step()
        due = stage.clock.now() + after_s
        while stage.clock.now() < due:
            await self._step()
        if len(stage.flushed_at) > flushed:
            found.false_interruptions += 1
            return
        onset = stage.clock.now()
        if self._trial.mode == "half_duplex":
            stage.button.press()
        else:
            utterance = self._utterance()
            stage.room.say(levelled(utterance.samples, VISITOR_DB))
            onset += utterance.onset_s
        found.tried += 1
        self._visitor.clear()
        self._sent.clear()
        while stage.clock.now() < onset + NOTICED_WITHIN_S:
            await self._step()
            self._compare(onset)
        self._judge_damage()
        if len(stage.flushed_at) > flushed and (at := stage.flushed_at[flushed]) >= onset - 1e-6:
            found.barge_in_ms.append((at - onset + stage.room.speaker.latency_s) * 1000)

    def _utterance(self) -> Utterance:
        spoken = people()
        return spoken[self._chance.integers(len(spoken))]

    def _compare(self, onset: float) -> None:
        sent = self._stage.model.frames
        if len(sent) == 1 and onset <= self._stage.clock.now() < onset + DAMAGE_S:
            self._visitor.append(self._stage.room.visitor)
            self._sent.append(from_pcm(sent[0]))

    def _judge_damage(self) -> None:
        if len(self._visitor) * FRAME_S < DAMAGE_S * 0.8:
            return
        said, sent = np.concatenate(self._visitor), np.concatenate(self._sent)
        self._found.likeness.append(likeness(said, sent))
        self._found.kept_db.append(level_db(sent) - level_db(said))


def converse(trial: Trial) -> Found:
    """Run one trial, in a loop of its own."""
    return asyncio.run(Conversation(trial).run())
