"""Starts one program for the daemon as another user. kioskd-tool@.service runs it for each connection.

    the daemon ──► kioskd-tool.socket ──► this, as the user kioskd-tool ──► the program, in its sandbox

The daemon's key, state and memory belong to another user, so they are safe even without Landlock. The program
lives as long as the connection: when the connection closes, the program is ended. The way in which the
program ended is sent over the connection.
"""

import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from kioskd.tools import sandbox

LARGEST_REQUEST: Final = 1 << 20
"""Bytes of a request: arguments and environment variables."""
GRACE_S: Final = 0.5
"""Seconds from SIGTERM to SIGKILL."""
_LISTENED: Final = 3
"""The descriptor that systemd passes (sd_listen_fds(3))."""


def main() -> int:
    """Serve the connection that systemd has passed.

    The command's arguments are the program's own folders; its home comes first.
    """
    with socket.socket(fileno=_LISTENED) as daemon:
        request, descriptors = _received(daemon)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _become(request, descriptors, writer)
        os.close(writer)
        for descriptor in descriptors:
            os.close(descriptor)
        with os.fdopen(reader, "rb") as pipe:
            trouble = pipe.read().decode()
        code = _watched(daemon, child)
        answer = {"code": None, "error": trouble} if trouble else {"code": code, "error": ""}
        daemon.sendall(json.dumps(answer).encode())
    return 0


def _received(daemon: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, descriptors, _flags, _address = socket.recv_fds(daemon, 4, 2)
    size = int.from_bytes(head, "big")
    if len(head) != 4 or size > LARGEST_REQUEST or len(descriptors) != 2:
        sys.exit("kioskd-tool: the request is not valid")
    text = b""
    while len(text) < size and (more := daemon.recv(size - len(text))):
        text += more
    return json.loads(text), descriptors


def _become(request: dict[str, Any], descriptors: list[int], writer: int) -> None:
    """Become the program. Never returns: an error is written to `writer`."""
    try:
        os.setsid()
        os.dup2(descriptors[0], 0)
        os.dup2(descriptors[1], 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        argv, folder = request["argv"], Path(request["folder"])
        os.chdir(folder)
        reads, writes = (tuple(map(Path, request[name])) for name in ("reads", "writes"))
        own = [Path(folder) for folder in sys.argv[1:]]
        box = sandbox.ProgramSandbox(reads, (*writes, *own), request["network"])
        environment = request["environment"]
        if "HOME" in environment:  # the daemon's home, which it may not read
            environment |= {"HOME": str(own[0]) if own else "/"}
        sandbox.restrict(box, argv, folder, unix=True)
        os.set_inheritable(writer, False)
        os.closerange(3, writer)
        os.closerange(writer + 1, 1 << 10)
        os.execve(argv[0], argv, environment)  # noqa: S606 - the owner's own program, as a list
    except OSError as err:
        os.write(writer, (err.strerror or type(err).__name__).encode())
    finally:
        os._exit(127)


def _watched(daemon: socket.socket, child: int) -> int:
    """Wait for the program's end, and return its exit code.

    It ends the program when the daemon asks for it or goes away.
    """
    pidfd = os.pidfd_open(child)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(daemon, select.POLLIN)
    wait_ms: float | None = None
    while True:
        ready = [descriptor for descriptor, _ in poll.poll(wait_ms)]
        if pidfd in ready:
            break
        asked = daemon.recv(1) if daemon.fileno() in ready else b""
        if not asked and daemon.fileno() in ready:
            poll.unregister(daemon)  # the daemon has gone away
        _signal(child, signal.SIGKILL if asked == b"K" or wait_ms is not None else signal.SIGTERM)
        wait_ms = GRACE_S * 1000
    status = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    _signal(child, signal.SIGKILL)  # the rest of its group; the service manager ends others
    os.waitpid(child, 0)
    assert status is not None
    return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
