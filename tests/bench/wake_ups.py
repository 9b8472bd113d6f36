"""How often the threads of a process wake up, by the kernel's count.

A thread that waits gives up its processor, which the kernel counts as a voluntary context switch. Each of
them ends with a wake-up.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd.adapters.portaudio.devices import Direction

LOOP: Final = "event loop"
OWN_THREADS: Final = "other threads of Python"
SOUND: Final = "PortAudio"
SOUND_SERVER: Final = "threaded-ml"
"""The name that PulseAudio gives to the thread of its client. Without PulseAudio there is none."""
OURS: Final = (LOOP, OWN_THREADS)
"""The threads whose wake-ups kioskd decides on. The sound card's periods wake PortAudio's."""

_PORTAUDIO: Final = frozenset(direction.value for direction in Direction)
"""The names that kioskd gives to PortAudio's threads."""

_LOOKS: Final = 10
_BETWEEN_LOOKS_S: Final = 0.003


@dataclass(frozen=True, slots=True)
class Waits:
    """One thread at one moment."""

    name: str
    count: int
    """Times it has waited so far."""


def threads(pid: int) -> dict[int, Waits]:
    """Return the threads of a process, by their numbers. Takes some milliseconds.

    kioskd names PortAudio's threads, and the floor does not. Python gives its threads no names that the
    kernel knows. So a thread without one is PortAudio's if it waits for a file, as the sound system's
    connections are. Python's wait for locks only. But PortAudio's wait for Python's lock, too, so each thread
    is looked at several times.
    """
    process = _text(pid, pid, "comm")
    counts, names = {}, {}
    for thread in _numbers(pid):
        try:
            status = _text(pid, thread, "status")
            names[thread] = _text(pid, thread, "comm")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        counts[thread] = int(fields["voluntary_ctxt_switches"])
    nameless = {thread for thread in counts if names[thread] == process and thread != pid}
    names |= {pid: LOOP, **dict.fromkeys(nameless, OWN_THREADS)}
    names |= {thread: SOUND for thread, name in names.items() if name in _PORTAUDIO}
    for _ in range(_LOOKS):
        for thread in nameless & set(_numbers(pid)):
            if "poll" in _waits_in(pid, thread):
                names[thread] = SOUND
        time.sleep(_BETWEEN_LOOKS_S)
    return {thread: Waits(names[thread], count) for thread, count in counts.items()}


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


def _numbers(pid: int) -> list[int]:
    return [int(folder.name) for folder in Path(f"/proc/{pid}/task").iterdir()]


def _waits_in(pid: int, thread: int) -> str:
    """Return the kernel's function in which a thread waits; empty if it has ended."""
    try:
        return _text(pid, thread, "wchan")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _text(pid: int, thread: int, name: str) -> str:
    return Path(f"/proc/{pid}/task/{thread}/{name}").read_text(encoding="utf-8", errors="replace").strip()
