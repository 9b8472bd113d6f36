"""Keeps messages of C libraries (ALSA, PortAudio, JACK) out of the journal: one debug line instead of a page.

They print through the C library's variable `stderr`, from their own threads. The GNU C library lets a program
set that variable, so it is set to a file here. Descriptor 2 is never redirected: Python, the fault handler
and crash messages use it.

If an assertion in a library fails, it ends the process, and its message is in this file. A file in the
runtime directory is kept over a restart, and the next process logs its last line.
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
"""File in the runtime directory with library messages that no log line reported yet."""

SIZE: Final = 64 * 1024
"""Size of the file in bytes. More messages are dropped until the next look: PortAudio may print endlessly."""

_STDERR_FD: Final = 2
_UNBUFFERED: Final = 2  # _IONBF of stdio.h


class _Sink:
    """Memory-mapped file that C's `stderr` writes into."""

    def __init__(self, file: int) -> None:
        """Map `file` into memory and close it. Old content is kept in `left`."""
        try:
            os.ftruncate(file, SIZE)
            self._memory = mmap.mmap(file, SIZE)
        finally:
            os.close(file)
        self.left = self._lines()
        """Lines that were in the file before."""
        # PyDLL keeps Python's lock during these calls; each returns at once.
        c = ctypes.PyDLL(None)
        c.fmemopen.restype = ctypes.c_void_p
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._stream = ctypes.c_void_p(c.fmemopen(ctypes.c_void_p(address), ctypes.c_size_t(SIZE), b"w"))
        c.setvbuf(self._stream, None, _UNBUFFERED, ctypes.c_size_t(0))
        ctypes.c_void_p.in_dll(c, "stderr").value = self._stream.value
        self._c = c

    def take(self) -> list[str]:
        """Return the lines since the last call. A line that is printed during the call may be lost.

        No lock is held: a thread that waits for it while it holds Python's lock would wait for ever.
        """
        if not self._c.ftell(self._stream):
            return []
        lines = self._lines()
        self._c.rewind(self._stream)
        self.clear()
        return lines

    def clear(self) -> None:
        """Erase the file."""
        self._memory[:] = bytes(SIZE)

    def _lines(self) -> list[str]:
        return self._memory[:].replace(b"\0", b"").decode("utf-8", "replace").splitlines()


_lock = threading.RLock()
_sink: _Sink | None = None


def keep(folder: Path | None) -> None:
    """Prepare for reports of crashes. The daemon calls this once, at its start.

    The fault handler gets its own descriptor. Library messages go to a file in `folder`, the runtime
    directory, or to memory if `folder` is None. If the previous process left a message there, it is logged as
    a warning.
    """
    with contextlib.suppress(OSError):  # there is no descriptor 2
        # Never closed, as the handler may write to it at any time.
        faulthandler.enable(file=os.dup(_STDERR_FD))
    if folder is None:
        return
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        sink = _divert(os.open(folder / FILE, flags, 0o600))
    except OSError as error:
        log.warning("messages of sound libraries are not recorded: %s", error)
        return
    if sink is None:
        return
    if sink.left:
        log.warning(
            "the previous kioskd process crashed; the last message of a library was: %r", sink.left[-1]
        )
    # A process that is killed or aborts does not get here.
    atexit.register(sink.clear)


@contextlib.contextmanager
def captured(what: str) -> Iterator[list[str]]:
    """Log all library messages up to the end of the block as one debug line about `what`, earlier ones
    included.

    Yields a list, which holds the lines afterwards. Blocks while another thread is in such a block. Nested
    blocks of one thread each take the lines up to their own end. From its first use C's `stderr` stays
    redirected for the process's life.
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
    """Redirect C's `stderr` to `file`; return None if the C library is not the GNU one."""
    global _sink  # noqa: PLW0603 - there is one `stderr` in a process
    if not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        os.close(file)
        return None
    _sink = _Sink(file)
    return _sink
