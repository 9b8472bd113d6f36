"""The command `kioskd`: argv in, exit code out. One module a command, imported only when it is the one asked for.

A command's module has `add_arguments(parser)` and `run(arguments) -> int`. It raises KioskError for what a person can
mend, and prints nothing of it itself.
"""

import argparse
import gc
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

from kioskd import __version__
from kioskd.errors import ConfigError, KioskError

__all__ = ["COMMANDS", "Exit", "add_config", "main"]

log = logging.getLogger(__name__)


class Exit(IntEnum):
    """What the shell and systemd are told (the higher numbers are sysexits.h's)."""

    OK = 0
    NOT_MET = 1
    UNAVAILABLE = 69
    BUG = 70
    CONFIGURATION = 78
    INTERRUPTED = 130
    """128 + SIGINT, as shells have it."""
    PIPE_CLOSED = 141
    """128 + SIGPIPE: the reader of our output has left."""


COMMANDS: Final = {
    "run": "the daemon, in the foreground, as systemd starts it",
    "check": "read the configuration as run would, and name every fault in it",
    "schema": "print the JSON Schema of the configuration, for editors",
    "rehearse": "the whole daemon against a stand-in of the service, on this machine",
    "devices": "list microphones, speakers and GPIO chips by the names that the configuration takes",
}
"""Each command, in a module of its name, and its line in the help."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Give a command the option --config."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration; else $KIOSKD_CONFIG, else /etc/kioskd/kioskd.yaml",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` is without the program's name; None: the process's own.

    Raises:
        SystemExit: argparse's own, for --help, --version (0) and wrong usage (2).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        # Output that waits in the buffer would fail at exit, where nobody can catch it.
        sys.stdout.flush()
    except ConfigError as err:
        print(err, file=sys.stderr)
        return Exit.CONFIGURATION
    except KioskError as err:
        print(f"kioskd: {err}", file=sys.stderr)
        return Exit.UNAVAILABLE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE_CLOSED
    except Exception:
        # The edge of the process: systemd tells a bug from all else by the exit code, so it needs one of its own.
        log.exception("bug, ending: please report the lines below")
        return Exit.BUG
    return code


def _run(arguments: Sequence[str]) -> int:
    # No option of the program itself takes a value, so the first word is the command.
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="kioskd", description="A kiosk or smart speaker that talks through the Gemini Live API."
    )
    parser.add_argument("--version", action="version", version=f"kioskd {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name == chosen:
            # What an import makes lives for ever: looking for garbage among it is a tenth of its time.
            gc.disable()
            module = importlib.import_module(f"{__name__}.{name}")
            gc.enable()
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    return run(parsed)
