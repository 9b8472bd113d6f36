"""Where a process hung or crashed: kept by the fault handler, and logged by the next process in one line.

The fault handler prints every frame of every thread, 70 lines and more, and cannot do otherwise: nothing of Python runs
any more. So it prints into a file of the runtime directory, which outlives a restart. Names and line numbers are in it, and
no contents.
"""

import faulthandler
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

NAME: Final = "crash"
"""In the runtime directory: what this process prints when it crashes."""
LAST: Final = "last-crash.txt"
"""Beside it: all that the last process that crashed has printed."""

_READ_AT_MOST: Final = 64 * 1024
_FRAMES: Final = 4
_OTHERS: Final = 6
_HEAD: Final = re.compile(r"Fatal Python error: ([^\n]{1,80})")
_THREAD: Final = re.compile(r"^(?:Current thread|Thread) 0x", re.MULTILINE)
_FRAME: Final = re.compile(r'^  File "([^"\n]*)", line (\d+) in (\S+)', re.MULTILINE)
_PLACE: Final = re.compile(r".*/(?:site-packages|dist-packages|python3\.\d+|daemon)/")
_OURS: Final = "kioskd/"

StackFrame = tuple[str, str]
"""The place of a call as people write it, and the function."""


def keep(folder: Path | None) -> None:
    """Have the fault handler print into `folder`, the runtime directory; log what the process before left there.

    Without a folder it stays as it is. To be called once, when the process starts.
    """
    if folder is None:
        return
    path = folder / NAME
    try:
        # Never closed: the handler writes to it for as long as the process lives.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        dump = os.pread(handle, _READ_AT_MOST, 0).decode("utf-8", "replace")
        if dump:
            (folder / LAST).unlink(missing_ok=True)
            path.rename(folder / LAST)
            os.close(handle)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_EXCL, 0o600)
        faulthandler.enable(file=handle)
    except OSError as error:
        log.warning("where a crash happens is not kept: %s; look at the runtime directory", error)
        return
    if dump:
        log.warning("the process before this one %s; all of it: %s", summary(dump), folder / LAST)


def summary(dump: str) -> str:
    """Return in one line what the fault handler has printed: the main thread's calls, and where the others were."""
    head = _HEAD.search(dump)
    threads = [
        frames
        for block in _THREAD.split(dump)[1:]
        if (frames := [_frame(*one) for one in _FRAME.findall(block)])
    ]
    # The main thread alone begins in a module. What the signal met is printed last.
    threads.sort(key=lambda frames: frames[-1][1] != "<module>")
    words = f"crashed ({head[1]})" if head else "crashed"
    if not threads:
        return words
    main, *others = threads
    words += f" in {' < '.join(map(_words, _main_frames(main)))}"
    if not others:
        return words
    places = list(dict.fromkeys(_words(_main_frames(one)[0]) for one in others))
    more = f" and {len(places) - _OTHERS} more" if len(places) > _OTHERS else ""
    return f"{words}; other threads ({len(others)}) in {', '.join(places[:_OTHERS])}{more}"


def _frame(path: str, line: str, function: str) -> StackFrame:
    return f"{_PLACE.sub('', path)}:{line}", function


def _main_frames(frames: Sequence[StackFrame]) -> list[StackFrame]:
    """Return the innermost frame, and those of ours that have called it."""
    return [frames[0], *(one for one in frames[1:] if one[0].startswith(_OURS))][:_FRAMES]


def _words(frame: StackFrame) -> str:
    place, function = frame
    return f"{function} ({place})"
