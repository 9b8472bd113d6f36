"""Standard streams of a command: what is printed arrives, or the exit code says that it did not.

Python itself notices a lost line only when the process ends. Then it prints a traceback and exits with 120.
"""

import argparse
import contextlib
import errno
import os
import sys
from typing import IO, Any, Final, NoReturn

from kioskd import sanitize

__all__ = [
    "Parser",
    "flush_output",
    "give_up_unwritten",
    "open_missing",
    "reason",
    "say",
    "say_json",
    "silence_output",
    "tell",
]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What an operating system says of a disk, a quota or a limit that takes no more."""


class Parser(argparse.ArgumentParser):
    """A parser whose texts are printed like all other output.

    Since Python 3.12 argparse drops an error of the output without a word, and ends with 0.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("action", "version", _Version)

    def print_help(self, file: Any = None) -> None:
        """Print the help.

        Raises:
            OSError: standard output does not take it.
        """
        print(self.format_help(), end="", file=file)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End with `status`, which stays the same where standard error takes nothing."""
        if message:
            tell(message.removesuffix("\n"))
        sys.exit(status)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and end with 2."""
        self.exit(2, f"{self.format_usage()}{self.prog}: error: {message}\n")


class _Version(argparse.Action):
    """`--version`, printed as `Parser.print_help` prints."""

    def __init__(self, option_strings: list[str], version: str, dest: str, **_: object) -> None:
        super().__init__(
            option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version, and end"
        )
        self.version = version

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(self.version)
        parser.exit()


def open_missing() -> None:
    """Open /dev/null in place of each standard stream that the caller has closed.

    Else the next file that is opened gets its number, and what libraries print lands in that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest free number is this one.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the process ends


def flush_output() -> None:
    """Write out what standard output still holds back.

    Raises:
        OSError: it cannot be written.
    """
    sys.stdout.flush()


def reason(error: OSError) -> str | None:
    """Return why standard output took nothing and what to do; None where `error` has another cause."""
    if error.errno in _FULL:
        return f"cannot write: {error.strerror}; make room, and try again"
    try:
        flush_output()
    except OSError as again:
        if again.errno == error.errno:
            return f"cannot write: {error.strerror}; name another place for the output"
    return None


def silence_output() -> None:
    """Drop what standard output still holds back: Python would try once more to write it when the process ends."""
    _to_nowhere(sys.stdout)


def give_up_unwritten() -> None:
    """Drop what neither stream takes, so that the exit code stays the one that the command chose."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _to_nowhere(stream)


def tell(line: str) -> None:
    """Print `line` to standard error; where that takes nothing, the exit code alone has to tell."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def _to_nowhere(stream: IO[str]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(text: str) -> None:
    """Print lines for people."""
    print("\n".join(sanitize.replaced(line) for line in text.split("\n")), flush=True)


def say_json(value: object, *, indent: int | None = 2) -> None:
    """Print JSON."""
    print(sanitize.json_text(value, indent=indent), flush=True)
