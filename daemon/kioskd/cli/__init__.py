"""The command `kioskd`: argv in, exit code out. Each command has a module, which is imported only for that command.

A command's module has `add_arguments(parser)` and `run(arguments) -> int`. It raises KioskError for a fault that a person
can mend, and does not print it. A module of several commands gets the name of the command as `command`, a default of its
parser.
"""

import argparse
import gc
import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

from kioskd import __version__, journal_ids
from kioskd.cli import output, terminal
from kioskd.errors import ConfigError, KioskError

__all__ = ["COMMANDS", "Exit", "add_config", "main"]

log = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit codes for the shell and systemd (the higher numbers are those of sysexits.h)."""

    OK = 0
    NOT_MET = 1
    UNAVAILABLE = 69
    BUG = 70
    REFUSED = 77
    CONFIGURATION = 78
    INTERRUPTED = 130
    """128 + SIGINT, as shells have it."""
    PIPE_CLOSED = 141
    """128 + SIGPIPE: the reader of our output has left."""


COMMANDS: Final = {
    "run": "the daemon, in the foreground, as systemd starts it",
    "check": "read the configuration as run would, and name every fault in it",
    "schema": "print the JSON Schema of the configuration, for editors",
    "rehearse": "the whole daemon against a simulator of the service, on this machine",
    "simulate": "the simulator of the Live service alone, for any client of the API",
    "tools": "list what the model may have done, or call one of it as the model would",
    "privacy": "what leaves this device, to whom and when, and what is kept",
    "devices": "list microphones, speakers, cameras, buttons and lamps by the names that the configuration takes",
    "doctor": "prove that each part works on this device, with a remedy for each that does not",
    "key": "ask for the service key, try it, and store it as an encrypted credential",
    "status": "how the running daemon is, in words",
    "watch": "the running daemon, live: state, levels, link, last events",
    "reload": "have the running daemon take over its settings, or name every fault in them",
    "wake": "begin a conversation, as the button does",
    "sleep": "end the conversation",
    "mute": "close the microphone",
    "unmute": "open the microphone again",
    "hush": "silence the reply, and listen",
    "volume": "set how loudly the kiosk speaks",
    "ask": "type a question to the model; it answers aloud",
    "show": "show the model a picture from a file",
    "look": "show the model what the camera sees now",
    "log": "set how much the running daemon logs, until its next start",
    "help": "the manual, chapter by chapter",
}
"""Each command, and its line in the help."""

_SHARED: Final = dict.fromkeys(
    ("wake", "sleep", "mute", "unmute", "hush", "volume", "ask", "show", "look", "log"), "control"
)
"""Commands that have a module together; every other has one of its own name."""


def add_config(parser: argparse.ArgumentParser, default: str = "/etc/kioskd/kioskd.yaml") -> None:
    """Give a command the option --config; `default` is what the help says of it."""
    text = f"the configuration; else $KIOSKD_CONFIG, else {default}"
    parser.add_argument("--config", type=Path, metavar="FILE", help=text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` is without the program's name; None: the process's own.

    Raises:
        SystemExit: argparse's own, for --help, --version (0) and wrong usage (2).
    """
    output.open_missing()
    if argv is None:
        terminal.use_utf8()
    terminal.fit_output()
    arguments = terminal.words(sys.argv[1:]) if argv is None else list(argv)
    try:
        return _ended(arguments)
    finally:
        output.give_up_unwritten()


def _ended(arguments: Sequence[str]) -> int:
    """As `_printed`, and turn an error into an exit code."""
    try:
        return _printed(arguments)
    except ConfigError as err:
        output.tell(str(err))
        return Exit.CONFIGURATION
    except KioskError as err:
        output.tell(f"kioskd: {err}")
        return Exit.UNAVAILABLE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        output.drop_unwritten(sys.stdout)
        return Exit.PIPE_CLOSED
    except Exception:
        # systemd tells a bug from all else by the exit code, so it needs one of its own.
        log.exception("bug, ending: please report the lines below", extra={"message_id": journal_ids.BUG})
        return Exit.BUG


def _printed(arguments: Sequence[str]) -> int:
    """As `_run`, and write all that it printed."""
    try:
        try:
            code = _run(arguments)
        except SystemExit:  # of argparse, which has printed the help
            sys.stdout.flush()
            raise
        # Buffered output would fail at exit, where the error cannot be caught.
        sys.stdout.flush()
    except OSError as err:
        # The daemon prints nothing: there the error has another cause.
        daemon = arguments[:1] == ["run"]
        if daemon or isinstance(err, BrokenPipeError) or (why := output.reason(err)) is None:
            raise
        output.drop_unwritten(sys.stdout)
        raise KioskError(why) from err
    return code


def _run(arguments: Sequence[str]) -> int:
    # No option of the program itself takes a value, so the first word is the command.
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parser = output.Parser(
        prog="kioskd",
        description="A kiosk or smart speaker that talks through the Gemini Live API.",
        epilog="kioskd COMMAND --help says what a command takes.",
    )
    parser.add_argument("--version", action="version", version=f"kioskd {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name == chosen:
            # Imported objects live for ever: to look for garbage among them takes a tenth of the import's time.
            gc.disable()
            module = importlib.import_module(f"{__name__}.{_SHARED.get(name, name)}")
            gc.enable()
            command.set_defaults(command=name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    return run(parsed)
