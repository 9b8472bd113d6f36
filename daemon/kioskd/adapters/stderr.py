"""Keeps the chatter of C libraries (ALSA, JACK) off the journal: one debug line instead of a page."""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final

log = logging.getLogger(__name__)

_STDERR_FD: Final = 2
_READ_AT_MOST: Final = 64 * 1024

# Descriptor 2 is the process's, not a thread's: one diversion at a time; the same thread may nest.
_lock = threading.RLock()
_depth = 0


@contextlib.contextmanager
def captured(what: str) -> Iterator[None]:
    """Divert what anything writes to descriptor 2 meanwhile, and log it as one debug line about `what`.

    The whole process's descriptor 2 is diverted: for short calls only. Blocks while another thread diverts; nested
    use in one thread is part of the outermost. What Python's own `sys.stderr` held back is written out before.
    """
    global _depth  # noqa: PLW0603 - the depth belongs to the descriptor, of which a process has one
    with _lock:
        if _depth:
            yield
            return
        try:
            kept = os.dup(_STDERR_FD)
        except OSError:
            # No descriptor 2 at all: nothing can be written to it.
            yield
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        sink = os.memfd_create("kioskd-stderr", os.MFD_CLOEXEC)
        try:
            os.dup2(sink, _STDERR_FD)
            _depth += 1
            try:
                yield
            finally:
                _depth -= 1
                os.dup2(kept, _STDERR_FD)
            _report(what, sink)
        finally:
            os.close(kept)
            os.close(sink)


def _report(what: str, sink: int) -> None:
    size = os.fstat(sink).st_size
    if not size:
        return
    text = os.pread(sink, _READ_AT_MOST, max(0, size - _READ_AT_MOST)).decode("utf-8", "replace")
    lines = text.splitlines()
    log.debug("%s: a library wrote to stderr: lines=%d last=%r", what, len(lines), lines[-1])
