"""Sandbox of a tool's program: it reaches only the files and the network that its owner grants.

The daemon's key, state, memory and control socket stay out of reach. The kernel enforces this by Landlock and
seccomp, and no privilege is needed. A thread restricts itself and then starts the program, which inherits the
restrictions for good. No code of ours runs between fork and exec.
"""

import ctypes
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from kioskd.tools import landlock, seccomp

T = TypeVar("T")

SYSTEM: Final = tuple(
    Path(name)
    for name in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/etc", "/proc", "/sys")
)
"""Folders of the system itself, which each program may read."""
_NAMES: Final = (Path("/run/systemd/resolve"), Path("/run/resolvconf"), Path("/run/NetworkManager"))
"""Folders with the addresses of the name servers, for programs that may use the network."""
_DEVICES: Final = tuple(Path("/dev", name) for name in ("null", "zero", "full", "random", "urandom"))
_FIELD: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_CAPABILITY_VERSION: Final = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3 of linux/capability.h."""
_DEEPEST: Final = 12
"""Levels of folders that are searched around a hidden file."""


@dataclass(frozen=True, slots=True)
class ProgramSandbox:
    """Rights of a program, beside the system itself, its own file, and the files that its arguments name."""

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    network: bool = False
    hidden: tuple[Path, ...] = ()
    """Paths of the daemon that no grant can open."""

    def readable(self, argv: Sequence[str], folder: Path) -> list[Path]:
        """Return all paths that the program `argv` may read and run in `folder`."""
        wanted = [*SYSTEM, *self.reads, *named(argv, folder), *(_NAMES if self.network else ())]
        return list(without(wanted, self.hidden))

    def writable(self, folder: Path) -> list[Path]:
        """Return all paths that the program may change.

        `folder` is among them unless it is the root: the owner has named it for the program.
        """
        own = () if folder == Path("/") else (folder,)
        return [*_DEVICES, *without((*self.writes, *own), self.hidden)]

    def families(self, *, unix: bool) -> list[int]:
        """Return the families of sockets that it may open.

        `unix`: Unix sockets are among them, which is safe only if it cannot reach other programs by them.
        """
        found = [socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK] if self.network else []
        return [int(family) for family in ([*found, socket.AF_UNIX] if unix else found)]


def missing() -> str | None:
    """Return why this process cannot put programs into a sandbox; None if it can."""
    if not landlock.version():
        return "Landlock is not switched on in this kernel"
    return None if seccomp.known() else "there is no filter of system calls for this processor"


def named(argv: Sequence[str], folder: Path) -> Iterator[Path]:
    """Yield the program's own file, its Python environment, and the files that its arguments name."""
    program = Path(argv[0])
    yield program
    resolved = program.resolve()
    for each in (program, resolved):
        if each.parent.name == "bin" and (each.parent.parent / "pyvenv.cfg").is_file():
            yield each.parent.parent
    if resolved.parent.name == "bin":
        yield from (resolved, resolved.parent.parent / "lib")
    for word in argv[1:]:
        for text in {word, word.rpartition("=")[2]}:
            fixed = _FIELD.split(text)[0]
            path = Path(folder, fixed if fixed == text or fixed.endswith("/") else str(Path(fixed).parent))
            if fixed and "/" in text and path != Path("/") and path.exists():
                yield path


def without(paths: Iterable[Path], hidden: Sequence[Path]) -> Iterator[Path]:
    """Yield `paths`, but no `hidden` ones.

    A folder that holds a hidden path is replaced by its other contents, without links.
    """
    secret = [path.resolve() for path in hidden]
    for path in paths:
        yield from _around(path.resolve(), secret, _DEEPEST)


def _around(path: Path, secret: Sequence[Path], deepest: int) -> Iterator[Path]:
    if any(path == one or one in path.parents for one in secret):
        return
    if not any(path in one.parents for one in secret):
        yield path
        return
    try:
        inside = [Path(entry.path) for entry in os.scandir(path) if not entry.is_symlink()]
    except OSError:
        return
    for child in inside if deepest else ():
        yield from _around(child, secret, deepest - 1)


def restrict(box: ProgramSandbox, argv: Sequence[str], folder: Path, *, unix: bool) -> None:
    """Restrict this thread, and everything that it starts, for good; raises OSError if the kernel refuses."""
    _drop_capabilities()
    if landlock.version():
        landlock.restrict(box.readable(argv, folder), box.writable(folder), network=box.network)
    seccomp.restrict(box.families(unix=unix))


def _drop_capabilities() -> None:
    """Give up root's rights, if this thread has them; its programs then cannot get them either."""
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    ctypes.CDLL(None).capset(header, bytes(24))  # fails only if there are no rights to give up


def started(box: ProgramSandbox | None, argv: Sequence[str], folder: Path, start: Callable[[], T]) -> T:
    """Call `start`, which starts the program `argv` in `folder`, within the sandbox, and return its result.

    Takes a few milliseconds.

    Raises:
        OSError: there is no sandbox here, or the program cannot be started.
    """
    if box is None:
        return start()
    if (why := missing()) is not None:
        raise OSError(0, why, why)
    outcome: list[T] = []
    trouble: list[BaseException] = []

    def work() -> None:
        try:
            restrict(box, argv, folder, unix=False)
            outcome.append(start())
        except BaseException as err:  # noqa: BLE001 - raised again in the caller
            trouble.append(err)

    thread = threading.Thread(target=work, name="sandbox")
    thread.start()
    thread.join()
    if trouble:
        raise trouble[0]
    return outcome[0]
