"""Paths that are not regular files, one of each kind."""

import os
import socket
from pathlib import Path


def strange_places(folder: Path) -> dict[str, Path]:
    """Return a path of each kind that is not a regular file, created in `folder`."""
    os.mkfifo(folder / "a-pipe", 0o600)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "a-socket"))
    (folder / "a-folder").mkdir()
    return {
        "a named pipe": folder / "a-pipe",
        "a socket": folder / "a-socket",
        "a device": Path("/dev/zero"),
        "a folder": folder / "a-folder",
    }
