"""`kioskd wake`, `sleep`, `mute`, `unmute`, `hush`, `volume`, `ask`, `show`, `look` and `log`.

Each sends one request to the running daemon.
"""

import argparse
import contextlib
import threading
from pathlib import Path
from typing import Any, Final

from kioskd import logs
from kioskd.cli import client
from kioskd.errors import KioskError

QUIET_S: Final = 0.1
"""Seconds between two questions to the daemon whether the reply has stopped."""
QUIETS: Final = 15
"""The most of these questions; a reply takes 0.3 s to stop."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command that this parser is for."""
    match parser.get_default("command"):
        case "wake":
            text = "choose the subject of this name, as a reader's line does"
            parser.add_argument("--about", metavar="KEY", help=text)
            text = "the visitor's profile, a name in assistant.profiles; default: none"
            parser.add_argument("--profile", metavar="NAME", help=text)
        case "volume":
            text = "0 to 100, within speaker.volume_floor and volume_ceiling"
            parser.add_argument("percent", type=_percent, metavar="N", help=text)
        case "ask":
            parser.add_argument("text", nargs="+", metavar="TEXT", help="the question")
        case "show":
            parser.add_argument("picture", type=Path, metavar="PICTURE", help="JPEG, PNG or WebP")
        case "log":
            parser.add_argument("level", choices=list(logs.LEVELS), help="the lowest level that is logged")
    client.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask the daemon; return 1 if it refuses. Raises NotRunning."""
    request: dict[str, object] = {"do": arguments.command}
    attachment = b""
    match arguments.command:
        case "wake":
            chosen = {"about": arguments.about, "profile": arguments.profile}
            request |= {name: value for name, value in chosen.items() if value is not None}
        case "volume":
            request["percent"] = arguments.percent
        case "ask":
            request["text"] = " ".join(arguments.text)
        case "show":
            try:
                attachment = client.file_content(arguments.picture, "a picture", "scale the picture down")
            except KioskError as error:
                return client.report(arguments, {"ok": False, "why": str(error)}, "")
        case "log":
            request["level"] = arguments.level
    answer = client.ask(arguments, request, attachment)
    if arguments.command == "hush" and answer["ok"]:
        answer |= _state_after_hush(arguments, answer)
    return client.report(arguments, answer, _words(arguments, answer))


def _state_after_hush(arguments: argparse.Namespace, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the state after the reply has stopped; for a moment the daemon still reports that it speaks."""
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
            bounds = "speaker.volume_floor and volume_ceiling allow no other"
            return f"volume {volume} %{'' if volume == arguments.percent else f': {bounds}'}"
        case "show", {"jpeg_bytes": size, "words": words}:
            return f"picture sent to the model ({size / 1000:.0f} kB): {words}"
        case "log", _:
            return f"log level {arguments.level}, until the next start of the daemon"
        case _, {"words": words}:
            return str(words)
    return ""


def _percent(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 <= (percent := int(text)) <= 100:
            return percent
    raise argparse.ArgumentTypeError(f"{text!r}: write a whole number from 0 to 100, without %")
