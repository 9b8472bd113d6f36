"""`scripts/bench-room`: the daemon in simulated rooms, in virtual time, two rooms at once on two processors.

Each echo mode converses in rooms of several couplings, delays, drifts and noises. Once the room is empty, and
every interruption is false. Once a visitor speaks into each reply. Then a sleeping kiosk is woken by voice.
Its detectors of voices and of wake words alone hear hours of noise. Its detector of a turn's end hears
visitors who make short pauses.

With `--heldout FOLDER`, visitors and noises are those of the folder, and the built-in ones are not used. Use
sounds that no constant of the package was fitted to: only their figures tell how well other people are heard.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from tests.room import figures
from tests.room.acoustics import Acoustics
from tests.room.conversation import PAUSES_S as CONVERSING_S
from tests.room.conversation import Found, OutOfReachError, Trial, converse, settings
from tests.room.sounds import EVENTS, HELDOUT, labelled, noises, people, recorded_noises
from tests.room.turns import TurnTrial, end_turns
from tests.room.wake import WakeTrial, Woken, overhear, sleep

from kioskd.adapters.wakeword import words

MODES: Final = ("half_duplex", "cancel", "hardware")
DRIFT: Final = 50e-6
ROOMS: Final = (
    (0.02, 0.2, "pink", -75.0),
    (0.06, 0.4, "pink", -75.0),
    (0.06, 0.6, "pink", -55.0),
    (0.12, 0.4, "fan", -75.0),
    (0.12, 0.6, "fan", -50.0),
    (0.2, 0.4, "pink", -75.0),
    (0.2, 0.6, "babble", -55.0),
    (0.02, 0.4, "babble", -60.0),
)
"""Delay, reverberation, noise and level of the noise, for each room."""
CARD_DB: Final = -50.0
"""Coupling in dB that a card that cancels echo leaves."""
SNRS_DB: Final = (20.0, 10.0, 5.0)
UNSEEN: Final = 9000
"""First seed of the bench's noises. No parameter was ever tuned on them."""
PAUSES_S: Final = (0.8, 10.0, 0.8, 120.0, 0.8, 10.0)
"""Seconds between two replies, in turn."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of each room and of each noise."""

    rooms: int = len(ROOMS)
    alone_s: float = 510.0
    """Seconds at the coupling that the goals are for. Other couplings get a third."""
    interrupted_s: float = 150.0
    utterances: int = 40
    noise_s: float = 1200.0
    """Seconds of each noise at each level, for the detector alone."""
    pauses_s: tuple[float, ...] = PAUSES_S


QUICK: Final = Plan(
    rooms=4, alone_s=60.0, interrupted_s=40.0, utterances=3, noise_s=120.0, pauses_s=(0.8, 10.0)
)


def trials(mode: str, plan: Plan) -> list[Trial]:
    """Return the experiments for an echo mode, the longest first."""
    made = []
    for coupling in (CARD_DB,) if mode == "hardware" else (figures.HEADLINE_DB, 0.0, -20.0):
        # A kiosk that cannot hear itself needs no hour to show it.
        much = mode == "cancel" and coupling == figures.HEADLINE_DB
        step = 1 if much else 2
        for number in range(0, plan.rooms, step):
            delay_s, ringing_s, noise, noise_db = ROOMS[number]
            if recorded := recorded_noises():
                noise = recorded[number % len(recorded)]
            drift = DRIFT if number // step % 2 else -DRIFT
            room = Acoustics(coupling, delay_s, drift, ringing_s, noise, noise_db, seed=number + 1)
            pauses_s = plan.pauses_s if mode == "cancel" else CONVERSING_S
            for interrupting, seconds, less in (
                (False, plan.alone_s, 3),
                (True, plan.interrupted_s, 2),
            ):
                made.append(Trial(mode, room, seconds / (1 if much else less), interrupting, pauses_s))
    return sorted(made, key=lambda trial: -trial.seconds)


def wake_trials(plan: Plan) -> list[WakeTrial]:
    """Return the experiments for waking by voice with the whole daemon."""
    return [
        WakeTrial(noise, snr_db, plan.utterances, 0.0, UNSEEN + seed)
        for seed, (noise, snr_db) in enumerate(product(noises(), SNRS_DB))
    ]


