"""Reading a file that a setting or an argument names. Pipes and devices are rejected, as they may block."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegularError(OSError):
    """The path names a folder, a pipe, a socket or a device, not a file. `strerror` says which."""


def content(path: Path, most_bytes: int) -> bytes:
    """Return at most the first `most_bytes` of a file. It blocks while the disk is busy.

    Raises:
        NotRegularError: the path does not name a regular file.
        OSError: the file cannot be read.
    """
    return read(path, most_bytes)[0]


def read(path: Path, most_bytes: int) -> tuple[bytes, os.stat_result]:
    """Do as `content`, and also return the status of the file that was read."""
    with opened(path) as file:
        return file.read(most_bytes), os.fstat(file.fileno())


def opened(path: Path) -> BinaryIO:
    """Return the file opened for reading. The caller closes it.

    Raises:
        NotRegularError: the path does not name a regular file.
        OSError: the file cannot be read.
    """
    # Opening a device can have an effect. So the path is checked before opening, and the open file once more.
    _check(path, path.stat())
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    try:
        _check(path, os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def check(path: Path) -> None:
    """Raise the same OSError as `content` if the file cannot be read."""
    read(path, 0)


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "something else")
        raise NotRegularError(errno.EINVAL, f"no regular file but {kind}", str(path))
