"""How often the threads of a process wake up, by the kernel's count.

A thread that waits gives up its processor, which the kernel counts as a voluntary context switch. Each of
them ends with a wake-up.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOOP: Final = "event loop"
OWN_THREADS: Final = "other threads of Python"
SOUND: Final = "PortAudio"
OURS: Final = (LOOP, OWN_THREADS)
"""The threads whose wake-ups kioskd decides on. The sound card's periods wake PortAudio's."""


@dataclass(frozen=True, slots=True)
class Waits:
    """One thread at one moment."""

    name: str
    count: int
    """Times it has waited so far."""


def threads(pid: int) -> dict[int, Waits]:
    """Return the threads of a process, by their numbers.

    Python gives its threads no names that the kernel knows. So a thread without a name is PortAudio's if it
    waits for a file, as the sound system's connections are, and Python's if it waits for a lock.
    """
    found = {}
    process = _text(pid, pid, "comm")
    for folder in Path(f"/proc/{pid}/task").iterdir():
        thread = int(folder.name)
        try:
            name, where = _text(pid, thread, "comm"), _text(pid, thread, "wchan")
            status = _text(pid, thread, "status")
        except FileNotFoundError:
            continue  # it has just ended
        if thread == pid:
            name = LOOP
        elif name == process:
            name = SOUND if "poll" in where else OWN_THREADS
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        found[thread] = Waits(name, int(fields["voluntary_ctxt_switches"]))
    return found


def between(before: Mapping[int, Waits], after: Mapping[int, Waits]) -> Counter[str]:
    """Return the wake-ups between two moments, by the names of the threads."""
    found: Counter[str] = Counter()
    for thread, waits in after.items():
        found[waits.name] += waits.count - (before[thread].count if thread in before else 0)
    return found


class WakeUpMeter:
    """Counts the wake-ups of one process."""

    prefix: Final = ()
    """No words come before the process's own command."""

    def __init__(self) -> None:
        self._before: dict[int, Waits] = {}

    def take(self, pid: int) -> Counter[str]:
        """Return the wake-ups by thread, since the last call or since the start."""
        before, self._before = self._before, threads(pid)
        return between(before, self._before)


def _text(pid: int, thread: int, name: str) -> str:
    return Path(f"/proc/{pid}/task/{thread}/{name}").read_text(encoding="utf-8", errors="replace").strip()
