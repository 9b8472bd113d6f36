"""The last lines of the journal, for `kioskd watch`: kept in memory, and the same as in the journal."""

import logging
import time
from collections import deque
from typing import Final

from kioskd import sanitize

LINES: Final = 50
LINE_CHARS: Final = 300


class LogBuffer(logging.Handler):
    """Log handler that keeps the newest lines, from INFO up."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[tuple[int, dict[str, str]]] = deque(maxlen=LINES)
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        try:
            text = sanitize.printable(record.getMessage()[:LINE_CHARS])
        except Exception:  # noqa: BLE001 - an argument's __str__ may raise anything
            self.handleError(record)
            return
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        self._count += 1
        self._lines.append((self._count, {"at": at, "level": record.levelname.lower(), "text": text}))

    def since(self, number: int) -> tuple[list[dict[str, str]], int]:
        """Return the kept lines after line `number` (0 for all), oldest first, and the last number."""
        self.acquire()  # any thread may add a line
        try:
            return [line for count, line in self._lines if count > number], self._count
        finally:
            self.release()
