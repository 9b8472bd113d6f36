"""How long one callback holds the event loop, in processor time of its thread: other load does not matter."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Holds:
    """The longest callback so far."""

    longest_s: float = 0.0
    callback: str = ""
    """The longest callback, as asyncio prints it."""
    collecting_s: float = 0.0
    """Seconds of the longest garbage collection. It is not counted as a callback's."""


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
