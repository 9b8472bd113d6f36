"""Talking to the running daemon over its control socket; see adapters/control_wire for what is said."""

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

from kioskd import sanitize
from kioskd.adapters.remote.control_wire import ANSWER_BYTES, VARIABLE, client_sockets
from kioskd.cli import Exit
from kioskd.cli.output import say, say_json
from kioskd.errors import KioskError

USER: Final = "kioskd"
"""Whom the service runs as."""

PATIENCE_S: Final = 15.0
"""How long an answer is waited for; a large picture on a small machine takes a second."""


class NotRunning(KioskError):
    """There is no daemon to talk to, or it does not answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a command has that is all talk with the daemon."""
    add_socket(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of words")


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Declare what `ask` and `talk` look at."""
    parser.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help=f"the daemon's control socket; else ${VARIABLE}, else /run/kioskd/control, else your own daemon's",
    )


def ask(
    arguments: argparse.Namespace,
    request: Mapping[str, object],
    attachment: bytes = b"",
    patience_s: float = PATIENCE_S,
) -> dict[str, Any]:
    """Send one request, and return the answer, which is waited for as long as `patience_s`.

    Raises:
        NotRunning: nobody answers.
    """
    with contextlib.closing(talk(arguments, request, attachment, patience_s)) as answers:
        return next(answers)


def talk(
    arguments: argparse.Namespace,
    request: Mapping[str, object],
    attachment: bytes = b"",
    patience_s: float = PATIENCE_S,
) -> Generator[dict[str, Any], None, None]:
    """Send one request, and yield one answer after the other, for as long as the daemon gives them.

    Raises:
        NotRunning: nobody answers.
    """
    with _connected(arguments, patience_s) as daemon, daemon.makefile("rb") as incoming:
        if "key" in request and not _is_ours(daemon):
            raise NotRunning("a process of another user answers at its socket, and gets no key")
        size = {"bytes": len(attachment)} if attachment else {}
        try:
            # A daemon that refuses answers before it has read everything.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                daemon.sendall(json.dumps({**request, **size}).encode() + b"\n" + attachment)
            answered = False
            while line := incoming.readline(ANSWER_BYTES):
                answered = True
                yield json.loads(line)
        except TimeoutError:
            raise NotRunning(
                f"the daemon does not answer within {patience_s:.0f} s; see its journal (journalctl -u kioskd)"
            ) from None
        except (OSError, ValueError) as error:
            raise NotRunning(f"the daemon broke off in mid-answer ({error}); see its journal") from error
        if not answered:
            raise NotRunning("the daemon hung up without an answer; see its journal (journalctl -u kioskd)")
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


def legible(text: str) -> str:
    """Return `text` without what could drive a terminal: some of it are a service's words."""
    return sanitize.replaced(text)


def _is_ours(daemon: socket.socket) -> bool:
    """Return whether root, this user or the service's own user has the other end."""
    told = daemon.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", told)
    if uid in (0, os.geteuid()):
        return True
    try:
        return pwd.getpwuid(uid).pw_name == USER
    except KeyError:
        return False


def _connected(arguments: argparse.Namespace, patience_s: float) -> socket.socket:
    named: Path | None = arguments.socket
    places = [named] if named is not None else client_sockets(os.environ)
    for place in places:
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        daemon.settimeout(patience_s)
        try:
            daemon.connect(str(place))
        except PermissionError:
            daemon.close()
            raise NotRunning(
                f"{place}: you may not talk to this daemon; use sudo, or join its group "
                "(sudo usermod -aG kioskd YOU, then log in anew)"
            ) from None
        except OSError:
            daemon.close()
        else:
            return daemon
    raise NotRunning(
        f"no daemon answers at {' or '.join(map(str, places))}; start it (sudo systemctl start kioskd), "
        "or name its socket by --socket"
    )
