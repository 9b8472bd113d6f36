"""Progress of an attack, as a line on standard error from time to time."""

import sys
import time
from dataclasses import dataclass, field
from typing import Final

SAY_S: Final = 15.0
"""Seconds between two lines. A short attack prints none."""


@dataclass(slots=True)
class Course:
    """Counts the cases of one attack that are done, and those that remain."""

    name: str
    count: int
    seed: int
    done: int = 0
    children_mib: float = 0.0
    """Most memory of a child of the attacked program, in bytes."""
    _began_s: float = field(default_factory=time.monotonic)
    _said_s: float = field(default_factory=time.monotonic)

    def step(self, cases: int = 1) -> None:
        """Count cases that are done."""
        self.done += cases
        now_s = time.monotonic()
        if now_s - self._said_s >= SAY_S:
            self._said_s = now_s
            sys.stderr.write(
                f"{self.name}: {self.done} of {self.count} cases, seed {self.seed}, "
                f"{now_s - self._began_s:.0f} s\n"
            )
            sys.stderr.flush()
