"""The daemon's own log lines while a rehearsal runs: what an operator would read in the journal."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

_OURS: Final = "kioskd"
_LEVEL: Final = logging.INFO
"""What the daemon writes where nobody asks for more."""


class _Keeper(logging.Handler):
    """Keeps the text of each line, and hands on what would have been written anyway."""

    def __init__(self, lines: list[str], written_from: int) -> None:
        super().__init__(_LEVEL)
        self._lines = lines
        self._written_from = written_from

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())
        if record.levelno >= self._written_from:
            logging.getLogger().handle(record)


@contextlib.contextmanager
def kept_journal(lines: list[str]) -> Iterator[None]:
    """Append to `lines` those that the daemon logs at INFO and above while the block runs, whatever level is written.

    One rehearsal a process at a time: the lines do not say whose they are.
    """
    logger = logging.getLogger(_OURS)
    level, propagate = logger.level, logger.propagate
    keeper = _Keeper(lines, logger.getEffectiveLevel())
    logger.addHandler(keeper)
    logger.propagate = False
    logger.setLevel(min(_LEVEL, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        logger.removeHandler(keeper)
        logger.propagate = propagate
        logger.setLevel(level)
