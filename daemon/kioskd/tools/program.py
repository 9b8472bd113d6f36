"""Starts a tool's program: as another user by kioskd-tool.socket, or else in the daemon's own sandbox."""

import json
import logging
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol, Self

from kioskd.tools import program_settings, sandbox
from kioskd.tools.program_settings import ProgramSettings
from kioskd.tools.sandbox import ProgramSandbox
from kioskd.tools.tool_kind import BuildContext

log = logging.getLogger(__name__)

SOCKET: Final = Path("/run/kioskd-tool.sock")
"""The socket of the unit kioskd-tool.socket."""
_HAND_OVER_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Program:
    """A program as the owner has set it, ready to start."""

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    """Its environment variables. `of` leaves out the ones that each program of its kind gets."""
    sandbox: ProgramSandbox | None = None
    """Files and network that it may reach; None: everything that the daemon may reach."""

    @classmethod
    def of(cls, tool: ProgramSettings, label: str, context: BuildContext) -> Self:
        """Return the program of `tool`, which the journal calls `label`.

        If its file is missing, it fails only at its start.
        """
        box = None
        if tool.sandbox:
            box = ProgramSandbox(tool.reads, tool.writes, tool.network, tuple(context.hidden))
            if (why := missing()) is not None:
                log.warning(
                    "tool does not run, its program cannot have a sandbox: name=%s cause=%s; "
                    "start the daemon by its unit, or set sandbox: false (the program can then read the key)",
                    *(label, why),
                )
        first, *words = tool.words
        argv = [program_settings.program(tool.words) or first, *words]
        return cls(argv, tool.folder, tool.passed(context.environ), box)


class RunningProgram(Protocol):
    """A started program, which leads a process group."""

    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    error: str
    """Why it could not be started, if that became known only later."""

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs, or if the code is unknown."""

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when the program has ended."""

    def poll(self) -> bool:
        """Return whether the program has ended."""

    def signal(self, number: signal.Signals) -> None:
        """Send SIGTERM or SIGKILL to its whole process group."""

    def close(self) -> None:
        """Release the descriptors."""


class _Local:
    """A child process of the daemon."""

    error = ""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        # asyncio's own subprocess would reap a child at once. Then its group's number could pass to another
        # process.
        self._pidfd = os.pidfd_open(process.pid)

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def fileno(self) -> int:
        return self._pidfd

    def poll(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except PermissionError:  # the program runs as another user, as after sudo
            log.warning("program cannot be stopped, it runs as another user: signal=%s", number.name)

    def close(self) -> None:
        os.close(self._pidfd)
        if not self.poll():
            log.warning("program cannot be killed, it hangs in the kernel: pid=%d", self._process.pid)


class _Remote:
    """A program that kioskd-tool@.service runs; see `spawner`."""

    def __init__(self, peer: socket.socket, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> None:
        self._peer, self.stdin, self.stdout = peer, stdin, stdout
        self.returncode: int | None = None
        self.error = ""
        self._ended = False

    def fileno(self) -> int:
        return self._peer.fileno()

    def poll(self) -> bool:
        if not self._ended:
            try:
                message = self._peer.recv(4096)
            except BlockingIOError:
                return False
            except OSError:
                message = b""
            self._ended = True
            if message:
                answer = json.loads(message)
                self.returncode, self.error = answer["code"], answer["error"]
            else:
                self.error = "its unit kioskd-tool@ has ended it"
        return True

    def signal(self, number: signal.Signals) -> None:
        try:
            self._peer.send(b"K" if number is signal.SIGKILL else b"T")
        except OSError:
            return  # it has ended

    def close(self) -> None:
        self._peer.close()


def missing() -> str | None:
    """Return why programs cannot have a sandbox here; None if they can."""
    if os.access(SOCKET, os.W_OK):
        return None
    if (why := sandbox.missing()) is not None:
        return f"{why}, and the unit kioskd-tool.socket does not run"
    return None


def start(program: Program, stdin: int, stdout: int) -> RunningProgram:
    """Start `program` (no shell). Takes a few milliseconds.

    `stdin` and `stdout` are descriptors, or subprocess.PIPE or DEVNULL.

    Raises:
        OSError: it cannot be started, or there is no sandbox here.
    """
    argv, folder, environment, box = program.argv, program.folder, dict(program.environment), program.sandbox
    if box is not None and os.access(SOCKET, os.W_OK):
        request = {"argv": list(argv), "folder": str(folder), "environment": environment}
        request |= {"reads": list(map(str, box.reads)), "writes": list(map(str, box.writes))}
        return _remote(json.dumps(request | {"network": box.network}).encode(), stdin, stdout)

    def popen() -> subprocess.Popen[bytes]:
        # The owner's own program, as a list; the caller checks the values.
        return subprocess.Popen(  # noqa: S603
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )

    return _Local(popen() if box is None else sandbox.started(box, argv, folder, popen))


def _remote(request: bytes, stdin: int, stdout: int) -> _Remote:
    ours: list[int | None] = [None, None]
    theirs: list[int] = []
    peer = socket.socket(socket.AF_UNIX)
    try:
        for number, (wanted, flags) in enumerate(((stdin, os.O_RDONLY), (stdout, os.O_WRONLY))):
            if wanted == subprocess.PIPE:
                reading, writing = os.pipe()
                ours[number], given = (writing, reading) if number == 0 else (reading, writing)
            else:
                given = os.open(os.devnull, flags) if wanted == subprocess.DEVNULL else os.dup(wanted)
            theirs.append(given)
        peer.settimeout(_HAND_OVER_S)
        peer.connect(str(SOCKET))
        socket.send_fds(peer, [len(request).to_bytes(4, "big")], theirs)
        peer.sendall(request)
        peer.setblocking(False)
    except OSError:
        peer.close()
        for each in ours:
            if each is not None:
                os.close(each)
        raise
    finally:
        for each in theirs:
            os.close(each)
    into, out = ours
    return _Remote(
        peer,
        None if into is None else os.fdopen(into, "wb", 0),
        None if out is None else os.fdopen(out, "rb", 0),
    )
