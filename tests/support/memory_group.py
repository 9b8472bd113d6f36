"""A bound of the kernel on the memory of a process and its children, like MemoryMax= of a unit."""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_V1: Final = Path("/sys/fs/cgroup/memory")
_GONE_S: Final = 20.0


class MemoryGroup:
    """A control group with a bound on its memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, pid: int) -> None:
        """Move a process into the group. Its later children are in the group, too."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def peak_bytes(self) -> int:
        """The most memory that the group has had so far, with the pages of files that it has read."""
        return int((self._folder / "memory.max_usage_in_bytes").read_text())


@contextlib.contextmanager
def memory_group(most_bytes: int) -> Iterator[MemoryGroup]:
    """Yield a group that the kernel keeps below `most_bytes`. Remove it when its processes have ended."""
    folder = _V1 / f"kioskd-test-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        (folder / "memory.limit_in_bytes").write_text(str(most_bytes))
        yield MemoryGroup(folder)
    finally:
        until = time.monotonic() + _GONE_S
        while (folder / "cgroup.procs").read_text().strip() and time.monotonic() < until:
            time.sleep(0.01)
        folder.rmdir()


def missing() -> str | None:
    """Return why no group can be made here; None if one can be."""
    if not (_V1 / "memory.limit_in_bytes").exists():
        return f"no memory controller at {_V1}"
    return None if os.access(_V1, os.W_OK) and os.geteuid() == 0 else "only root can bound memory"
