"""Waiting for other processes and threads, which cannot set an event of the test's loop."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import psutil


async def until(holds: Callable[[], bool], *, at_most_s: float = 60.0) -> None:
    """Return when `holds()` is true. TimeoutError: it did not become true in time."""
    async with asyncio.timeout(at_most_s):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


async def number_in(path: Path) -> int:
    """Return the number in `path` as soon as another process has written it."""
    await until(lambda: path.exists() and path.read_text(encoding="ascii").strip().isdigit())
    return int(path.read_text(encoding="ascii"))  # noqa: ASYNC240 - a few bytes in a test


async def gone(pid: int) -> None:
    """Return when the process `pid` is dead."""

    def dead() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await until(dead)
