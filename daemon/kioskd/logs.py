"""Log lines: fields for the journal, short lines for terminals.

The whole process has one handler, and a thread writes its lines. So a slow SD card or a
terminal that was stopped with Ctrl-S never holds up the event loop. At most `QUEUE_LINES` lines wait. Further
lines are dropped. A line of its own gives their count once there is room again.

A native journal entry has the usual fields, and those of `extra`: `fields={"epoch": 3}` becomes
KIOSKD_EPOCH=3. `message_id="..."` (32 hex digits, see `journal_ids`) becomes MESSAGE_ID. Every line also has
the fields of `set_common_fields`: the current state, conversation, turn and epoch.

The journal is bounded (see `log_throttle`): an unused kiosk, with or without network, writes at most
`LINES_AN_HOUR`. A line with `extra={"visitor": True}` means that a visitor is there. It is always written,
and the counts of all kinds begin again. A line with `extra={"audit": True}` is always written, too. At the
level debug no line is held back. systemd-python's own
JournalHandler is not used, because it sends all arguments of a line to the journal.
"""

import contextlib
import functools
import logging
import os
import queue
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Final

from kioskd import journal_ids
from kioskd.errors import ConfigError
from kioskd.log_entries import JournalEntry, WriteEntry, is_ours, journal_writer, legible, line_writer
from kioskd.log_throttle import LogThrottle

LINES_AN_HOUR: Final = 30
"""The most lines an hour of an unused kiosk at level info. Measured in tests/e2e/test_journal_rate.py."""

QUEUE_LINES: Final = 1000

FLUSH_S: Final = 1.0
"""The longest that the exit waits for a stalled reader of the log. `kioskd` has five seconds in all."""

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def level(environ: Mapping[str, str]) -> int:
    """Return the level that KIOSKD_LOG asks for; `logging.INFO` if it is unset or empty.

    Raises:
        ConfigError: KIOSKD_LOG is not debug, info or warning.
    """
    name = environ.get("KIOSKD_LOG") or "info"
    if name not in LEVELS:
        raise ConfigError(
            f"KIOSKD_LOG is {name!r}, but must be one of {', '.join(LEVELS)}; "
            "correct it in the unit's Environment= or in your shell, or unset it for info"
        )
    return LEVELS[name]


def set_up(level: int) -> None:
    """Log this package's lines from `level` up, and those of libraries from WARNING up.

    Call it before any audio code runs. It keeps its own copy of the standard error's descriptor, so a later
    redirection of descriptor 2 loses no line. A second call replaces the handler of the first.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, QueuedHandler)]:
        root.removeHandler(old)
        old.close()
    handler = QueuedHandler(_writer(os.environ, _standard_error()))
    # Levels are not enough: google-auth sets its loggers to DEBUG if an environment variable says so.
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or is_ours(record))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("kioskd").setLevel(level)


def set_common_fields(fields: Mapping[str, object]) -> None:
    """Add `fields` to every later line. They replace those of the last call, and yield to a line's own."""
    _common["fields"] = dict(fields)


_common: Final[dict[str, Mapping[str, object]]] = {"fields": {}}
"""The common fields, under one key. The mapping is replaced as a whole, because other threads log, too."""


