"""`kioskd captions`: prints the words of both sides, live."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from kioskd.cli import Exit, client
from kioskd.cli.output import say_json
from kioskd.cli.watch import drawable

CUT: Final = "…"
"""Stands at the end of a reply that was silenced."""

_ERASE: Final = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    client.add_arguments(parser)
    parser.epilog = (
        "Ctrl-C leaves. With --json it prints a JSON object for each change of a line. Otherwise it prints "
        "each line when it is final; on a terminal, it also shows the line that is growing."
    )


def run(arguments: argparse.Namespace) -> int:
    """Print captions until interrupted. Raises KioskError if no daemon runs, or it has stopped."""
    with closing(client.talk(arguments, {"do": "captions"})) as answers:
        try:
            for message in answers:
                if not message["ok"]:
                    return client.report(arguments, message, "")
                if arguments.json:
                    for line in message["lines"]:
                        say_json(line, indent=None)
                else:
                    _print(message)
        except KeyboardInterrupt:
            pass
    return Exit.OK


def _print(message: Mapping[str, Any]) -> None:
    live = drawable(sys.stdout, os.environ)
    growing = ""
    for line in message["lines"]:
        if line["final"]:
            print((_ERASE if live else "") + words(line), flush=True)
            growing = ""
        else:
            growing = words(line)
    if live and message["lines"]:
        width = shutil.get_terminal_size().columns - 1
        print(_ERASE + growing[-width:], end="", flush=True)


def words(line: Mapping[str, Any]) -> str:
    """Return a line for people."""
    language = f" ({line['language']})" if line["language"] else ""
    return client.legible(f"{line['who']}{language}: {line['text']}") + (CUT if line["cut"] else "")
