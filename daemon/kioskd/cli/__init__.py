"""The command `kioskd`: argv in, exit code out. Each command has a module, which is imported only for that
command.

A command's module has `add_arguments(parser)` and `run(arguments) -> int`. It raises KioskError for a fault
that a person can mend, and does not print it. A module of several commands finds the command's name in the
parser's default `command`.
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
    """128 + SIGINT, as in shells."""
    PIPE_CLOSED = 141
    """128 + SIGPIPE: the program that reads the output has ended."""


COMMANDS: Final = {
    "run": "run the daemon in the foreground, as systemd does",
    "check": "check the configuration without starting the daemon, and name every fault in it",
    "schema": "print the JSON Schema of the configuration, for editors",
    "rehearse": "run the whole daemon against a simulator of the service, and report how it went",
    "simulate": "run the simulator of the Live service alone, for any client of the API",
    "tools": "list the tools that the model may call, or call one as the model would",
    "privacy": "list the data that leave this device, their receivers, and the data that it stores",
    "devices": "list sound devices, cameras, buttons and lamps by the names that the configuration takes",
    "doctor": "prove that each part works on this device, and name a remedy for each fault",
    "key": "ask for the service key, try it, and store it as an encrypted credential",
    "status": "show the state of the running daemon",
    "watch": "show the running daemon live: state, levels, link, last events",
    "captions": "print what the visitor and the kiosk say, live, in step with the sound",
    "reload": "make the running daemon read its configuration again, or name every fault in it",
    "wake": "begin a conversation, as the button does",
    "sleep": "end the conversation",
    "mute": "close the microphone",
    "unmute": "open the microphone again",
    "hush": "stop the reply, and listen",
    "volume": "set the volume of the speaker",
    "ask": "send a typed question to the model, which answers aloud",
    "show": "show the model a picture from a file",
    "look": "show the model a picture of the camera, taken now",
    "say": "speak exactly these words, which the model does not hear",
    "log": "set the log level of the running daemon, until its next start",
    "tokens": "mint tokens for the devices of a fleet, so that none of them holds the service key",
    "help": "show the manual, chapter by chapter",
}
"""Each command, with its line in the help."""

_SHARED: Final = dict.fromkeys(
    ("wake", "sleep", "mute", "unmute", "hush", "volume", "ask", "show", "look", "log"), "control"
)
"""Commands that share a module; every other command has a module of its own name."""


def add_config(parser: argparse.ArgumentParser, default: str = "/etc/kioskd/kioskd.yaml") -> None:
    """Give a command the option --config; `default` names its last default in the help."""
    text = f"configuration file (default: $KIOSKD_CONFIG, else {default})"
    parser.add_argument("--config", type=Path, metavar="FILE", help=text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` has no program name; None: the arguments of the
    process.

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
    """Run a command as `_printed` does, and turn an error into an exit code."""
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
        # systemd recognises a bug by its exit code.
        log.exception("bug, ending: please report the lines below", extra={"message_id": journal_ids.BUG})
        return Exit.BUG


def _printed(arguments: Sequence[str]) -> int:
    """Run a command as `_run` does, and write all that it printed."""
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
        epilog="kioskd COMMAND --help shows the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"kioskd {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        command = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name == chosen:
            # Imported objects stay; searching them for garbage takes a tenth of the import's time.
            gc.disable()
            module = importlib.import_module(f"{__name__}.{_SHARED.get(name, name)}")
            gc.enable()
            command.set_defaults(command=name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.run
    return run(parsed)