class QueuedHandler(logging.Handler):
    """Hands records to a thread that writes them. Holds back repeated lines; never blocks, never raises.

    `flush` and `close` wait for the queued lines, at most `FLUSH_S` each. `logging.shutdown` calls both at
    exit.
    """

    def __init__(self, write: WriteEntry, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns seconds from any starting point."""
        super().__init__()
        self._write = write
        self._throttle: LogThrottle[JournalEntry] = LogThrottle(now)
        self._queue: queue.Queue[JournalEntry | threading.Event | None] = queue.Queue(QUEUE_LINES)
        # Each number has one writer: the first is written under this handler's lock, the others by the
        # thread.
        self._dropped = 0
        self._failed = 0
        self._reported = 0
        self._thread = threading.Thread(target=self._run, name="kioskd-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue `record`. Count it instead if it repeats others, or if the queue is full."""
        entry = _entry(record)
        visitor = getattr(record, "visitor", False)
        for held in self._throttle.reset() if visitor else self._throttle.due():
            self._queue_up(_more(*held))
        if not visitor and _may_be_held(record) and not self._throttle.passes(_kind(record), entry):
            return
        self._queue_up(entry)

    def flush(self) -> None:
        """Wait until the lines that are queued now are written, at most `FLUSH_S`."""
        written = threading.Event()
        deadline = time.monotonic() + FLUSH_S
        try:
            self._queue.put(written, timeout=FLUSH_S)
        except queue.Full:
            return
        written.wait(deadline - time.monotonic())

    def close(self) -> None:
        """Write the queued lines and end the thread, within `FLUSH_S`. A stalled thread is left behind."""
        self.flush()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        super().close()

    def _queue_up(self, entry: JournalEntry) -> None:
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._dropped += 1

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._put(item)

    def _put(self, entry: JournalEntry) -> None:
        lost = self._dropped + self._failed
        try:
            if lost > self._reported:
                self._write(_lost(lost - self._reported))
                self._reported = lost
            self._write(entry)
        except OSError:
            # `_put` writes the count when writing works again.
            self._failed += 1


def is_journal(environ: Mapping[str, str], fd: int) -> bool:
    """Return whether `fd` is the journal's own stream: JOURNAL_STREAM holds its device and inode."""
    stat = os.fstat(fd)
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


@functools.cache
def _standard_error() -> int:
    # This runs once in the life of the process, because descriptor 2 may be redirected later. In a process
    # that was started without standard error, Python has none. Any file may then get descriptor 2.
    return os.dup(2) if sys.__stderr__ else os.open(os.devnull, os.O_WRONLY)


def _writer(environ: Mapping[str, str], fd: int) -> WriteEntry:
    if not is_journal(environ, fd):
        return line_writer(fd, prefixed=False)
    try:
        # Imported here, because a machine without systemd has no such package.
        from systemd.journal import send  # noqa: PLC0415
    except ImportError:
        return line_writer(fd, prefixed=True)
    return journal_writer(send)


def _entry(record: logging.LogRecord) -> JournalEntry:
    extra: Mapping[str, object] = {**_common["fields"], **getattr(record, "fields", {})}
    try:
        message = legible(record.getMessage())
        fields = {str(key): legible(str(value)) for key, value in extra.items()}
    except Exception as err:  # noqa: BLE001 - an argument's __str__ may raise anything, and logging must not
        message = legible(f"cannot format a log line: format={record.msg!r} error={type(err).__name__}")
        fields = {}
    return JournalEntry(record, message, _trace(record), fields)


def _trace(record: logging.LogRecord) -> str | None:
    if not record.exc_info or record.exc_info[0] is None:
        return None
    lines = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n").split("\n")
    return "\n".join(legible(part) for part in lines)


def _may_be_held(record: logging.LogRecord) -> bool:
    if getattr(record, "audit", False):
        return False
    if record.levelno < logging.INFO or record.levelno >= logging.CRITICAL or record.exc_info:
        return False
    return not logging.getLogger("kioskd").isEnabledFor(logging.DEBUG)


_NAMED: Final = re.compile(r"%s|[^%]*\b(code|name|device)=%s")


def _kind(record: logging.LogRecord) -> tuple[object, ...]:
    """Return the key of a line's kind: its logger, its format, and the device, code or tool in it."""
    first = record.args[0] if isinstance(record.args, tuple) and record.args else None
    return record.name, record.msg, first if isinstance(first, str) and _NAMED.match(str(record.msg)) else ""


def _more(count: int, last: JournalEntry) -> JournalEntry:
    message = f"{count} more of this kind of line, the last was: {last.message}"
    return JournalEntry(_record(last.record.levelno, journal_ids.MORE_LIKE_IT), message, None, last.fields)


def _lost(count: int) -> JournalEntry:
    return JournalEntry(_record(logging.WARNING, journal_ids.LINES_LOST), f"log lines lost: count={count}")


def _record(level: int, message_id: str) -> logging.LogRecord:
    record = logging.LogRecord(__name__, level, __file__, 0, "", (), None)
    record.message_id = message_id
    return record
