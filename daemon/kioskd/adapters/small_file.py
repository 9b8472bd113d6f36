"""Small files that are never half there: written beside, then put in place. Readable by their owner alone."""

import os
from pathlib import Path


def draft_of(path: Path) -> Path:
    """Return where the new content of `path` is written; one name, so that a kill leaves one at most."""
    return path.with_name(f".{path.name}")


def replace(path: Path, text: str, *, durable: bool) -> None:
    """Have `path` hold `text`, 0600 from the first moment; what it held before stays until then. Blocks.

    `durable`: make its folder if need be, and wait until it would outlive a power cut, its name included. What need not be
    is in a folder that the service manager makes, and takes away.

    Raises:
        OSError: it cannot be written; the old content stays.
    """
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
