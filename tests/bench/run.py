"""`scripts/bench`: kioskd and two floors side by side on the same server and the same virtual sound card.

A round gives each client one conversation and one sleep, one client after the other. So a slow minute of the
machine is slow for both. A session's figure is the mean of the middle half of its trials. The table shows the
median of the sessions.

Sleep is real, but is reached without a button: the server refuses the client's settings. An always-on kiosk
then sleeps for five minutes. It works as every sleeping kiosk: it keeps the last 600 ms of the microphone,
and its speaker pauses. A floor keeps its two devices running when it is refused.

A start with files that are not in memory is measured once a round: see `page_cache`.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import endurance, figures, instructions, page_cache, slow_motion
from tests.bench.client import KINDS, Client, Kind
from tests.bench.figures import Report, Result
from tests.bench.instructions import CountPlan
from tests.bench.service import ROOT, Service
from tests.bench.sound import CLICK_EVERY_MS, Sounds, sounds
from tests.support.sound_server import SoundServer, missing

from kioskd.flow.audio.speaker_pause import PAUSE_AFTER_S

CHAPTER: Final = ROOT / "daemon/kioskd/manual/figures.md"
ROUNDS: Final = 3
CLICK: Final = 0.1
"""Part of full scale above which a click begins; the server uses the same."""
SILENCE: Final = 0.02
"""Part of full scale below which the speaker is silent. At kioskd's default volume the tone has 0.2."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The number of trials."""

    rounds: int = ROUNDS
    clicks: int = 26
    replies: int = 12
    interrupts: int = 10
    cpu_s: float = 8.0
    settle_s: float = 1.0
    fall_asleep_s: float = PAUSE_AFTER_S + 1.0
    """Seconds from the refusal until the speaker has paused."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Results of one run."""

    results: dict[str, Result]
    jitter_ms: dict[str, float]
    """For each recorder, the delay that 95 of 100 blocks stay below. No single trial is more exact than
    that."""
    cold_read_mb: dict[Kind, float]
    """For each client, the MB that a start had read from disk. With little, its files were still in
    memory."""
    load: float
    """Load of the machine before the bench began. Other programs make starts and CPU time look worse."""


