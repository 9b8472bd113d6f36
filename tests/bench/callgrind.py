"""Instructions of a process in callgrind, between two moments.

Callgrind counts each instruction of the process outside of the kernel. A count is the same on each machine
with the same programs. So other work on the machine does not change it.
"""

import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "slow clock": ("slow_clock",),
    "sound": ("portaudio", "asound", "pulse", "sndfile"),
    "TLS": ("ssl", "crypto"),
    "Python": ("python", "-packages"),
    "C library": ("libc.so", "ld-linux", "libm.so", "libpthread"),
}
"""The parts of a process, in the order in which they claim a file, and pieces of their files' paths."""
REST: Final = "rest"
NOT_COUNTED: Final = "slow clock"
"""The part that only the measurement needs."""

_DUMP_S: Final = 300.0


class CallgrindMeter:
    """Counts the instructions of one process that runs in callgrind."""

    def __init__(self, folder: Path) -> None:
        """`folder`: a folder for the counts, which no other process uses."""
        self._file = folder / "counts"
        self._dumps = 0

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before the process's own command."""
        return ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self._file}")

    def take(self, pid: int) -> Counter[str]:
        """Return the instructions by part, since the last call or since the start.

        Raises:
            RuntimeError: the process does not run in callgrind, or has ended.
        """
        true_time = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        done = subprocess.run(
            ["vgdb", f"--pid={pid}", "dump"],
            check=False, capture_output=True, text=True, timeout=_DUMP_S, env=true_time,
        )  # fmt: skip
        self._dumps += 1
        dump = self._file.with_name(f"{self._file.name}.{self._dumps}")
        if done.returncode or not dump.exists():
            raise RuntimeError(f"callgrind gave no counts of process {pid}: {done.stderr.strip()}")
        with dump.open(encoding="utf-8", errors="replace") as lines:
            return by_part(by_file(lines))


def by_file(dump: Iterable[str]) -> Counter[str]:
    """Return the instructions of each program or library, from the lines of a dump.

    A dump names a file by `ob=(ID) PATH` first, and by `ob=(ID)` later. A line of two numbers then adds to
    it. The line after `calls=` is the sum of a call, whose instructions other lines have.
    """
    paths: dict[str, str] = {}
    found: Counter[str] = Counter()
    now, is_sum = "", False
    for line in dump:
        key, _, value = line.partition("=")
        if key in ("ob", "cob"):
            number, _, path = value.strip().partition(" ")
            paths.setdefault(number, path)
            now = paths[number] if key == "ob" else now
        elif key == "calls":
            is_sum = True
        elif line[0] in "0123456789+-*":
            if not is_sum:
                found[now] += int(line.rpartition(" ")[2])
            is_sum = False
    return found


def by_part(counts: Mapping[str, int]) -> Counter[str]:
    """Return the instructions of each part, without those that only the measurement needs."""
    found: Counter[str] = Counter()
    for path, count in counts.items():
        found[part_of(path)] += count
    del found[NOT_COUNTED]
    return found


def part_of(path: str) -> str:
    """Return the part that a program or library belongs to."""
    name = path.lower()
    return next((part for part, pieces in PARTS.items() if any(piece in name for piece in pieces)), REST)
