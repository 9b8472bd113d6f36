"""The last lines of the journal, for who watches: kept in memory, and nothing of them that the journal has not."""

import logging
import time
from collections import deque
from typing import Final

from kioskd import sanitize

LINES: Final = 50
LINE_CHARS: Final = 300


class LogBuffer(logging.Handler):
    """Keeps the newest lines of a logger, from INFO up."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[tuple[int, dict[str, str]]] = deque(maxlen=LINES)
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        try:
            text = sanitize.printable(record.getMessage()[:LINE_CHARS])
        except Exception:  # noqa: BLE001 - whatever an argument's __str__ does, a log line ends nothing
            self.handleError(record)
            return
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        self._count += 1
        self._lines.append((self._count, {"at": at, "level": record.levelname.lower(), "text": text}))

    def since(self, number: int) -> tuple[list[dict[str, str]], int]:
        """Return the lines after line `number` (0: all that are kept), oldest first, and the newest one's number."""
        self.acquire()  # a line may come from any thread
        try:
            return [line for count, line in self._lines if count > number], self._count
        finally:
            self.release()
