"""Locale settings of the process: paths and files are UTF-8, and output fits the terminal, in any locale.

raspi-config offers locales that are not UTF-8, and systemd hands the system's locale to each service.
"""

import codecs
import locale
import os
import sys
from typing import Final

ESCAPED: Final = "kioskd.escaped"
"""Error handler that writes characters the terminal lacks as JSON's escapes, so that `--json` stays JSON."""


def use_utf8() -> None:
    """Start this process again in Python's UTF-8 mode if it needs that: only that mode covers the names of
    files.

    The process keeps its number, its descriptors and its environment.
    """
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8" or not sys.executable:
        return
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves


def fit_output() -> None:
    """Make standard output and error use the terminal's encoding, and escape characters missing in it."""
    codecs.register_error(ESCAPED, _escape)
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is None:
            continue  # closed, or a test's own
        if sys.flags.utf8_mode and not os.environ.get("PYTHONIOENCODING"):
            reconfigure(encoding=locale.getencoding())
        reconfigure(errors=ESCAPED)


def words(arguments: list[str]) -> list[str]:
    """Return `arguments` decoded from the terminal's encoding; names of existing files stay as they are."""
    return [one if one.isprintable() or os.path.lexists(one) else _read(one) for one in arguments]


def _read(argument: str) -> str:
    try:
        return os.fsencode(argument).decode(locale.getencoding())
    except ValueError:
        return argument


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unit = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (unit[at : at + 2].hex() for at in range(0, len(unit), 2))
    return "".join(f"\\u{pair}" for pair in pairs), error.end
