"""Log records in their written form: journal entries with fields, or lines for a person at a terminal."""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kioskd import sanitize

LINE_CHARS: Final = 4000
"""The most characters of a message; the rest is cut. Some messages quote the service at any length."""

# The least level of a record, with syslog's number and the word that a line shows.
_SEVERITIES: Final = (
    (logging.CRITICAL, 2, "fatal"),
    (logging.ERROR, 3, "error"),
    (logging.WARNING, 4, "warn"),
    (logging.INFO, 6, "info"),
)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A log record whose text is formatted. The arguments of the log call are not used again."""

    record: logging.LogRecord
    message: str
    trace: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The message, then the stack trace on lines of its own."""
        return f"{self.message}\n{self.trace}" if self.trace else self.message

    @property
    def severity(self) -> tuple[int, str]:
        found = ((number, word) for least, number, word in _SEVERITIES if self.record.levelno >= least)
        return next(found, (7, "debug"))


WriteEntry = Callable[[JournalEntry], object]
"""Writes one entry. It may block. It raises OSError if it cannot write."""


def journal_writer(send: Callable[..., object]) -> WriteEntry:
    """Return a writer of native journal entries. `send` takes the arguments of `systemd.journal.send`."""
    return lambda entry: send(**journal_fields(entry))


def journal_fields(entry: JournalEntry) -> dict[str, str | int]:
    """Return the journal's fields of an entry. Only CODE_LINE is a number."""
    record = entry.record
    fields: dict[str, str | int] = {_field_name(key): value for key, value in entry.fields.items()}
    if message_id := getattr(record, "message_id", None):
        fields["MESSAGE_ID"] = str(message_id)
    if entry.trace:
        fields["EXCEPTION_TEXT"] = entry.trace
    return fields | {
        "MESSAGE": entry.text,
        "PRIORITY": str(entry.severity[0]),
        "SYSLOG_IDENTIFIER": "kioskd",
        "LOGGER": legible(record.name),
        "THREAD_NAME": legible(record.threadName or ""),
        "CODE_FILE": legible(record.pathname),
        "CODE_LINE": record.lineno,
        "CODE_FUNC": record.funcName or "",
    }


def line_writer(fd: int, *, prefixed: bool) -> WriteEntry:
    """Return a writer of lines to `fd`, in UTF-8 whatever the locale is."""

    def write(entry: JournalEntry) -> None:
        unwritten = memoryview(line(entry, prefixed=prefixed).encode())
        while unwritten:
            unwritten = unwritten[os.write(fd, unwritten) :]

    return write


def line(entry: JournalEntry, *, prefixed: bool) -> str:
    """Return the line of an entry, with its line break.

    `prefixed`: for the journal's stream. The journal adds the time, and makes an entry of each line, so each
    line begins with <N>, its priority. A library's line has its logger's name before the message.
    """
    priority, word = entry.severity
    text = entry.text if is_ours(entry.record) else f"{legible(entry.record.name)}: {entry.text}"
    if prefixed:
        return "".join(f"<{priority}>{part}\n" for part in text.split("\n"))
    clock = time.strftime("%H:%M:%S", time.localtime(entry.record.created))
    return f"{clock} {word:<5} {text}\n"


def is_ours(record: logging.LogRecord) -> bool:
    """Return whether a record is from this package, not from a library."""
    return record.name == "kioskd" or record.name.startswith("kioskd.")


def legible(text: str) -> str:
    """Cut `text`, and escape characters that end a line, drive a terminal, or cannot be encoded."""
    if len(text) > LINE_CHARS:
        text = text[: LINE_CHARS - 1] + "…"
    return sanitize.printable(text)


def _field_name(key: str) -> str:
    # journald accepts capitals, digits and _, at most 64 characters, and drops any other field.
    return ("KIOSKD_" + re.sub("[^A-Z0-9_]", "_", key.upper()))[:64]
