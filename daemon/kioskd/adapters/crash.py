"""The place where a process hung or crashed: written by the fault handler, logged by the next process.

The fault handler prints every frame of every thread, 70 lines or more. It cannot shorten them, as Python does
not run any more. So it prints to a file of the runtime directory, which survives a restart. The file holds
names and line numbers only.
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
"""File in the runtime directory that this process prints to when it crashes."""
LAST: Final = "last-crash.txt"
"""File in the runtime directory with the output of the last process that crashed."""

_READ_AT_MOST: Final = 64 * 1024
_FRAMES: Final = 4
_OTHERS: Final = 6
_HEAD: Final = re.compile(r"Fatal Python error: ([^\n]{1,80})")
_THREAD: Final = re.compile(r"^(?:Current thread|Thread) 0x", re.MULTILINE)
_FRAME: Final = re.compile(r'^  File "([^"\n]*)", line (\d+) in (\S+)', re.MULTILINE)
_PLACE: Final = re.compile(r".*/(?:site-packages|dist-packages|python3\.\d+|daemon)/")
_OURS: Final = "kioskd/"

StackFrame = tuple[str, str]
"""The place of a call (`FILE:LINE`), and the function's name."""


def keep(folder: Path | None) -> None:
    """Let the fault handler print into the runtime directory `folder`, and log the last crash.

    Does nothing without a folder. Call it once, when the process starts.
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
        log.warning("crashes cannot be recorded: %s; check kioskd's rights on the runtime directory", error)
        return
    if dump:
        log.warning("the previous kioskd process %s; full report: %s", summary(dump), folder / LAST)


def summary(dump: str) -> str:
    """Return one line for the fault handler's output: the main thread's calls, and the others' places."""
    head = _HEAD.search(dump)
    threads = [
        frames
        for block in _THREAD.split(dump)[1:]
        if (frames := [_frame(*one) for one in _FRAME.findall(block)])
    ]
    # Only the main thread starts in a module. The handler prints the thread that crashed last.
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
    """Return the innermost frame, and the kioskd frames that called it."""
    return [frames[0], *(one for one in frames[1:] if one[0].startswith(_OURS))][:_FRAMES]


def _words(frame: StackFrame) -> str:
    place, function = frame
    return f"{function} ({place})"
