"""`scripts/soak --hostile`: attacks by a service, clients, settings, pictures and tools, in bounded numbers.

Each attack has a process of its own, so that its memory is known. The report has the longest hold of the
event loop, as processor time of one callback. It also has the most memory, and whether anything ended.
Different seeds make different cases: four runs of `--only messages --count 250000` with the seeds 1 to 4 are
a million messages.
"""

import argparse
import asyncio
import json
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Final

from tests.soak import hostile_attacks
from tests.soak.hostile_attacks import peak_mib
from tests.soak.progress import Course
from tests.support.loop_holds import MOST_HOLD_S, holds

MOST_MIB: Final = 768.0
"""Most memory that an attack may take. The attacker's in the same process counts, and so does a child's.

The unit's MemoryMax= is a share of the machine's memory, and so no fixed number.
"""


@dataclass(slots=True)
class Wounds:
    """Result of one attack."""

    name: str
    seed: int = 0
    cases: int = 0
    seconds: float = 0.0
    hold_s: float = 0.0
    """Longest time for which one callback held the loop, in seconds of processor time."""
    hold_limit_s: float = MOST_HOLD_S
    """Longest time that this machine may take."""
    hold_by: str = ""
    peak_mib: float = 0.0
    """Most memory of the attacked program and of its child."""
    ended: str = ""
    """Reason why the kiosk or a connection ended, if it did."""

    @property
    def fatal(self) -> str:
        """Return the faults of the result, in words."""
        if self.ended:
            return f"{self.name}: ended: {self.ended}"
        if self.hold_s > self.hold_limit_s:
            return f"{self.name}: held the loop for {self.hold_s * 1000:.0f} ms: {self.hold_by}"
        return f"{self.name}: took {self.peak_mib:.0f} MiB" if self.peak_mib > MOST_MIB else ""


Attack = Callable[[Course], Awaitable[None]]

ATTACKS: Final[Mapping[str, tuple[Attack, int]]] = {
    "messages": (hostile_attacks.messages, 1_000_000),
    "clients": (hostile_attacks.clients, 100_000),
    "settings": (hostile_attacks.settings, 100_000),
    "pictures": (hostile_attacks.pictures, 1_000),
    "tools": (hostile_attacks.tools, 1_000),
}
"""Each attack by its name, with its number of cases in a whole soak."""


def attack(name: str, count: int, seed: int) -> Wounds:
    """Run one attack in this process, which should do nothing else."""
    wounds, course = Wounds(name, seed), Course(name, count, seed)
    warnings.filterwarnings("ignore", category=UserWarning)
    began = time.monotonic()
    with holds() as longest:
        try:
            asyncio.run(ATTACKS[name][0](course))  # type: ignore[arg-type]  # each is a coroutine
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what the attack has done
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            wounds.ended = f"{type(error).__name__}: {str(error)[:200]}"
    wounds.cases, wounds.seconds = course.done, time.monotonic() - began
    wounds.hold_s, wounds.hold_by = longest.longest_s, longest.callback
    wounds.hold_limit_s = longest.limit_s
    wounds.peak_mib = peak_mib() + course.children_mib
    return wounds


def attacks(
    names: Sequence[str], seed: int, *, scale: float = 1.0, count: int | None = None
) -> Iterator[Wounds]:
    """Run the attacks one after the other, each in a new process, and yield their results."""
    for name in names:
        cases = max(20, round(ATTACKS[name][1] * scale)) if count is None else count
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool.submit(attack, name, cases, seed).result()


def row(wounds: Wounds) -> str:
    """Return the line that a person reads."""
    return (
        f"{wounds.name:10}{wounds.cases:10} cases {wounds.seconds:8.0f} s   "
        f"longest hold {wounds.hold_s * 1000:6.1f} ms   "
        f"peak {wounds.peak_mib:5.0f} of {MOST_MIB:.0f} MiB   {wounds.ended or 'nothing ended'}"
    )


def main(argv: Sequence[str]) -> int:
    """Run the attacks, and print a line for each one.

    Return 0 if nothing ended and the loop was never held.
    """
    parser = argparse.ArgumentParser(prog="scripts/soak --hostile", description=__doc__)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of the whole number of cases (1.0: a million messages)"
    )
    parser.add_argument(
        "--only", choices=list(ATTACKS), action="append", help="this attack alone; may be given again"
    )
    parser.add_argument("--count", type=int, help="so many cases of each attack, whatever --scale says")
    parser.add_argument("--seed", type=int, default=1, help="chooses the cases (1)")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    given = parser.parse_args(argv)
    wrong = []
    for wounds in attacks(given.only or list(ATTACKS), given.seed, scale=given.scale, count=given.count):
        sys.stdout.write((json.dumps(asdict(wounds)) if given.json else row(wounds)) + "\n")
        sys.stdout.flush()
        if wounds.fatal:
            wrong.append(wounds.fatal)
    for fatal in wrong:
        sys.stderr.write(f"✗ {fatal}\n")
    return 1 if wrong else 0
