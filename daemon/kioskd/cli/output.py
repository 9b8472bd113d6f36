"""Output of a command: all of it arrives, or the exit code says that it did not.

Python itself notices lost output only when the process ends. Then it prints a traceback and exits with 120.
"""

import argparse
import contextlib
import errno
import os
import sys
from typing import IO, Any, Final, NoReturn

from kioskd import sanitize

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a full disk, or of a quota or limit that is used up."""


class Parser(argparse.ArgumentParser):
    """A parser whose help raises errors of the output. Since Python 3.12 argparse itself ignores them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("action", "version", _Version)

    def print_help(self, file: Any = None) -> None:
        """Print the help. Raises OSError if standard output does not take it."""
        print(self.format_help(), end="", file=file)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End with `status`, also if standard error takes nothing."""
        if message:
            tell(message.removesuffix("\n"))
        sys.exit(status)

    def error(self, message: str) -> NoReturn:
        """Print the fault of the arguments, and end with 2."""
        self.exit(2, f"{self.format_usage()}{self.prog}: error: {message}\n")


class _Version(argparse.Action):
    """`--version`, printed as `Parser.print_help` prints."""

    def __init__(self, option_strings: list[str], version: str, dest: str, **_: object) -> None:
        super().__init__(
            option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version and exit"
        )
        self.version = version

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(self.version)
        parser.exit()


def open_missing() -> None:
    """Open /dev/null in place of each standard stream that the caller has closed.

    Otherwise the next open file gets its number, and output of libraries lands in that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest free number is this one.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the process ends


def reason(error: OSError) -> str | None:
    """Return why standard output took nothing, and the remedy; None if `error` has another cause."""
    if error.errno in _FULL:
        return f"cannot write: {error.strerror}; free some space, and try again"
    try:
        sys.stdout.flush()
    except OSError as again:
        if again.errno == error.errno:
            return f"cannot write: {error.strerror}; choose another place for the output"
    return None


def give_up_unwritten() -> None:
    """Drop the output that a stream does not take, so that the exit code stays that of the command."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            drop_unwritten(stream)


def tell(line: str) -> None:
    """Print `line` to standard error, if that takes it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def drop_unwritten(stream: IO[str]) -> None:
    """Drop the buffered output of `stream`: Python would try again to write it when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(text: str) -> None:
    """Print lines for people."""
    print("\n".join(sanitize.replaced(line) for line in text.split("\n")), flush=True)


def say_json(value: object, *, indent: int | None = 2) -> None:
    """Print JSON."""
    print(sanitize.json_text(value, indent=indent), flush=True)
