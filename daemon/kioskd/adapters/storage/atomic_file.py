"""Small files that are never half there: written beside, then put in place. Readable by their owner alone.

What a file holds may come from anywhere: it is read with a bound, and never waited for.
"""

import errno
import json
import os
from pathlib import Path
from typing import Any, Final

from kioskd import regular_file

LARGEST_BYTES: Final = 100_000
"""Ours have a few hundred, and one line for each tool. A larger file is not ours, or damaged."""


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that `path` holds. Blocks.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read, or is no regular file (a pipe would never end).
        ValueError: it holds something else, or too much.
    """
    content = regular_file.content(path, LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError("too large")
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - one kind of trouble for callers
    return found


def draft_of(path: Path) -> Path:
    """Return where the new content of `path` is written; one name, so that a kill leaves one at most."""
    return path.with_name(f".{path.name}")


def replace(path: Path, text: str, *, durable: bool) -> None:
    """Have `path` hold `text`, 0600 from the first moment; what it held before stays until then. Blocks.

    `durable`: make its folder if need be, and wait until it would outlive a power cut, its name included. What need not be
    is in a folder that the service manager makes, and takes away.
    OSError, which names `path`: it cannot be written. The old content stays, unless the disk fails at the very last.
    """
    try:
        _replace(path, text, durable=durable)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(path: Path, text: str, *, durable: bool) -> None:
    if durable:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = draft_of(path)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    draft.replace(path)
    if not durable:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_folder(folder: Path) -> None:
    """Raise OSError, which names `folder`, where files cannot be written in it or it cannot be made. Blocks; writes nothing.

    What a disk that fails does to a write is not seen here.
    """
    place = folder
    while not place.exists():
        place = place.parent
    if number := _obstacle(place):
        raise OSError(number, os.strerror(number), str(folder))


def _obstacle(place: Path) -> int:
    """Return the errno that a new file in `place` would meet; 0 for none that can be foreseen."""
    disk = os.statvfs(place)
    if not place.is_dir():
        return errno.ENOTDIR
    if disk.f_flag & os.ST_RDONLY:
        return errno.EROFS
    # A file system that counts neither blocks nor inodes has as many as it likes.
    if (disk.f_blocks and not disk.f_bavail) or (disk.f_files and not disk.f_favail):
        return errno.ENOSPC
    return 0 if os.access(place, os.W_OK | os.X_OK) else errno.EACCES
