"""How well the ear of `wake: voice` hears: speech in noise, and hours of noise without any."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from tests.room.sounds import DEBIAN, SPEECH, Samples, Utterance, labelled, levelled, recording, to_pcm
from tests.support.rooms_noise import KINDS, STEADY, room_noise

from kioskd.media import pcm
from kioskd.media.onset import OnsetDetector

SNRS_DB: Final = (20, 10, 5)
SOON_S: Final = 0.2
SPEECH_DB: Final = -26.0
"""Of full scale, where there is speech; the noise is so many dB below it."""

FRAME_S: Final = pcm.FRAME_MS / 1000
_LEAD_S: Final = 3.0
_PIECE_S: Final = 60.0
_EARLY_S: Final = 0.02
"""An onset told earlier than this before the label is a false one."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one utterance."""

    after_s: float | None
    """From the beginning of its first word until the detector told of it; None: it never did."""
    preroll_s: float = 0.0
    """How much sound from before that moment `began_frames_ago` asks for."""

    @property
    def soon(self) -> bool:
        """Whether it was found within 200 ms."""
        return self.after_s is not None and self.after_s <= SOON_S + 1e-9

    @property
    def whole(self) -> bool:
        """Whether the pre-roll it asks for holds the beginning of the first word."""
        return self.after_s is not None and self.preroll_s >= self.after_s - 1e-9


@cache
def debian() -> tuple[Utterance, ...]:
    """Return Debian's recordings of two words each; the first begins where they first reach 2 % of their peak."""
    found = []
    for path in sorted(DEBIAN.glob("[FRS]*.wav")):
        samples = recording(path, pcm.UPLINK_HZ)
        loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
        found.append(Utterance(path.stem, samples, float(loud[0]) / pcm.UPLINK_HZ))
    return tuple(found)


@cache
def beginnings() -> tuple[Utterance, ...]:
    """Return each labelled recording from each of its words on: forty ways to begin a sentence."""
    return tuple(
        Utterance(f"{whole.name} from {word['t']}", _faded(whole.samples[_sample(word["b"]) :]), 0.0)
        for whole, words in _words()
        for word in words[:-1]
    )


@cache
def lone_words() -> tuple[Utterance, ...]:
    """Return each word of the labelled recordings that lasts a quarter of a second or more, alone."""
    return tuple(
        Utterance(word["t"], _faded(whole.samples[_sample(word["b"]) : _sample(word["b"] + word["d"])]), 0.0)
        for whole, words in _words()
        for word in words
        if word["d"] >= 0.25
    )


