"""The report at the end of scripts/test-vm: the time of each part, and the tests inside the machine."""

import contextlib
import time
from collections.abc import Iterator

lines: list[str] = []
"""Parts in the order in which they began."""


@contextlib.contextmanager
def timed(part: str) -> Iterator[None]:
    """Note how long this part takes, even if it fails."""
    began = time.monotonic()
    try:
        yield
    finally:
        lines.append(f"{time.monotonic() - began:6.0f} s  {part}")