class Bench:
    """The place of measurement."""

    def __init__(
        self, plan: Plan, folder: Path, service: Service, sound: Sounds, environ: dict[str, str]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._service = service
        self._sound = sound
        self._environ = environ
        self._mapped: dict[Kind, frozenset[Path]] = {}
        self.cold_read_mb: dict[Kind, float] = {}
        """The MB that the newest cold start of each client had read from disk."""

    def run(self) -> dict[Kind, dict[str, list[float]]]:
        """Measure, and return one number for each figure and session."""
        found: dict[Kind, dict[str, list[float]]] = {kind: {} for kind in KINDS}
        for kind in KINDS:  # the first start of each client reads files from disk
            with self._client(kind, "admit") as (client, _):
                self._mapped[kind] = page_cache.mapped_by(client.pid)
        for number in range(self._plan.rounds):
            for kind in KINDS:
                say(f"round {number + 1} of {self._plan.rounds}: {kind}")
                for key, value in (*self._converse(kind), *self._sleep(kind), *self._start_cold(kind)):
                    found[kind].setdefault(key, []).append(value)
        return found

    @contextmanager
    def _client(self, kind: Kind, welcome: str) -> Iterator[tuple[Client, float]]:
        """Yield a client that has reached the server, and the time of the first audio or of the refusal."""
        self._service.order(welcome)
        mark = self._service.mark()
        client = Client(
            kind,
            folder=self._folder,
            port=self._service.port,
            ca_file=self._service.ca_file,
            environ=self._environ,
        )
        try:
            try:
                met = self._service.wait("audio" if welcome == "admit" else "refused", after=mark)
            except TimeoutError as error:
                raise RuntimeError(f"{kind} did not come to the server: {client.said()}") from error
            yield client, met["at"]
        finally:
            client.end()

    def _sleep(self, kind: Kind) -> Iterator[tuple[str, float]]:
        with self._client(kind, "refuse") as (client, _):
            time.sleep(self._plan.fall_asleep_s)
            mark = self._service.mark()
            yield "cpu_asleep_s", self._cpu_a_minute(client)
            if self._service.since("refused", after=mark):
                raise RuntimeError(f"{kind} dialed again in its sleep: what was measured is no sleep")
            client.leave()

    def _start_cold(self, kind: Kind) -> Iterator[tuple[str, float]]:
        page_cache.forget(page_cache.files_of_a_start(self._mapped[kind]))
        with self._client(kind, "admit") as (client, first_audio):
            yield "cold_start_ms", (first_audio - client.spawned) * 1000
            self.cold_read_mb[kind] = page_cache.read_mb(client.pid)
            client.leave()

    def _converse(self, kind: Kind) -> Iterator[tuple[str, float]]:
        plan, service = self._plan, self._service
        with self._client(kind, "admit") as (client, first_audio):
            yield "start_ms", (first_audio - client.spawned) * 1000
            time.sleep(plan.settle_s)
            yield "cpu_silent_s", self._cpu_a_minute(client)
            yield "mic_to_wire_ms", middle_ms("microphone to wire", self._clicks())
            yield "wire_to_speaker_ms", middle_ms("wire to speaker", self._replies())
            yield "interrupt_ms", middle_ms("interrupted to silence", self._interrupts())
            mark = service.mark()
            service.order("reply", ms=round((plan.cpu_s + 1) * 1000), paced=True)
            time.sleep(0.5)
            yield "cpu_reply_s", self._cpu_a_minute(client)
            yield "rss_mb", client.rss_mb()
            service.wait("reply", after=mark)
            yield "exit_ms", client.leave() * 1000

    def _cpu_a_minute(self, client: Client) -> float:
        before, began = client.cpu_s(), time.monotonic()
        time.sleep(self._plan.cpu_s)
        return (client.cpu_s() - before) / (time.monotonic() - began) * 60

    def _clicks(self) -> list[float | None]:
        """Return the seconds from a click at the microphone to the arrival of its first frame."""
        mark, began = self._service.mark(), time.monotonic()
        self._sound.room.click(self._plan.clicks)
        time.sleep(2 * CLICK_EVERY_MS / 1000)
        loud = self._sound.microphone.loud(began, time.monotonic(), CLICK)
        made = [
            at for at, before in zip(loud, [0.0, *loud], strict=False) if at - before > CLICK_EVERY_MS / 2000
        ]
        heard = [report["at"] for report in self._service.since("sound", after=mark)]
        return [
            next((there - here for there in heard if 0 < there - here < CLICK_EVERY_MS / 1000), None)
            for here in made
        ]

    def _replies(self) -> list[float | None]:
        """Return the seconds from the sending of a reply's first sound to that sound at the speaker."""
        sent = []
        for number in range(self._plan.replies):
            sent.append(self._service.ask("reply", ms=200, paced=True))
            # The odd milliseconds cover every part of the device's 10 ms.
            time.sleep(0.3 + number * 0.0037)
        return [self._at_speaker(at, 0) for at in sent]

    def _interrupts(self) -> list[float | None]:
        """Return the seconds from the sending of `interrupted` to the last sound of the reply."""
        sent = []
        for number in range(self._plan.interrupts):
            self._service.ask("reply", ms=3000, paced=False)
            time.sleep(0.3 + number * 0.0037)
            sent.append(self._service.ask("interrupt"))
            time.sleep(0.3)
        return [self._at_speaker(at, -1) for at in sent]

    def _at_speaker(self, since: float, which: int) -> float | None:
        """Return the seconds to the first (0) or last (-1) sound at the speaker within 0.3 s."""
        loud = self._sound.speaker.loud(since, since + 0.3, SILENCE)
        return loud[which] - since if loud.size else None


def middle_ms(what: str, trials: Sequence[float | None]) -> float:
    """Return the mean of the middle half. It is as steady as a mean, and one late trial moves it as little as
    a median.

    Raises:
        RuntimeError: less than half of the trials gave anything.
    """
    found = sorted(trial * 1000 for trial in trials if trial is not None)
    if 2 * len(found) < len(trials) or not found:
        raise RuntimeError(
            f"{what}: only {len(found)} of {len(trials)} trials were found; is the machine busy?"
        )
    if len(found) < len(trials):
        say(f"{what}: {len(trials) - len(found)} of {len(trials)} trials left out")
    quarter = len(found) // 4
    return statistics.fmean(found[quarter : len(found) - quarter])


def measure(plan: Plan, card: SoundServer) -> Outcome:
    """Run the bench on a virtual sound card, with a server of its own."""
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kioskd-bench-")))
        service = stack.enter_context(Service(folder))
        sound = stack.enter_context(sounds(card))
        bench = Bench(plan, folder, service, sound, card.environ)
        found = bench.run()
        jitter_ms = {"microphone": sound.microphone.jitter_ms(), "speaker": sound.speaker.jitter_ms()}
    return Outcome(figures.results(found), jitter_ms, bench.cold_read_mb, load)


def into_chapter(text: str, block: str, name: str = "bench") -> str:
    """Return the chapter with the block between its two marks.

    Raises:
        ValueError: it has no such marks.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    changed, count = re.subn(
        f"(?s)({begin}\n).*?({end})", lambda marks: f"{marks[1]}{block}\n{marks[2]}", text
    )
    if count != 1:
        raise ValueError(f"figures.md: needs one block between {begin} and {end}; put the marks back")
    return changed


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print. Return 0 for any result, since a slow machine is no failure."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how often ({ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="measure for a shorter time, with one round")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--instructions",
        action="store_true",
        help="count instructions and wake-ups instead, and estimate the load of a Pi",
    )
    instead.add_argument(
        "--endurance",
        action="store_true",
        help="measure wake-ups and written bytes for some minutes, and an hour and a day in simulated time",
    )
    parser.add_argument(
        "--slowness",
        type=int,
        metavar="N",
        help=f"with --instructions: let a second take N seconds ({CountPlan().slowness})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--manual", action="store_true", help="write the tables into the manual")
    arguments = parser.parse_args(argv)
    if any(number is not None and number < 1 for number in (arguments.slowness, arguments.rounds)):
        parser.error("--rounds and --slowness: at least 1")
    if arguments.slowness is not None and not arguments.instructions:
        parser.error("--slowness: only with --instructions")
    if arguments.rounds is not None and (arguments.quick or arguments.instructions or arguments.endurance):
        parser.error("--rounds: not with --quick, --instructions or --endurance")
    if lacking := missing() or (slow_motion.missing() if arguments.instructions else None):
        say(f"cannot measure: {lacking}")
        return 69
    report = _report(arguments)
    sys.stdout.write((json.dumps(report.values, indent=2) if arguments.json else report.text) + "\n")
    if arguments.manual:
        CHAPTER.write_text(into_chapter(CHAPTER.read_text(), report.block, report.name))
    return 0


def _report(arguments: argparse.Namespace) -> Report:
    """Measure what the command line asks for."""
    if arguments.instructions:
        whole = CountPlan()
        plan = CountPlan(
            whole.slowness if arguments.slowness is None else arguments.slowness,
            window_s=whole.window_s / 2 if arguments.quick else whole.window_s,
        )
        return instructions.report(instructions.count(plan, say))
    if arguments.endurance:
        return endurance.report(endurance.QUICK if arguments.quick else endurance.Plan(), say)
    rounds = ROUNDS if arguments.rounds is None else arguments.rounds
    return _side_by_side(Plan(rounds=1 if arguments.quick else rounds))


def _side_by_side(plan: Plan) -> Report:
    with tempfile.TemporaryDirectory(prefix="kioskd-card-") as folder, SoundServer(Path(folder)) as card:
        outcome = measure(plan, card)
    block = f"{figures.table(outcome.results)}\n\n{_where(outcome)}"
    late = ", ".join(f"{name} {value:.1f} ms" for name, value in outcome.jitter_ms.items())
    return Report(
        "bench",
        block,
        f"{block} Recorders' jitter (95 %): {late}.",
        {
            "machine": figures.machine(),
            "load": outcome.load,
            "jitter_ms": outcome.jitter_ms,
            "cold_read_mb": outcome.cold_read_mb,
            "figures": {key: result.as_json() for key, result in outcome.results.items()},
        },
    )


def _where(outcome: Outcome) -> str:
    sessions = max(result.sessions for result in outcome.results.values())
    cold = ", ".join(f"{mb:.0f} MB ({kind})" for kind, mb in outcome.cold_read_mb.items())
    return (
        f"{figures.machine()}; medians of {sessions} sessions of each; "
        f"load {outcome.load:.1f} before it began.\n"
        f"Read from disk by a start with files not in memory: {cold}."
    )


def say(line: str) -> None:
    """Tell on stderr how far the bench is."""
    sys.stderr.write(f"bench: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