@cache
def spoken_by_machine(word: str) -> Utterance:
    """Return one word as espeak-ng says it.

    Raises:
        FileNotFoundError: espeak-ng is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        subprocess.run(["espeak-ng", "-w", os.fspath(path), word], check=True)
        samples = recording(path, pcm.UPLINK_HZ)
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return Utterance(word, samples, float(loud[0]) / pcm.UPLINK_HZ)


def _words() -> Iterator[tuple[Utterance, list[dict[str, Any]]]]:
    for whole in labelled():
        words = json.loads((SPEECH / f"{whole.name}.words.json").read_text())["w"]
        yield whole, [word for word in words if not word["t"].startswith(("<", "["))]


def _sample(seconds: float) -> int:
    return round(seconds * pcm.UPLINK_HZ)


def _faded(samples: Samples) -> Samples:
    """Take the clicks off both ends of a cut (5 ms)."""
    fade = np.ones(len(samples))
    fade[:80] = np.linspace(0, 1, 80)
    fade[-80:] = np.linspace(1, 0, 80)
    return samples * fade


def frames(samples: Samples) -> Iterator[bytes]:
    """Cut into frames; what is left over is dropped."""
    data = to_pcm(samples)
    for at in range(0, len(data) - pcm.FRAME_BYTES + 1, pcm.FRAME_BYTES):
        yield data[at : at + pcm.FRAME_BYTES]


def listen(utterance: Utterance, kind: str, snr_db: float, chance: np.random.Generator) -> Found:
    """Say `utterance` into a room with this noise, after three seconds of it."""
    speech = levelled(utterance.samples, SPEECH_DB)
    # Frames begin anywhere in a word.
    lead = _LEAD_S + chance.uniform(0, FRAME_S)
    sound = room_noise(kind, lead + len(speech) / pcm.UPLINK_HZ + 0.5, chance)
    sound *= 10 ** ((SPEECH_DB - snr_db) / 20)
    sound[_sample(lead) : _sample(lead) + len(speech)] += speech
    detector = OnsetDetector()
    for number, frame in enumerate(frames(sound), 1):
        after_s = number * FRAME_S - lead - utterance.onset_s
        if detector.feed(frame) and after_s >= -_EARLY_S:
            return Found(after_s, detector.began_frames_ago * FRAME_S)
    return Found(None)


def false_wakes(kind: str, seconds: float, chance: np.random.Generator) -> int:
    """Return how often the detector hears somebody in noise alone, at two levels."""
    told = 0
    for level_db in (-36.0, -50.0):
        detector = OnsetDetector()
        for _ in range(round(seconds / 2 / _PIECE_S)):
            piece = room_noise(kind, _PIECE_S, chance) * 10 ** (level_db / 20)
            told += sum(detector.feed(frame) for frame in frames(piece))
    return told


def _share(values: list[bool]) -> float:
    return round(sum(values) / len(values), 3)


def wake_figures(*, hours: float = 2.0, rounds: int = 2, seed: int = 1) -> dict[str, Any]:
    """Return how well voices wake the kiosk, as the bench prints it. Takes 20 s for two hours.

    `found_within_200ms`: the share of utterances at 10 dB over all noises: the labelled recordings and Debian's.
    `false_per_hour`: over `hours` of noise alone. `by_snr_db`: shares by ratio and noise, `soon` within 200 ms, `ever` at
    all, `whole` with the first word in the pre-roll.
    """
    chance = np.random.default_rng(seed)
    utterances = (*labelled(), *debian())
    if not utterances:
        raise FileNotFoundError(f"no speech to listen to: neither {SPEECH} nor {DEBIAN} is there")
    by_snr: dict[int, dict[str, dict[str, float]]] = {}
    soon: dict[int, list[bool]] = {}
    for snr_db in SNRS_DB:
        by_snr[snr_db] = {}
        for kind in STEADY:
            found = [listen(one, kind, snr_db, chance) for one in utterances for _ in range(rounds)]
            soon.setdefault(snr_db, []).extend(one.soon for one in found)
            by_snr[snr_db][kind] = {
                "soon": _share([one.soon for one in found]),
                "ever": _share([one.after_s is not None for one in found]),
                "whole": _share([one.whole for one in found]),
            }
    false = {kind: false_wakes(kind, hours * 3600 / len(KINDS), chance) for kind in KINDS}
    return {
        "found_within_200ms": _share(soon[10]),
        "false_per_hour": round(sum(false.values()) / hours, 2),
        "found_by_snr_db": {snr_db: _share(found) for snr_db, found in soon.items()},
        "by_snr_db": by_snr,
        "false_by_noise": false,
        "hours": hours,
        "utterances": len(utterances),
    }


def table(figures: dict[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"{'':>10}" + "".join(f"{kind:>20}" for kind in STEADY) + f"{'all':>8}"]
    for snr_db, kinds in figures["by_snr_db"].items():
        cells = (f"{one['soon']:.2f} {one['ever']:.2f} {one['whole']:.2f}" for one in kinds.values())
        lines.append(
            f"{snr_db:>7} dB"
            + "".join(f"{cell:>20}" for cell in cells)
            + f"{figures['found_by_snr_db'][snr_db]:>8.3f}"
        )
    lines.append("(found within 200 ms, found at all, first word whole in the pre-roll)")
    lines.append(
        f"false wakes in {figures['hours']:g} h of noise: "
        + ", ".join(f"{kind} {count}" for kind, count in figures["false_by_noise"].items())
        + f"; {figures['false_per_hour']:g} an hour"
    )
    return "\n".join(lines)
