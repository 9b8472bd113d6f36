"""Client of the running daemon's control socket; adapters/remote/control_wire describes the protocol."""

import argparse
import contextlib
import json
import os
import pwd
import socket
import struct
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final

from kioskd import regular_file, sanitize
from kioskd.adapters.remote.control_wire import ANSWER_BYTES, PICTURE_BYTES, VARIABLE, client_sockets
from kioskd.cli import Exit
from kioskd.cli.output import say, say_json
from kioskd.errors import KioskError

USER: Final = "kioskd"
"""The user of the service."""

DEADLINE_S: Final = 15.0
"""Seconds to wait for an answer; a large picture on a small machine takes one."""

Request = Mapping[str, object]


class NotRunning(KioskError):
    """No daemon is running, or it does not answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a command that only sends a request to the daemon."""
    add_socket(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of words")


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Declare the option that `ask` and `talk` read."""
    text = f"control socket (default: ${VARIABLE}, else /run/kioskd/control, else your own daemon's)"
    parser.add_argument("--socket", type=Path, metavar="PATH", help=text)


def ask(
    arguments: argparse.Namespace, request: Request, attachment: bytes = b"", deadline_s: float = DEADLINE_S
) -> dict[str, Any]:
    """Send one request, and return the answer. Raises NotRunning if none comes within `deadline_s`."""
    with contextlib.closing(talk(arguments, request, attachment, deadline_s)) as answers:
        return next(answers)


def talk(
    arguments: argparse.Namespace, request: Request, attachment: bytes = b"", deadline_s: float = DEADLINE_S
) -> Generator[dict[str, Any], None, None]:
    """Send one request, and yield the answers. Raises NotRunning if one does not come within `deadline_s`."""
    with _connected(arguments, deadline_s) as daemon, daemon.makefile("rb") as incoming:
        if "key" in request and not _is_ours(daemon):
            raise NotRunning(
                "the service key was not sent: another user's process, and not the daemon, has its socket; "
                "run sudo systemctl restart kioskd, and try again"
            )
        size = {"bytes": len(attachment)} if attachment else {}
        try:
            # A daemon that refuses a request answers before it has read all of it.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                daemon.sendall(json.dumps({**request, **size}).encode() + b"\n" + attachment)
            answered = False
            while line := incoming.readline(ANSWER_BYTES):
                answered = True
                yield json.loads(line)
        except TimeoutError:
            said = f"the daemon does not answer within {deadline_s:.0f} s"
            raise NotRunning(f"{said}; see its journal (journalctl -u kioskd)") from None
        except (OSError, ValueError) as error:
            said = f"the daemon's answer is incomplete ({error}); see its journal (journalctl -u kioskd)"
            raise NotRunning(said) from error
        if not answered:
            raise NotRunning("the daemon gave no answer; see its journal (journalctl -u kioskd)")
    raise NotRunning("the daemon has stopped")


def report(arguments: argparse.Namespace, answer: Mapping[str, Any], words: str) -> int:
    """Print an answer, in `words` or as JSON, and return the exit code; a refusal goes to standard error."""
    if arguments.json:
        say_json(answer)
    elif answer["ok"]:
        say(words)
    else:
        print(f"kioskd: not done: {legible(str(answer['why']))}", file=sys.stderr)
    return Exit.OK if answer["ok"] else Exit.NOT_MET


def file_content(path: Path, wanted: str, smaller: str) -> bytes:
    """Return the content of a file that goes to the daemon. `smaller` says what helps if it is too large.

    Raises:
        KioskError: it cannot be read, is empty, or is too large.
    """
    try:
        content = regular_file.content(path, PICTURE_BYTES + 1)
    except OSError as error:
        raise KioskError(f"{path}: {error.strerror}; name {wanted} that you can read") from error
    if not content:
        raise KioskError(f"{path}: the file is empty; name {wanted}")
    if len(content) > PICTURE_BYTES:
        raise KioskError(f"{path}: larger than {PICTURE_BYTES // 1_000_000} MB; {smaller}")
    return content


def legible(text: str) -> str:
    """Return `text` without characters that control a terminal: some texts come from the service."""
    return sanitize.replaced(text)


def _is_ours(daemon: socket.socket) -> bool:
    """Return whether the process at the other end belongs to root, this user or the service's user."""
    peer = daemon.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", peer)
    if uid in (0, os.geteuid()):
        return True
    try:
        return pwd.getpwuid(uid).pw_name == USER
    except KeyError:
        return False


def _connected(arguments: argparse.Namespace, deadline_s: float) -> socket.socket:
    named: Path | None = arguments.socket
    places = [named] if named is not None else client_sockets(os.environ)
    for place in places:
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        daemon.settimeout(deadline_s)
        try:
            daemon.connect(str(place))
        except PermissionError:
            daemon.close()
            raise NotRunning(
                f"{place}: you are not allowed to use this daemon; use sudo, or join its group "
                "(sudo usermod -aG kioskd YOU, then log in again)"
            ) from None
        except OSError:
            daemon.close()
        else:
            return daemon
    raise NotRunning(
        f"no daemon answers at {' or '.join(map(str, places))}; start it (sudo systemctl start kioskd), "
        "or name its socket with --socket"
    )
