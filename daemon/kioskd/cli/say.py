"""`kioskd say`: the running daemon speaks exactly these words, and the model does not hear them."""

import argparse
import re
from pathlib import Path
from typing import Any, Final

from kioskd.cli import client
from kioskd.errors import KioskError

ACCEPTED_S: Final = 60.0
"""Seconds for the daemon to make the sound. A voice program takes several on a small machine."""

SPOKEN_S: Final = 1080.0
"""Seconds to the end of an announcement: it waits for 15 minutes at most, and takes a minute."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    text = "the words to speak, exactly so; with --file, the words of the recording for those who read them"
    parser.add_argument("text", nargs="*", metavar="TEXT", help=text)
    parser.add_argument("--file", type=Path, metavar="WAV", help="play this recording of at most 60 s")
    parser.add_argument("--language", metavar="L", help="language of TEXT, for example en-GB")
    parser.add_argument(
        "--at",
        type=_clock_time,
        metavar="HH:MM",
        help="speak at this local time, within 24 hours; a restart of the daemon forgets it",
    )
    parser.add_argument(
        "--now", action="store_true", help="wait for no pause, lower a reply, and speak in quiet hours, too"
    )
    client.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Have the words spoken, and wait for their end; return 1 if the daemon refuses. Raises NotRunning."""
    request: dict[str, object] = {"do": "say", "text": " ".join(arguments.text)}
    if not request["text"] and arguments.file is None:
        return client.report(arguments, {"ok": False, "why": "write the words to speak, or name --file"}, "")
    request |= {
        name: value
        for name in ("language", "at", "now")
        if (value := getattr(arguments, name)) not in (None, False)
    }
    recording = b""
    if arguments.file is not None:
        try:
            recording = client.file_content(arguments.file, "a recording", "cut it")
        except KioskError as error:
            return client.report(arguments, {"ok": False, "why": str(error)}, "")
    answer = client.ask(arguments, request, recording, ACCEPTED_S)
    if answer["ok"] and "number" in answer:
        answer = client.ask(arguments, {"do": "said", "number": answer["number"]}, deadline_s=SPOKEN_S)
    return client.report(arguments, answer, _words(answer))


def _words(answer: dict[str, Any]) -> str:
    if "at" in answer:
        return f"to be spoken at {answer['at']}, unless the daemon is restarted before"
    return "spoken"


def _clock_time(text: str) -> str:
    if re.fullmatch("(?:[01][0-9]|2[0-3]):[0-5][0-9]", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: write a local time as HH:MM, for example 17:45")
