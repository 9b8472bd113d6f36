"""`scripts/soak`: kiosks side by side, whose connections end every second or two in every way there is.

Each kiosk is the whole daemon with the real client library. It talks over TLS to a simulator of its own. The
visitor talks all the time. Every frame of the microphone is accounted for.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import psutil
from tests.soak.endings import ENDINGS, SILENT
from tests.soak.kiosk import SoakedKiosk

from kioskd.adapters.clock import SystemClock
from kioskd.media import pcm
from kioskd.rehearsal.fake_microphone import load_speeches

SPEECH: Final = Path("/usr/share/sounds/alsa/Front_Center.wav")
PAUSE_S: Final = 0.9
RESUMABLE: Final = frozenset((SILENT, *(ending.name for ending in ENDINGS if ending.resumable)))


SAMPLE_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Duration of a soak, and its numbers."""

    rollovers: int | None = 1000
    """Number of endings of all kiosks together; None: soak for `seconds`."""
    seconds: float | None = None
    kiosks: int = 12
    patient: int = 0
    """Number of additional kiosks whose connections live as long as the real service's."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Sample:
    """Resources of the process at one moment."""

    rss_mib: float
    tasks: int
    fds: int


@dataclass(slots=True)
class Row:
    """One ending."""

    gaps_ms: list[float] = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0
    resent: int = 0


@dataclass(slots=True)
class Outcome:
    """Results of a soak. Sound is counted in frames of 20 ms."""

    rows: dict[str, Row] = field(default_factory=dict)
    sent: int = 0
    reordered: int = 0
    foreign: int = 0
    unasked: int = 0
    first_words_lost: int = 0
    conversations: int = 0
    wrong_greetings: int = 0
    seconds: float = 0.0
    samples: list[list[Sample]] = field(default_factory=list)
    """Resources every three seconds, one list for each process."""

    @property
    def rollovers(self) -> int:
        """Number of connections that were followed by another one in the same conversation."""
        return sum(len(row.gaps_ms) for row in self.rows.values())

    def add(self, other: "Outcome") -> None:
        """Add the results of another process."""
        for name, row in other.rows.items():
            mine = self.rows.setdefault(name, Row())
            mine.gaps_ms += row.gaps_ms
            mine.lost += row.lost
            mine.duplicated += row.duplicated
            mine.resent += row.resent
        for count in ("sent", "reordered", "foreign", "unasked", "first_words_lost", "conversations"):
            setattr(self, count, getattr(self, count) + getattr(other, count))
        self.wrong_greetings += other.wrong_greetings
        self.seconds = max(self.seconds, other.seconds)
        self.samples += other.samples


def soak(plan: Plan) -> Outcome:
    """Soak in as many processes as there are processors, and return the results."""
    processes = min(os.cpu_count() or 1, plan.kiosks)
    shares = [_share(plan, processes, place) for place in range(processes)]
    outcome = Outcome()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for part in pool.map(soak_here, shares):
            outcome.add(part)
    return outcome


def soak_here(plan: Plan) -> Outcome:
    """Soak in this process, which should do nothing else."""
    return asyncio.run(_soak(plan))


def _share(plan: Plan, processes: int, place: int) -> Plan:
    def part(whole: int) -> int:
        return whole // processes + (place < whole % processes)

    return Plan(
        rollovers=None if plan.rollovers is None else part(plan.rollovers),
        seconds=plan.seconds,
        kiosks=part(plan.kiosks),
        patient=part(plan.patient),
        seed=plan.seed * 100 + place,
    )


async def _soak(plan: Plan) -> Outcome:
    clock = SystemClock()
    speech = (await asyncio.to_thread(load_speeches, [SPEECH]))[SPEECH].sound
    speech += bytes(pcm.byte_count(PAUSE_S, pcm.UPLINK_HZ))
    kiosks = [
        SoakedKiosk(number, plan.seed, speech, patient=number >= plan.kiosks)
        for number in range(plan.kiosks + plan.patient)
    ]
    began = clock.now()
    samples: list[Sample] = []

    def done() -> bool:
        if plan.seconds is not None and clock.now() - began >= plan.seconds:
            return True
        return plan.rollovers is not None and sum(k.fared.rollovers for k in kiosks) >= plan.rollovers

    async def sample() -> None:
        process = psutil.Process()
        trim = ctypes.CDLL(None).malloc_trim
        while True:
            await clock.sleep(SAMPLE_S)
            # Memory that is free counts for no one, though neither Python nor the C library has returned it.
            gc.collect()
            trim(0)
            rss = process.memory_info().rss / 2**20
            samples.append(Sample(rss, len(asyncio.all_tasks()), process.num_fds()))

    async with asyncio.TaskGroup() as group:
        sampling = group.create_task(sample())
        async with asyncio.TaskGroup() as soaking:
            for kiosk in kiosks:
                soaking.create_task(kiosk.soak(done))
        sampling.cancel()
    return _outcome(kiosks, clock.now() - began, samples)


def _outcome(kiosks: Sequence[SoakedKiosk], seconds: float, samples: list[Sample]) -> Outcome:
    outcome = Outcome(seconds=seconds, samples=[samples])
    for kiosk in kiosks:
        fared, ledger = kiosk.fared, kiosk.ledger
        for name in (
            fared.gaps_ms.keys() | fared.resent.keys() | ledger.lost.keys() | ledger.duplicated.keys()
        ):
            row = outcome.rows.setdefault(name, Row())
            row.gaps_ms += fared.gaps_ms.get(name, [])
            row.resent += fared.resent.get(name, 0)
            row.lost += ledger.lost[name]
            row.duplicated += ledger.duplicated[name]
        outcome.sent += ledger.sent
        outcome.reordered += ledger.reordered
        outcome.foreign += ledger.foreign
        outcome.unasked += ledger.unasked
        outcome.first_words_lost += ledger.first_words_lost
        outcome.conversations += fared.conversations
        outcome.wrong_greetings += fared.wrong_greetings
    return outcome


def faults(outcome: Outcome) -> Iterator[str]:
    """Yield the faults of the results, in words."""
    for name, row in outcome.rows.items():
        if name in RESUMABLE:
            if row.lost:
                yield f"{name}: {row.lost * 20} ms of speech lost"
            if row.duplicated:
                yield f"{name}: {row.duplicated * 20} ms of speech sent twice"
    for words in ("reordered", "foreign", "unasked", "first_words_lost", "wrong_greetings"):
        if count := getattr(outcome, words):
            yield f"{words.replace('_', ' ')}: {count}"
    for number, samples in enumerate(outcome.samples, 1):
        yield from (f"process {number}: {growth}" for growth in growths(samples))


MOST_GROWTH: Final = {"rss_mib": 6.0, "tasks": 6.0, "fds": 6.0}
"""Allowed growth from the second quarter's median to the last quarter's: sound in flight varies by this
much."""


def growths(samples: Sequence[Sample]) -> Iterator[str]:
    """Yield each resource that grew. The first quarter warms up, and does not count."""
    quarter = len(samples) // 4
    if not quarter:
        return
    for name, most in MOST_GROWTH.items():
        early, late = (
            statistics.median(getattr(one, name) for one in part)
            for part in (samples[quarter : 2 * quarter], samples[-quarter:])
        )
        if late - early > most:
            yield f"{name} grew from {early:.1f} to {late:.1f}"


def table(outcome: Outcome) -> Iterator[str]:
    """Yield the lines that a person reads."""
    yield (
        f"{'ending':16}{'count':>7}{'gap ms, median':>16}{'max':>8}"
        f"{'lost ms':>9}{'twice ms':>10}{'resent ms':>11}"
    )
    for name in sorted(outcome.rows, key=str.lower):
        row = outcome.rows[name]
        gaps = row.gaps_ms or [0.0]
        yield (
            f"{name:16}{len(row.gaps_ms):7}{statistics.median(gaps):16.0f}{max(gaps):8.0f}"
            f"{row.lost * 20:9}{row.duplicated * 20:10}{row.resent * 20:11}"
        )
    minutes = outcome.sent * 0.02 / 60
    yield (
        f"\n{outcome.rollovers} rollovers, {outcome.conversations} conversations, "
        f"{minutes:.1f} min of speech "
        f"received, in {outcome.seconds:.0f} s"
    )
    for number, samples in enumerate(outcome.samples, 1):
        if samples:
            first, last = samples[len(samples) // 4], samples[-1]
            yield (
                f"process {number}: rss {first.rss_mib:.0f} -> {last.rss_mib:.0f} MiB, "
                f"tasks {first.tasks} -> {last.tasks}, fds {first.fds} -> {last.fds}"
            )


def main(argv: Sequence[str] | None = None) -> int:
    """Soak as the options say, print the table, and return 0 if there was no fault."""
    given_words = sys.argv[1:] if argv is None else list(argv)
    if "--hostile" in given_words:
        from tests.soak import hostile  # noqa: PLC0415 - the other soak needs nothing of it

        return hostile.main([word for word in given_words if word != "--hostile"])
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--rollovers", type=int, help="end after so many; 1000 if --hours is not given")
    parser.add_argument(
        "--hours",
        type=float,
        help="go on for so long; two kiosks on top live through the real service's ten minutes a connection",
    )
    parser.add_argument("--kiosks", type=int, default=12, help="side by side (12)")
    parser.add_argument(
        "--hostile", action="store_true", help="attack instead; --hostile --help says the rest"
    )
    parser.add_argument("--seed", type=int, default=1, help="chooses endings and moments (1)")
    parser.add_argument("--json", action="store_true", help="print all numbers instead of the table")
    given = parser.parse_args(argv)
    plan = Plan(
        rollovers=given.rollovers or (None if given.hours else 1000),
        seconds=given.hours * 3600 if given.hours else None,
        kiosks=given.kiosks,
        patient=2 if given.hours else 0,
        seed=given.seed,
    )
    outcome = soak(plan)
    if given.json:
        sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
    else:
        sys.stdout.write("\n".join(table(outcome)) + "\n")
    wrong = list(faults(outcome))
    for fault in wrong:
        sys.stderr.write(f"✗ {fault}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
