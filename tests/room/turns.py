"""The end of a visitor's turn: how soon it is noticed, and how often a visitor is cut in mid-speech.

A visitor who speaks for long makes a pause. It is a little shorter than the pause that ends a turn. A cut is
an end while a word sounds, or in a pause that is too short. A longer pause is a turn's end.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from tests.room.conversation import VISITOR_DB
from tests.room.devices import FRAME_S
from tests.room.sounds import Samples, Utterance, frames, levelled, noise, people

from kioskd.adapters.silero import SpeechNetwork
from kioskd.media import pcm
from kioskd.media.neural_judge import NeuralJudge
from kioskd.media.voice_activity import PAUSE_MS, VoiceChange, VoiceDetector

PAUSE_S: Final = PAUSE_MS / 1000
SHORTER_S: Final = (0.05, 0.25)
"""Seconds by which a visitor's pause is shorter than `PAUSE_S`."""
LONG_S: Final = 2.0
"""Seconds of an utterance from which a visitor makes a pause."""
LATE_S: Final = 1.0
GETS_USED_S: Final = 3.0
TAIL_S: Final = 3.0

_STEP: Final = 160
"""Samples (10 ms) of which one level is taken."""
_WORD_DB: Final = 28.0
"""A step this far below the loud ones is no part of a word."""
_GAP: Final = 6
_CLICK: Final = 2
"""Steps: a shorter gap is a part of a word, and a shorter sound is none."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TurnTrial:
    """One experiment: utterances in a noise."""

    noise: str
    snr_db: float
    utterances: int
    seed: int


@dataclass(slots=True)
class Turns:
    """Results of one experiment."""

    trial: TurnTrial
    spoken: int = 0
    cut: int = 0
    late_or_never: int = 0
    """Number of turns that ended more than `LATE_S` after the pause, or had never begun."""
    again: int = 0
    """Number of turns after which a voice began although no one spoke."""
    took_s: list[float] = field(default_factory=list)
    """Seconds from the last word to each end that was not late."""


def end_turns(trial: TurnTrial) -> Turns:
    """Run one trial with the detector alone; no room rings."""
    found = Turns(trial)
    chance = np.random.default_rng(trial.seed)
    gain = 10 ** ((VISITOR_DB - trial.snr_db) / 20)
    for _ in range(trial.utterances):
        spoken = people()
        said, words = with_pause(spoken[chance.integers(len(spoken))], chance)
        lead = round(GETS_USED_S * pcm.UPLINK_HZ) + int(chance.integers(pcm.FRAME_BYTES // 2))
        sound = gain * noise(trial.noise, (lead + len(said)) / pcm.UPLINK_HZ + TAIL_S, chance)
        sound[lead : lead + len(said)] += said
        at_s = lead / pcm.UPLINK_HZ
        judge(found, turns(sound), [(at_s + begin, at_s + end) for begin, end in words])
    return found


def turns(sound: Samples) -> list[Span]:
    """Return the seconds at which the detector of a conversation finds voices to begin and end."""
    ear = VoiceDetector(NeuralJudge(SpeechNetwork("conversation.turn_taking = local")))
    spans: list[Span] = []
    for number, frame in enumerate(frames(sound), 1):
        match ear.feed(frame):
            case VoiceChange.BEGAN:
                spans.append((number * FRAME_S, np.inf))
            case VoiceChange.ENDED:
                spans[-1] = (spans[-1][0], number * FRAME_S)
    return spans


def judge(found: Turns, voices: list[Span], words: list[Span]) -> None:
    """Count one utterance with these words, as the detector heard it."""
    first, last = words[0][0], words[-1][1]
    heard = [voice for voice in voices if voice[1] > first]
    ends = [end for begin, end in heard if begin < last and end >= last]
    found.spoken += 1
    found.cut += any(_cuts(end, words) for begin, end in heard if end < last)
    found.again += any(begin > last + FRAME_S for begin, _ in heard)
    if not any(begin < last for begin, _ in heard) or (ends and ends[0] > last + PAUSE_S + LATE_S):
        found.late_or_never += 1
    elif ends:
        found.took_s.append(ends[0] - last)


def _cuts(end_s: float, words: list[Span]) -> bool:
    before = max(end for begin, end in words if begin < end_s)
    after = min((begin for begin, _ in words if begin >= end_s), default=before)
    return max(before, after) - before < PAUSE_S


def with_pause(one: Utterance, chance: np.random.Generator) -> tuple[Samples, list[Span]]:
    """Return an utterance up to its last word, and the seconds of its words.

    A long one gets a pause at the quietest place of its middle.
    """
    said = levelled(one.samples, VISITOR_DB)
    words = word_times(said)
    said = said[: round(words[-1][1] * pcm.UPLINK_HZ)]
    if words[-1][1] < LONG_S:
        return said, words
    levels = _levels(said)
    middle = slice(len(levels) // 4, len(levels) * 3 // 4)
    at_s = (int(np.argmin(np.convolve(levels, np.ones(5), "same")[middle])) + middle.start) / 100
    # Inside a word, the pause begins and ends in the middle of it.
    inside = any(begin < at_s < end for begin, end in words)
    ends_s = at_s if inside else max(end for _, end in words if end <= at_s)
    goes_on_s = at_s if inside else min(begin for begin, _ in words if begin >= at_s)
    before = said[: round(ends_s * pcm.UPLINK_HZ)].copy()
    after = said[round(goes_on_s * pcm.UPLINK_HZ) :].copy()
    fade = np.linspace(0, 1, _STEP)
    before[-_STEP:] *= fade[::-1]
    after[:_STEP] *= fade
    pause_s = PAUSE_S - chance.uniform(*SHORTER_S)
    later = ends_s + pause_s - goes_on_s
    parted = [(begin, min(end, ends_s)) for begin, end in words if begin < ends_s]
    parted += [(max(begin, goes_on_s) + later, end + later) for begin, end in words if end > goes_on_s]
    return np.concatenate([before, np.zeros(round(pause_s * pcm.UPLINK_HZ)), after]), parted


def word_times(said: Samples) -> list[Span]:
    """Return the seconds at which words begin and end, by the level of a recording without noise."""
    levels = _levels(said)
    loud = levels > np.percentile(levels, 90) - _WORD_DB
    for begin, end in _runs(~loud):
        if end - begin <= _GAP and begin > 0 and end < len(loud):
            loud[begin:end] = True
    runs = _runs(loud)
    return [(begin / 100, end / 100) for begin, end in runs if end - begin > _CLICK]


def _levels(said: Samples) -> Samples:
    steps = said[: len(said) // _STEP * _STEP].reshape(-1, _STEP)
    return np.asarray(10 * np.log10(np.mean(np.square(steps), axis=1) + 1e-12))


def _runs(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in zip(changes[::2], changes[1::2], strict=True)]
