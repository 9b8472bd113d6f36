"""Keeps what C libraries (ALSA, PortAudio, JACK) print off the journal: one debug line instead of a page.

They print through the C library's variable `stderr`, from threads of their own. The GNU C library lets a program
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
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

FILE: Final = "library-messages"
"""In the runtime directory: what libraries have printed and no log line has yet."""

SIZE: Final = 64 * 1024
"""Bytes that are kept until the next look. What is printed beyond is dropped: PortAudio may print without an end."""

_STDERR_FD: Final = 2
_UNBUFFERED: Final = 2  # _IONBF of stdio.h


class _Sink:
    """Memory of a file that C's `stderr` writes into."""

    def __init__(self, file: int) -> None:
        """Take `file`, and close it; its memory stays, with what was in it."""
        try:
            os.ftruncate(file, SIZE)
            self._memory = mmap.mmap(file, SIZE)
        finally:
            os.close(file)
        self.left = self._lines()
        """What was in it before."""
        # Calls that keep Python's lock: each is over at once.
        c = ctypes.PyDLL(None)
        c.fmemopen.restype = ctypes.c_void_p
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._stream = ctypes.c_void_p(c.fmemopen(ctypes.c_void_p(address), ctypes.c_size_t(SIZE), b"w"))
        c.setvbuf(self._stream, None, _UNBUFFERED, ctypes.c_size_t(0))
        ctypes.c_void_p.in_dll(c, "stderr").value = self._stream.value
        self._c = c

    def take(self) -> list[str]:
        """Return the lines since the last time. One that is printed at this very moment may be lost.

        No lock is held meanwhile: a thread that waits for it, with Python's own lock in its hands, would wait for ever.
        """
        if not self._c.ftell(self._stream):
            return []
        lines = self._lines()
        self._c.rewind(self._stream)
        self.clear()
        return lines

    def clear(self) -> None:
        """Forget what is in it."""
        self._memory[:] = bytes(SIZE)

    def _lines(self) -> list[str]:
        return self._memory[:].replace(b"\0", b"").decode("utf-8", "replace").splitlines()


_lock = threading.RLock()
_sink: _Sink | None = None


def keep(folder: Path | None) -> None:
    """Have a crash reported: for the daemon, once, at its start.

    The fault handler gets a descriptor of its own. What libraries print goes to a file in `folder`, the runtime
    directory, or to memory where there is none. What the process before this one left there is logged as a warning.
    """
    with contextlib.suppress(OSError):  # no descriptor 2 at all
        # Never closed: the handler writes to it for as long as the process lives.
        faulthandler.enable(file=os.dup(_STDERR_FD))
    if folder is None:
        return
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        sink = _divert(os.open(folder / FILE, flags, 0o600))
    except OSError as error:
        log.warning("messages of libraries are not kept: %s", error)
        return
    if sink is None:
        return
    if sink.left:
        log.warning(
            "the process before this one did not end by itself; a library had said: %r", sink.left[-1]
        )
    # Not reached by a process that is killed or aborts.
    atexit.register(sink.clear)


@contextlib.contextmanager
def captured(what: str) -> Iterator[list[str]]:
    """Log what libraries printed until the end, and had printed before, as one debug line about `what`.

    Yields a list that holds those lines afterwards. Blocks while another thread does the same; nested use in one thread
    takes what came up to its own end. Diverts C's `stderr` from the first use on, for as long as the process lives.
    """
    lines: list[str] = []
    with _lock:
        sink = _sink or _divert(os.memfd_create(FILE, os.MFD_CLOEXEC))
        try:
            yield lines
        finally:
            if sink is not None and (taken := sink.take()):
                lines += taken
                log.debug("%s: a library wrote to stderr: lines=%d last=%r", what, len(taken), taken[-1])


def _divert(file: int) -> _Sink | None:
    """Have C's `stderr` write to `file`; return None where the C library is another."""
    global _sink  # noqa: PLW0603 - there is one `stderr` in a process
    if not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        os.close(file)
        return None
    _sink = _Sink(file)
    return _sink
