"""Waking a sleeping kiosk by voice: how soon, whether a word is lost, and how often without a reason.

`sleep` tries the whole daemon. `overhear` tries its detector of voices or of a wake word alone, for hours.
That is a thousand times faster.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from tests.room.acoustics import Acoustics
from tests.room.conversation import VISITOR_DB, Stage, settings
from tests.room.devices import FRAME_S
from tests.room.sounds import Samples, Utterance, frames, levelled, noise, people

from kioskd.adapters.silero import SpeechNetwork
from kioskd.adapters.wakeword import WakeWordDetector
from kioskd.core.effects import KioskStatus
from kioskd.core.machine import levels
from kioskd.core.policy import Policy
from kioskd.flow.audio.speech_events import WakeDetector
from kioskd.media import pcm
from kioskd.media.confirmed_onset import ConfirmedOnset
from kioskd.media.speech_onset import SpeechOnsetDetector

GETS_USED_S: Final = 5.0
"""Seconds of noise before the first utterance: a detector may learn its room."""
FOUND_WITHIN_S: Final = 0.2
FOUND_LATE_S: Final = 0.6
GIVEN_UP_S: Final = 1.5
LABELS_S: Final = 0.05
"""Seconds by which the times of words may be wrong."""
KEPT_FRAMES: Final = 500
PREROLL_S: Final = 0.6
"""Seconds of sound that the daemon keeps from before the wake, by default."""
PIECE_S: Final = 60.0
"""Seconds of noise that are made at a time."""


@dataclass(frozen=True, slots=True)
class WakeTrial:
    """One experiment: a number of utterances in a noise; or none, for a number of seconds."""

    noise: str
    snr_db: float
    utterances: int
    seconds: float
    seed: int
    word: str | None = None
    """The wake word that the kiosk listens to. None: any voice wakes it."""


@dataclass(slots=True)
class Woken:
    """Results of one experiment."""

    trial: WakeTrial
    spoken: int = 0
    took_s: list[float] = field(default_factory=list)
    """Seconds from the onset of each utterance that woke the kiosk to the wake."""
    whole: int = 0
    """Number of utterances whose first word the service received from its onset."""
    waited_s: float = 0.0
    """Seconds in which no one spoke."""
    false: int = 0


class Sleeper:
    """One kiosk, asleep."""

    def __init__(self, trial: WakeTrial) -> None:
        self._trial = trial
        self._found = Woken(trial)
        self._chance = np.random.default_rng(trial.seed)
        noise_db = VISITOR_DB - trial.snr_db
        self._stage = Stage(
            settings("conversation", wake=("voice",)),
            Acoustics(coupling_db=-20, noise=trial.noise, noise_db=noise_db, seed=trial.seed),
        )
        self._captured: deque[bytes] = deque(maxlen=KEPT_FRAMES)

    async def run(self) -> Woken:
        """Return the results."""
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(self._stage.serve())
            await self._stage.start()
            await self._wait(GETS_USED_S, counts=False)
            if not self._trial.utterances:
                await self._wait(self._trial.seconds, counts=True)
            for _ in range(self._trial.utterances):
                await self._wait(self._chance.uniform(2.0, 4.0), counts=True)
                await self._speak()
            serving.cancel()
        return self._found

    async def _step(self) -> None:
        await self._stage.step()
        self._captured.append(self._stage.room.captured)

    async def _wait(self, seconds: float, *, counts: bool) -> None:
        """Say nothing for this number of seconds. Each wake is false."""
        until = self._stage.clock.now() + seconds
        while self._stage.clock.now() < until:
            await self._step()
            self._found.waited_s += FRAME_S * counts
            if self._stage.state.turn.awake:
                self._found.false += counts
                await self._sleep()

    async def _speak(self) -> None:
        stage, found = self._stage, self._found
        spoken = people()
        utterance: Utterance = spoken[self._chance.integers(len(spoken))]
        stage.room.say(levelled(utterance.samples, VISITOR_DB))
        said_at = stage.clock.now()
        onset = said_at + utterance.onset_s
        found.spoken += 1
        first: bytes | None = None
        woke = False
        while stage.room.visitor_speaks:
            await self._step()
            if not woke and stage.state.turn.awake:
                woke = True
                took_s = stage.clock.now() - onset
                if took_s < -LABELS_S:
                    found.false += 1
                elif took_s <= GIVEN_UP_S:
                    found.took_s.append(took_s)
            if first is None and stage.model.frames:
                first = stage.model.frames[0]
        if first is not None and first in self._captured:
            age_s = (len(self._captured) - self._captured.index(first)) * FRAME_S
            found.whole += stage.clock.now() - age_s <= onset
        if woke:
            await self._sleep()

    async def _sleep(self) -> None:
        """Press until it sleeps."""
        stage = self._stage
        while stage.state.turn.awake:
            stage.button.press()
            await self._step()
        while levels(stage.state, Policy()).shown is not KioskStatus.ASLEEP:
            await self._step()


def sleep(trial: WakeTrial) -> Woken:
    """Run one trial, in a loop of its own."""
    return asyncio.run(Sleeper(trial).run())


def voice_ear() -> ConfirmedOnset:
    """Return the detector of a sleeping kiosk that any voice wakes."""
    return ConfirmedOnset(SpeechOnsetDetector(), SpeechNetwork("conversation.wake = voice"))


def _ear(trial: WakeTrial) -> WakeDetector:
    return voice_ear() if trial.word is None else WakeWordDetector([trial.word])


def overhear(trial: WakeTrial) -> Woken:
    """Run one trial with the detector alone, in noise that never repeats; no room rings."""
    found = Woken(trial)
    chance = np.random.default_rng(trial.seed)
    gain = 10 ** ((VISITOR_DB - trial.snr_db) / 20)
    ear = _ear(trial)
    until = trial.seconds
    while found.waited_s < until:
        piece = gain * noise(trial.noise, min(PIECE_S, until - found.waited_s), chance)
        heard = frames(piece)
        found.false += sum(ear.feed(frame) for frame in heard)
        found.waited_s += len(heard) * FRAME_S
    for _ in range(trial.utterances):
        _hear_one(found, _ear(trial), gain, chance)
    return found


def _hear_one(found: Woken, ear: WakeDetector, gain: float, chance: np.random.Generator) -> None:
    spoken = people()
    utterance = spoken[chance.integers(len(spoken))]
    # A frame begins at any point of a word.
    lead_s = chance.uniform(GETS_USED_S, GETS_USED_S + FRAME_S)
    said = levelled(utterance.samples, VISITOR_DB)
    lead = round(lead_s * pcm.UPLINK_HZ)
    sound = gain * noise(found.trial.noise, lead_s + len(said) / pcm.UPLINK_HZ + 1.0, chance)
    sound[lead : lead + len(said)] += said
    found.spoken += 1
    told = [number * FRAME_S for number, frame in enumerate(frames(sound), 1) if ear.feed(frame)]
    onset_s = lead_s + utterance.onset_s
    found.false += sum(at < onset_s - LABELS_S for at in told)
    found.waited_s += lead_s
    took_s = next((at - onset_s for at in told if at >= onset_s - LABELS_S), None)
    if took_s is not None and took_s <= GIVEN_UP_S:
        found.took_s.append(took_s)
        found.whole += took_s <= PREROLL_S


def onsets(ear: WakeDetector, *parts: Samples) -> list[float]:
    """Return the seconds from the beginning to the end of each frame that reported an onset."""
    heard = enumerate(frames(np.concatenate(parts)), 1)
    return [number * FRAME_S for number, frame in heard if ear.feed(frame)]
