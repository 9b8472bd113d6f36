"""Small files that are never half written, by drafts that are renamed. Only their owner can read them.

A file may contain anything: reading is limited in size, and never waits.
"""

import errno
import json
import os
from pathlib import Path
from typing import Any, Final

from kioskd import regular_file

LARGEST_BYTES: Final = 100_000
"""Largest size in bytes. kioskd's files have a few hundred bytes, and one line for each tool."""


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in the file `path`. Blocks.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read, or is not a regular file (a pipe would never end).
        ValueError: the file contains something else, or is too large.
    """
    content = regular_file.content(path, LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError("too large")
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004 - callers handle one type of error
    return found


def draft_of(path: Path) -> Path:
    """Return the path of the draft for `path`: a fixed one, so that a killed process leaves one at most."""
    return path.with_name(f".{path.name}")


def replace(path: Path, text: str, *, durable: bool) -> None:
    """Write `text` to `path` (mode 0600); the old content stays until the new is complete. Blocks.

    `durable`: create the folder if needed, and wait until content and name would survive a power cut. Files
    that need not survive are in a folder that the service manager creates and removes. OSError, with `path`
    in it: the file cannot be written. The old content stays, unless the disk fails in the last step.
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
    """Raise OSError with `folder` in it if it cannot be created, or no file written there. Blocks.

    It writes nothing, so it does not notice a disk that fails at the write itself.
    """
    place = folder
    while not place.exists():
        place = place.parent
    if number := _obstacle(place):
        raise OSError(number, os.strerror(number), str(folder))


def _obstacle(place: Path) -> int:
    """Return the errno that creating a file in `place` would raise, as far as it can be known; else 0."""
    disk = os.statvfs(place)
    if not place.is_dir():
        return errno.ENOTDIR
    if disk.f_flag & os.ST_RDONLY:
        return errno.EROFS
    # File systems that count neither blocks nor inodes report 0 for both.
    if (disk.f_blocks and not disk.f_bavail) or (disk.f_files and not disk.f_favail):
        return errno.ENOSPC
    return 0 if os.access(place, os.W_OK | os.X_OK) else errno.EACCES
