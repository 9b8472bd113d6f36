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
    kiosk_replies,
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
"""Levels of speech in dB of full scale: the kiosk's at the loudspeaker, the visitor's at the microphone."""

PAUSES_S: Final = (0.8,)
"""Seconds between the end of a reply and the next one, in turn."""
COUNTED_PAUSE_S: Final = 1.0
"""Seconds of a pause that count as conversation."""
NOTICED_WITHIN_S: Final = 1.5
"""Seconds after which an interruption does not count: the visitor has given up."""
FAR_TOO_LONG_S: Final = 30.0
DAMAGE_S: Final = 1.0
"""Seconds of an interruption that are compared with the sound that the service received."""
LEARNT_S: Final = 2.0
QUIET_DB: Final = -70.0
"""Noise in dB below which the rest of an echo is measured: it cannot be told from louder noise."""
ECHO_DB: Final = -55.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One experiment."""

    mode: str
    acoustics: Acoustics
    seconds: float
    """Seconds of conversation; pauses longer than a second do not count."""
    interrupting: bool
    """Whether a visitor interrupts each reply. Otherwise the room is empty, and every interruption is
    false."""
    pauses_s: tuple[float, ...] = PAUSES_S


@dataclass(slots=True)
class Found:
    """Results of one experiment."""

    trial: Trial
    reply_s: float = 0.0
    replies: int = 0
    false_interruptions: int = 0
    false_turns: int = 0
    """How often the service heard a voice in an empty room, during a reply or not."""
    false_ducks: int = 0
    """How often a reply became softer without a reason."""
    erle_db: list[float] = field(default_factory=list)
    """Reduction of the echo in dB, for each second of echo."""
    tried: int = 0
    barge_in_ms: list[float] = field(default_factory=list)
    """Seconds from the onset of the voice to silence in the air, for each noticed interruption."""
    likeness: list[float] = field(default_factory=list)
    """Likeness of each interruption as the service received it to the spoken one."""
    kept_db: list[float] = field(default_factory=list)
    """Difference of its level, in dB."""


class OutOfReachError(Exception):
    """The daemon's settings have no such value yet."""


def settings(section: str, **values: Any) -> Settings:
    """Return settings with `values` in one section.

    Raises:
        OutOfReachError: they are refused.
    """
    given: dict[str, dict[str, Any]] = {
        "speaker": {"volume": 100},
        "conversation": {"longest_s": 86_400, "idle_s": 600},
    }
    given[section] = given.get(section, {}) | values
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise OutOfReachError(error.errors(include_url=False)[0]["msg"]) from None


class Stage:
    """The daemon in a room. Time passes only by `step`."""

    def __init__(
        self, chosen: Settings, acoustics: Acoustics, rules: button_gesture.GestureRules = ANY_PRESS
    ) -> None:
        """Build a kiosk. `rules` says what the button does."""
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
        """Run a kiosk and its service until cancelled."""
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
        """Let 20 ms pass. The model's sound of the last step arrives first."""
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
    """Plays replies one after the other. A visitor interrupts each one, or the room is empty."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._found = Found(trial)
        self._stage = Stage(settings("microphone", echo=trial.mode), trial.acoustics)
        self._chance = np.random.default_rng(trial.acoustics.seed)
        self._echo: list[Samples] = []
        self._sent: list[Samples] = []
        self._visitor: list[Samples] = []

    async def run(self) -> Found:
        """Return the results."""
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
        while not (stage.state.link.open and stage.model.connected):
            await self._step()
        number, until = 0, stage.clock.now() + self._trial.seconds
        while stage.clock.now() < until:
            pause_s = self._trial.pauses_s[number % len(self._trial.pauses_s)]
            await self._quiet(pause_s)
            until += max(0.0, pause_s - COUNTED_PAUSE_S)
            stage.model.say(stage.clock.now(), self._reply(number))
            number += 1
            self._found.replies += 1
            if self._trial.interrupting:
                await self._interrupt(self._chance.uniform(2.0, 4.0))
            else:
                await self._listen()

    def _reply(self, number: int) -> bytes:
        sentences = kiosk_replies()
        # Two sentences last some ten seconds.
        said = [levelled(sentences[(number + more) % len(sentences)], KIOSK_DB) for more in range(2)]
        return to_pcm(np.concatenate(said))

    async def _step(self) -> None:
        await self._stage.step()
        if self._stage.state.turn.phase is TurnPhase.SPEAKING:
            self._found.reply_s += FRAME_S

    async def _quiet(self, seconds: float) -> None:
        """Wait until the room has been silent for this number of seconds.

        A noise that the service takes for a voice may never pause, so the wait has an end.
        """
        stage, silent_s = self._stage, 0.0
        given_up = stage.clock.now() + seconds + FAR_TOO_LONG_S
        while silent_s < seconds and stage.clock.now() < given_up:
            await self._step()
            busy = stage.model.speaking or stage.model.hearing or stage.room.visitor_speaks
            busy = busy or stage.state.turn.phase in (TurnPhase.SPEAKING, TurnPhase.REVERBERATING)
            silent_s = 0.0 if busy else silent_s + FRAME_S

    async def _listen(self) -> None:
        """Hear a reply to its end, and note whether it is interrupted."""
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
            # Seconds that are muted do not count: the canceller mutes while it knows the room too little.
            if before > ECHO_DB and np.all(np.any(sent_s.reshape(-1, FRAME_SAMPLES), axis=1)):
                self._found.erle_db.append(before - level_db(sent_s))
            self._echo.clear()
            self._sent.clear()

    async def _interrupt(self, after_s: float) -> None:
        """Interrupt the reply by voice, or by the button in half duplex; measure how long it goes on."""
        stage, found = self._stage, self._found
        flushed = len(stage.flushed_at)
        given_up = stage.clock.now() + FAR_TOO_LONG_S
        while found.reply_s == 0.0 or stage.state.turn.phase is not TurnPhase.SPEAKING:
            if stage.clock.now() > given_up:
                found.false_interruptions += 1
                return
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
