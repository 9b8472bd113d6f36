"""How long one callback holds the event loop, in processor time of its thread: other load does not matter."""

import asyncio
import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

MOST_HOLD_S: Final = 0.05
"""Longest time, in processor seconds, that a callback may hold the loop on a usual desk: two frames and a
half.
"""

_DESK_S: Final = 0.007
"""Processor seconds of `_reference` on the desk where `MOST_HOLD_S` was set."""

_TEXT: Final = json.dumps("\ud83d" * 800_000)


@dataclass(slots=True)
class Holds:
    """The longest callback so far."""

    longest_s: float = 0.0
    callback: str = ""
    """The longest callback, as asyncio prints it."""
    collecting_s: float = 0.0
    """Seconds of the longest garbage collection. It is not counted as a callback's."""
    limit_s: float = MOST_HOLD_S
    """Longest time that this machine may take: `MOST_HOLD_S`, and more on a machine slower than a desk."""


def _reference() -> None:
    """Do the kinds of work that long callbacks do: parse 5 MB of text, and interpret a loop."""
    json.loads(_TEXT)
    sum(number * number for number in range(100_000))


def _slowness() -> float:
    """Return how many times longer than a desk this machine takes for the same work; at least 1.0."""
    best_s = float("inf")
    for _ in range(3):
        began = time.thread_time()
        _reference()
        best_s = min(best_s, time.thread_time() - began)
    return max(1.0, best_s / _DESK_S)


@contextmanager
def holds() -> Iterator[Holds]:
    """Measure each callback of this thread's loop (not of others) while the block runs."""
    found, ours = Holds(), threading.get_ident()
    plain: Callable[[asyncio.Handle], None] = vars(asyncio.Handle)["_run"]
    began_collecting = collected_s = 0.0

    def measured(handle: asyncio.Handle) -> None:
        nonlocal collected_s
        if threading.get_ident() != ours:
            plain(handle)
            return
        began_s = time.perf_counter()  # 20 times cheaper to read than the processor time
        began, collected_s = time.thread_time(), 0.0
        plain(handle)
        if time.perf_counter() - began_s <= found.longest_s:
            return  # processor time is never longer than this
        held_s = time.thread_time() - began - collected_s
        if held_s > found.longest_s:
            found.longest_s, found.callback = held_s, repr(handle)[:300]

    def collecting(phase: str, _info: dict[str, int]) -> None:
        nonlocal began_collecting, collected_s
        if threading.get_ident() != ours:
            return
        if phase == "start":
            began_collecting = time.thread_time()
        else:
            took_s = time.thread_time() - began_collecting
            collected_s += took_s
            found.collecting_s = max(found.collecting_s, took_s)

    setattr(asyncio.Handle, "_run", measured)  # noqa: B010 - asyncio has no public way to watch callbacks
    gc.callbacks.append(collecting)
    try:
        yield found
    finally:
        gc.callbacks.remove(collecting)
        setattr(asyncio.Handle, "_run", plain)  # noqa: B010
        found.limit_s = MOST_HOLD_S * _slowness()
