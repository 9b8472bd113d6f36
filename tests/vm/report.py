"""What scripts/test-vm prints at its end: the time of each part, and what was tested inside the machine."""

import contextlib
import time
from collections.abc import Iterator

lines: list[str] = []
"""In the order in which they came about."""


@contextlib.contextmanager
def timed(part: str) -> Iterator[None]:
    """Note how long this part takes, also where it fails."""
    began = time.monotonic()
    try:
        yield
    finally:
        lines.append(f"{time.monotonic() - began:6.0f} s  {part}")
