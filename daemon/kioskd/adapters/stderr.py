"""Keeps what C libraries (ALSA, PortAudio, JACK) print off the journal: one debug line instead of a page.

They print through the C library's variable `stderr`, from threads that nobody can time. The GNU C library lets a program
set that variable, so it is set to a file of ours. Descriptor 2 itself is never diverted: it stays free for Python,
for the fault handler, and for what a crash has to say.

An assertion that fails in a library ends the process, and its words are in our file. A file in the runtime directory
outlives a restart, and the next process says what was in it.
"""

import atexit
import contextlib
import ctypes
import faulthandler
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

FILE: Final = "library-messages"
"""In the runtime directory: what libraries have printed and no log line has yet."""

_STDERR_FD: Final = 2
_READ_AT_MOST: Final = 64 * 1024
_UNBUFFERED: Final = 2  # _IONBF of stdio.h

_lock = threading.RLock()
_sink: int | None = None


def keep(folder: Path | None) -> None:
    """Have all that happens at a crash told: for the daemon, once, at its start.

    The fault handler gets a descriptor of its own. What libraries print goes to a file in `folder`, the runtime
    directory, or to memory where there is none. What the process before this one left there is logged as a warning.
    """
    with contextlib.suppress(OSError):  # no descriptor 2 at all
        # Never closed: the handler writes to it for as long as the process lives.
        faulthandler.enable(file=os.dup(_STDERR_FD))
    if folder is None:
        return
    try:
        sink = os.open(
            folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError as error:
        log.warning("messages of libraries are not kept: %s", error)
        return
    if left := _taken(sink):
        log.warning("the process before this one did not end by itself; a library had said: %r", left[-1])
    _divert(sink)
    # Not reached by a process that is killed or aborts.
    atexit.register(os.ftruncate, sink, 0)


@contextlib.contextmanager
def captured(what: str) -> Iterator[list[str]]:
    """Log what libraries printed until the end, and had printed before, as one debug line about `what`.

    Yields a list that holds those lines afterwards. Blocks while another thread does the same; nested use in one thread
    takes what came up to its own end. Diverts C's `stderr` from the first use on, for as long as the process lives.
    """
    lines: list[str] = []
    with _lock:
        sink = _sink if _sink is not None else _divert(os.memfd_create(FILE, os.MFD_CLOEXEC))
        try:
            yield lines
        finally:
            if sink is not None and (taken := _taken(sink)):
                lines += taken
                log.debug("%s: a library wrote to stderr: lines=%d last=%r", what, len(taken), taken[-1])


def _divert(sink: int) -> int | None:
    """Set C's `stderr` to a stream on `sink`; return it, or None where the C library is another."""
    global _sink  # noqa: PLW0603 - as above
    c = ctypes.CDLL(None)
    if not hasattr(c, "gnu_get_libc_version"):
        os.close(sink)
        return None
    c.fdopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(c.fdopen(sink, b"a"))
    c.setvbuf(stream, None, _UNBUFFERED, ctypes.c_size_t(0))
    ctypes.c_void_p.in_dll(c, "stderr").value = stream.value
    _sink = sink
    return sink


def _taken(sink: int) -> list[str]:
    """Return the lines in the file, the last 64 KiB of them, and empty it."""
    size = os.fstat(sink).st_size
    if not size:
        return []
    text = os.pread(sink, _READ_AT_MOST, max(0, size - _READ_AT_MOST)).decode("utf-8", "replace")
    os.ftruncate(sink, 0)
    return text.splitlines()