def noise_trials(plan: Plan) -> list[WakeTrial]:
    """Return the noises that must not wake the kiosk: hours of them, for the detector alone."""
    return [
        WakeTrial(noise, snr_db, 0, plan.noise_s, UNSEEN + 100 + seed)
        for seed, (noise, snr_db) in enumerate(product(_idle_noises(), SNRS_DB))
    ]


def word_trials(plan: Plan) -> list[WakeTrial]:
    """Return the same noises for each wake word, 10 dB below speech. The crowd is the one that speaks."""
    return [
        WakeTrial(noise, figures.WAKE_SNR_DB, 0, plan.noise_s, UNSEEN + 200 + seed, word)
        for word in words()
        for seed, noise in enumerate(_idle_noises())
    ]


def turn_trials(plan: Plan) -> list[TurnTrial]:
    """Return the experiments for the end of a turn. A crowd is a voice that never ends, and is left out."""
    steady = [noise for noise in noises() if noise != "babble"]
    return [
        TurnTrial(noise, snr_db, plan.utterances, UNSEEN + 300 + seed)
        for seed, (noise, snr_db) in enumerate(product(steady, SNRS_DB))
    ]


def _idle_noises() -> Sequence[str]:
    """Return the noises while the kiosk sleeps: the recorded ones of a folder, or all built-in ones."""
    return recorded_noises() or (*noises(), *EVENTS)


def measure(plan: Plan, modes: Sequence[str], workers: int) -> dict[str, Any]:
    """Run all trials side by side, and return the report. It also names settings that do not exist yet."""
    report: dict[str, Any] = {"modes": {}}
    with ProcessPoolExecutor(workers) as pool:
        running: dict[str, list[Future[Found]]] = {}
        for mode in modes:
            try:
                settings("microphone", echo=mode)
            except OutOfReachError as error:
                report["modes"][mode] = str(error)
            else:
                running[mode] = [pool.submit(converse, trial) for trial in trials(mode, plan)]
        waking: list[Future[Woken]] = []
        try:
            settings("conversation", wake=("voice",))
        except OutOfReachError as error:
            report["wake"] = str(error)
        else:
            waking = [pool.submit(sleep, trial) for trial in wake_trials(plan)]
            waking += [pool.submit(overhear, trial) for trial in noise_trials(plan)]
        calling = [pool.submit(overhear, trial) for trial in word_trials(plan)]
        ending = [pool.submit(end_turns, trial) for trial in turn_trials(plan)]
        for mode, futures in running.items():
            report["modes"][mode] = figures.mode([future.result() for future in futures])
            _say(f"{mode} is done")
        if waking:
            report["wake"] = figures.wake([future.result() for future in waking])
        report["wakeword"] = figures.wakeword([future.result() for future in calling])
        report["turns"] = figures.turns([future.result() for future in ending])
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code: 0, for any figures."""
    parser = argparse.ArgumentParser(prog="scripts/bench-room", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, for a first look")
    parser.add_argument("--mode", action="append", choices=MODES, help="only this echo mode; may be repeated")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="rooms at once")
    parser.add_argument(
        "--heldout", metavar="FOLDER", type=Path, help="voices and noises of this folder alone"
    )
    options = parser.parse_args(arguments)
    if options.heldout is not None:
        os.environ[HELDOUT] = str(options.heldout.resolve())
        if not people() or not recorded_noises():
            parser.error(
                f"--heldout {options.heldout}: it needs NAME.wav of a person and noise_NAME.wav at least"
            )
    if not people():
        parser.error("no recordings of people: install Debian's alsa-utils (scripts/setup does)")
    if options.heldout is None and not labelled():
        _say(
            "no labelled recordings here: visitors speak Debian's, and their onsets are taken from the sound"
        )
    began = time.monotonic()
    report = measure(QUICK if options.quick else Plan(), options.mode or MODES, options.workers)
    report["took_s"] = round(time.monotonic() - began, 1)
    if options.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join([*figures.lines(report), f"took {report['took_s']:g} s"]) + "\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"bench-room: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
