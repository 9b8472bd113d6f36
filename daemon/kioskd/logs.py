"""Log lines: fields for the journal, short lines for everybody else.

One handler for the whole process. A line is handed to a thread, so a journal that is busy with its SD card, or a
terminal that was stopped with Ctrl-S, never holds up the event loop. At most `QUEUE_LINES` wait; what comes on top
is dropped, and counted in a line of its own once there is room again.

Native journal entries carry, beside the usual fields, what a caller adds by `extra`:
`fields={"epoch": 3}` becomes KIOSKD_EPOCH=3, `message_id="..."` (32 hex digits, see `journal_ids`) becomes MESSAGE_ID.
Every line also has what `surround` was told: the state, conversation, turn and epoch in which it was said.

The journal is bounded: a kind of line that is said more than a few times an hour is counted from then on, with one line
an hour (see `log_throttle`), so that a kiosk that nobody uses, with or without its network, writes `LINES_AN_HOUR` at most. A
line with `extra={"visitor": True}` says that somebody is there: it is always written, and all kinds begin anew. At the
level debug nothing is held back. systemd-python's own JournalHandler is not used: it sends every argument of every line along.
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
"""What a kiosk writes at most, at the level info, while nobody talks to it. Measured in tests/e2e/test_journal_rate.py."""

QUEUE_LINES: Final = 1000

FLUSH_S: Final = 1.0
"""What leaving may wait for a stalled reader; `kioskd` has five seconds in all."""

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def level(environ: Mapping[str, str]) -> int:
    """Return the level that KIOSKD_LOG asks for; `logging.INFO` where it is unset or empty.

    Raises:
        ConfigError: KIOSKD_LOG is none of debug, info, warning.
    """
    name = environ.get("KIOSKD_LOG") or "info"
    if name not in LEVELS:
        raise ConfigError(
            f"KIOSKD_LOG = {name!r}: must be one of {', '.join(LEVELS)} (how much is logged); "
            "mend it in the unit's Environment= or in your shell, or unset it for info"
        )
    return LEVELS[name]


def set_up(level: int) -> None:
    """Send every log line of this process where it belongs; ours from `level` up, other people's from WARNING up.

    To be called before any audio code runs: it keeps a file descriptor of its own to what is now standard error,
    so a later redirection of descriptor 2 loses nothing. A second call replaces the first one's handler.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, QueuedHandler)]:
        root.removeHandler(old)
        old.close()
    handler = QueuedHandler(_writer(os.environ, _standard_error()))
    handler.addFilter(_ours_or_serious)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("kioskd").setLevel(level)


def surround(fields: Mapping[str, object]) -> None:
    """Have every line from now on carry `fields`, in place of what was said before; a line's own go first."""
    _surroundings["fields"] = dict(fields)


_surroundings: Final[dict[str, Mapping[str, object]]] = {"fields": {}}
"""Replaced as a whole: other threads log too."""


class QueuedHandler(logging.Handler):
    """Hands records to a thread that writes them; never blocks, never raises. Holds back what repeats itself.

    `flush` and `close` wait for what is queued, at most `FLUSH_S` each. `logging.shutdown` calls both at exit.
    """

    def __init__(self, write: WriteEntry, now: Callable[[], float] = time.monotonic) -> None:
        """`now` counts seconds from anywhere."""
        super().__init__()
        self._write = write
        self._repeats: LogThrottle[JournalEntry] = LogThrottle(now)
        self._queue: queue.Queue[JournalEntry | threading.Event | None] = queue.Queue(QUEUE_LINES)
        # Each is written by one side only: the first under this handler's lock, the others by the thread.
        self._dropped = 0
        self._failed = 0
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="kioskd-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue `record`; or count it as one of many, or as one too many."""
        entry = _entry(record)
        for held in self._repeats.due():
            self._queue_up(_more(*held))
        if getattr(record, "visitor", False):
            for held in self._repeats.renew():
                self._queue_up(_more(*held))
        elif _may_be_held(record) and not self._repeats.passes(_kind(record), entry):
            return
        self._queue_up(entry)

    def flush(self) -> None:
        """Wait until what is queued now has been written, at most `FLUSH_S`."""
        written = threading.Event()
        deadline = time.monotonic() + FLUSH_S
        try:
            self._queue.put(written, timeout=FLUSH_S)
        except queue.Full:
            return
        written.wait(deadline - time.monotonic())

    def close(self) -> None:
        """Write what is queued and end the thread, within `FLUSH_S`; a stalled thread ends with the process."""
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
            if lost > self._told:
                self._write(_lost(lost - self._told))
                self._told = lost
            self._write(entry)
        except OSError:
            # There is nowhere to say so; the count is said when writing works again.
            self._failed += 1


def is_journal(environ: Mapping[str, str], fd: int) -> bool:
    """Return whether `fd` is the journal's own stream: JOURNAL_STREAM names its device and inode."""
    stat = os.fstat(fd)
    return environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


@functools.cache
def _standard_error() -> int:
    # Once in the life of the process: later, descriptor 2 may be somewhere else. Python has no stderr where the
    # process was started without; 2 is then free for any file.
    return os.dup(2) if sys.__stderr__ else os.open(os.devnull, os.O_WRONLY)


def _writer(environ: Mapping[str, str], fd: int) -> WriteEntry:
    if not is_journal(environ, fd):
        return line_writer(fd, prefixed=False)
    try:
        # Here and not above: a desk without systemd has no such package and needs none.
        from systemd.journal import send  # noqa: PLC0415
    except ImportError:
        return line_writer(fd, prefixed=True)
    return journal_writer(send)


def _ours_or_serious(record: logging.LogRecord) -> bool:
    # Levels alone do not hold: google-auth sets its loggers to DEBUG on a word in the environment.
    return record.levelno >= logging.WARNING or is_ours(record)


def _entry(record: logging.LogRecord) -> JournalEntry:
    extra: Mapping[str, object] = {**_surroundings["fields"], **getattr(record, "fields", {})}
    try:
        message = legible(record.getMessage())
        fields = {str(key): legible(str(value)) for key, value in extra.items()}
    except Exception as err:  # noqa: BLE001 - whatever an argument's __str__ does, a log line ends nothing
        message = legible(f"log line broken: format={record.msg!r} error={type(err).__name__}")
        fields = {}
    return JournalEntry(record, message, _trace(record), fields)


def _trace(record: logging.LogRecord) -> str | None:
    if not record.exc_info or record.exc_info[0] is None:
        return None
    lines = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n").split("\n")
    return "\n".join(legible(part) for part in lines)


def _may_be_held(record: logging.LogRecord) -> bool:
    if record.levelno < logging.INFO or record.levelno >= logging.CRITICAL or record.exc_info:
        return False
    return not logging.getLogger("kioskd").isEnabledFor(logging.DEBUG)


_NAMED: Final = re.compile(r"%s|[^%]*\b(code|name|device)=%s")


def _kind(record: logging.LogRecord) -> tuple[object, ...]:
    """Return what makes a line one of its kind: where it is said, and of what (a device, a code, a tool)."""
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
