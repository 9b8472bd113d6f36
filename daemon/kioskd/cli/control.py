"""`kioskd wake`, `sleep`, `mute`, `unmute`, `hush`, `volume`, `ask`, `show`, `look`, `log`: one request each."""

import argparse
import contextlib
import threading
from pathlib import Path
from typing import Any, Final

from kioskd import logs, regular_file
from kioskd.adapters.remote.control_wire import PICTURE_BYTES
from kioskd.cli import client
from kioskd.errors import KioskError

QUIET_S: Final = 0.1
QUIETS: Final = 15
"""The pause and the number of questions to a daemon whether the room has become quiet: that takes 0.3 s."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command that this parser is for."""
    match parser.get_default("command"):
        case "volume":
            text = "0 to 100; kept within the owner's floor and ceiling"
            parser.add_argument("percent", type=_percent, metavar="N", help=text)
        case "ask":
            parser.add_argument("text", nargs="+", metavar="TEXT", help="the question")
        case "show":
            parser.add_argument("picture", type=Path, metavar="PICTURE", help="JPEG, PNG or WebP")
        case "log":
            parser.add_argument("level", choices=list(logs.LEVELS), help="what is logged from there up")
    client.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask the daemon; return 1 if it refuses. Raises NotRunning."""
    request: dict[str, object] = {"do": arguments.command}
    attachment = b""
    match arguments.command:
        case "volume":
            request["percent"] = arguments.percent
        case "ask":
            request["text"] = " ".join(arguments.text)
        case "show":
            try:
                attachment = _content(arguments.picture)
            except KioskError as error:
                return client.report(arguments, {"ok": False, "why": str(error)}, "")
        case "log":
            request["level"] = arguments.level
    answer = client.ask(arguments, request, attachment)
    if arguments.command == "hush" and answer["ok"]:
        answer |= _state_after_hush(arguments, answer)
    return client.report(arguments, answer, _words(arguments, answer))


def _state_after_hush(arguments: argparse.Namespace, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the state after a reply was silenced: for a moment the kiosk is still shown as speaking."""
    state = answer
    for _ in range(QUIETS):
        if state.get("state") != "speaking":
            break
        threading.Event().wait(QUIET_S)
        state = client.ask(arguments, {"do": "status"})
    return {name: state[name] for name in ("state", "words") if name in state}


def _words(arguments: argparse.Namespace, answer: dict[str, Any]) -> str:
    match arguments.command, answer:
        case "volume", {"volume": volume}:
            bound = "" if volume == arguments.percent else ", as far as the owner lets anybody"
            return f"volume {volume} %{bound}"
        case "show", {"jpeg_bytes": size, "words": words}:
            return f"shown, as {size / 1000:.0f} kB: {words}"
        case "log", _:
            return f"logging from {arguments.level} up, until the next start"
        case _, {"words": words}:
            return str(words)
    return ""


def _percent(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 <= (percent := int(text)) <= 100:
            return percent
    raise argparse.ArgumentTypeError(f"{text!r} is no percentage; use 0 to 100")


def _content(path: Path) -> bytes:
    try:
        content = regular_file.content(path, PICTURE_BYTES + 1)
    except OSError as error:
        raise KioskError(f"{path}: {error.strerror}; name a picture that you can read") from error
    if not content:
        raise KioskError(f"{path}: empty; name a picture")
    if len(content) > PICTURE_BYTES:
        raise KioskError(f"{path}: more than {PICTURE_BYTES // 1_000_000} MB; scale it down")
    return content
