"""What a file holds, and nothing that could be waited for: a pipe never ends, and a device may."""

import errno
import os
import stat
from pathlib import Path


def content(path: Path, most_bytes: int) -> bytes:
    """Return what a file holds, so many bytes of it at most. Blocks for as long as its disk does.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NONBLOCK)  # a pipe that nobody writes to would be waited for

    with open(path, "rb", opener=opened) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        return file.read(most_bytes)
