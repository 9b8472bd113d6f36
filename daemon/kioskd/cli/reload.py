"""`kioskd reload`: make the running daemon reload its settings, and print the result."""

import argparse
import json
import sys
from typing import Final

from kioskd.cli import Exit, client

DEADLINE_S: Final = 45.0
"""A little longer than the daemon takes at most, and shorter than systemd waits for a reload."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    client.add_arguments(parser)
    parser.epilog = (
        "systemctl reload kioskd does the same. A file with a fault is refused, and the old settings hold."
    )


def run(arguments: argparse.Namespace) -> int:
    """Ask the daemon, and return 0 for reloaded, 78 for faults in the file, 69 for no result. Raises NotRunning."""
    answer = client.ask(arguments, {"do": "reload"}, deadline_s=DEADLINE_S)
    if not answer["ok"]:
        client.report(arguments, answer, "")
        return Exit.UNAVAILABLE
    faults = [client.legible(fault) for fault in answer["faults"]]
    if arguments.json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    elif faults:
        print(*faults, "kioskd: settings not reloaded, the old ones hold", sep="\n", file=sys.stderr)
    else:
        later = f"; after a restart only: {', '.join(answer['later'])}" if answer["later"] else ""
        print(f"settings reloaded{later}")
    return Exit.CONFIGURATION if faults else Exit.OK
