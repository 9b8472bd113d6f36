"""Messages of the Live service that cannot be understood: they are counted, logged once a kind, and skipped."""

import logging
from typing import Final

from kioskd.errors import LinkLost

log = logging.getLogger(__name__)

MOST_IN_A_ROW: Final = 50
"""More messages in a row that are not understood mean another protocol, or a bug that would spin."""
_MOST_KINDS: Final = 20


class OddMessages:
    """Counts what one connection could not understand."""

    def __init__(self) -> None:
        self.count = 0
        """Messages and tool calls that were skipped."""
        self._in_a_row = 0
        self._kinds: set[str] = set()

    def understood(self) -> None:
        """Note that a message was understood: the row of odd ones is broken."""
        self._in_a_row = 0

    def skip_message(self, kind: str) -> None:
        """Count a message that was not understood. The session goes on. LinkLost: it was one of too many in a row."""
        self.count += 1
        self._in_a_row += 1
        if len(self._kinds) < _MOST_KINDS and self._is_new(kind):
            log.warning("message of the Live service not understood, skipped: kind=%s", kind)
        if self._in_a_row >= MOST_IN_A_ROW:
            raise LinkLost(
                f"Live service sent {self._in_a_row} messages on end that are not understood (last: {kind}); "
                "is kioskd out of date?",
                reached=True,
            )

    def skip_call(self, cause: str) -> None:
        """Count a tool call that cannot be answered."""
        self.count += 1
        if self._is_new(cause):
            log.warning("tool call left out, it cannot be answered: cause=%s", cause)

    def _is_new(self, kind: str) -> bool:
        known = kind in self._kinds
        self._kinds.add(kind)
        return not known
