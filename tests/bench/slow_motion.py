"""A world in slow motion: processes whose clocks run N times slower, so that a slow emulator keeps pace.

In callgrind a program takes 30 to 50 times as long. Beside a sound server in true time it would lose its
sound. So the sound server, the service and the client are all given the same slow clock (`slow_clock.c`).
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.service import ROOT

SOURCE: Final = ROOT / "tests/bench/slow_clock.c"
NEEDED: Final = ("valgrind", "vgdb", "cc")


def missing() -> str | None:
    """Return why nothing can be counted here; None if it can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"missing: {', '.join(absent)}; run `scripts/setup instructions`" if absent else None


@contextlib.contextmanager
def slow_world(folder: Path, slowness: int) -> Iterator[None]:
    """Give the slow clock to all processes that are started inside the block; this process keeps the true
    time."""
    library = folder / "slow_clock.so"
    subprocess.run(
        ["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True
    )
    slow = {"LD_PRELOAD": str(library), "BENCH_SLOWNESS": str(slowness)}
    before = {name: os.environ.get(name) for name in slow}
    os.environ |= slow
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def slow_now(slowness: int) -> float:
    """Return the time of the slow world, in its seconds."""
    return time.monotonic() / slowness
