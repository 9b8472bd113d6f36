"""Files that a start reads, and the page cache that keeps them in memory."""

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.bench.service import ROOT

FOLDERS: Final = (
    *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib", "platstdlib")),
    Path(sys.base_prefix) / "lib/python3/dist-packages",
    ROOT / "daemon",
)
"""Folders of the environment, the package and Python, which the interpreter reads without mapping the
files."""


def forget(paths: Iterable[Path]) -> None:
    """Drop files from the page cache.

    The kernel keeps pages that a process has mapped now, or that are not yet on disk. So the C library stays,
    and all that this very process shares with a client. Files that cannot be read are left out.
    """
    for path in paths:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def files_of_a_start(mapped: Iterable[Path]) -> set[Path]:
    """Return the files of `FOLDERS`, and those that the started process maps."""
    found = set(mapped)
    for folder in FOLDERS:
        for place, _folders, names in os.walk(folder):
            found |= {Path(place, name) for name in names}
    return found


def mapped_by(pid: int) -> frozenset[Path]:
    """Return the files that a process has mapped: its interpreter and its libraries."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    paths = (line.partition("/")[1:] for line in lines)
    return frozenset(path for slash, rest in paths if slash and (path := Path(slash + rest)).is_file())


def read_mb(pid: int) -> float:
    """Return the MB (10^6 bytes) that a process has had read from disk so far."""
    return int(_io(pid)["read_bytes"]) / 1e6


def written_bytes(pid: int) -> int:
    """Return the bytes that a process has had written to disk so far, or that will be."""
    return int(_io(pid)["write_bytes"])


def _io(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return dict(line.split(": ", 1) for line in lines)
