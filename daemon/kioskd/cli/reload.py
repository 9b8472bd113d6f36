"""`kioskd reload`: makes the running daemon reload its settings, and prints the result."""

import argparse
import json
import sys
from typing import Final

from kioskd.cli import Exit, client

DEADLINE_S: Final = 45.0
"""Seconds to wait: a little longer than the daemon needs, and shorter than systemd waits for a reload."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    client.add_arguments(parser)
    parser.epilog = "With a fault in the file the old settings stay. systemctl reload kioskd does the same."


def run(arguments: argparse.Namespace) -> int:
    """Ask the daemon, and return 0 for reloaded, 78 for faults in the file, 69 for no result.

    Raises NotRunning.
    """
    answer = client.ask(arguments, {"do": "reload"}, deadline_s=DEADLINE_S)
    if not answer["ok"]:
        client.report(arguments, answer, "")
        return Exit.UNAVAILABLE
    faults = [client.legible(fault) for fault in answer["faults"]]
    if arguments.json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    elif faults:
        print(*faults, "kioskd: settings not reloaded; the old ones stay in use", sep="\n", file=sys.stderr)
    else:
        later = f"; these need a restart: {', '.join(answer['later'])}" if answer["later"] else ""
        print(f"settings reloaded{later}")
    return Exit.CONFIGURATION if faults else Exit.OK
