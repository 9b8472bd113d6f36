"""Messages of the Live service that the daemon does not understand: it counts and skips them.

Each kind is logged once.
"""

import logging
from typing import Final

from kioskd.errors import LinkLost

log = logging.getLogger(__name__)

MOST_IN_A_ROW: Final = 50
"""Odd messages in a row after which the connection ends. The service then uses another protocol, or a bug
would make the daemon spin."""
_MOST_KINDS: Final = 20


class OddMessages:
    """Counter of the messages that one connection did not understand."""

    def __init__(self) -> None:
        self.count = 0
        """Number of messages and tool calls that were skipped."""
        self._in_a_row = 0
        self._kinds: set[str] = set()

    def understood(self) -> None:
        """Note that a message was understood, which ends a row of odd ones."""
        self._in_a_row = 0

    def skip_message(self, kind: str) -> None:
        """Count a message that was not understood; the session goes on.

        LinkLost: there were too many in a row.
        """
        self.count += 1
        self._in_a_row += 1
        if len(self._kinds) < _MOST_KINDS and self._is_new(kind):
            log.warning(
                "message of the Live service not understood by this version of kioskd, skipped: kind=%s",
                kind,
            )
        if self._in_a_row >= MOST_IN_A_ROW:
            raise LinkLost(
                f"Live service sent {self._in_a_row} messages in a row that kioskd does not understand "
                f"(last: {kind}); update kioskd",
                reached=True,
            )

    def skip_call(self, cause: str) -> None:
        """Count a tool call that cannot be answered."""
        self.count += 1
        if self._is_new(cause):
            log.warning("tool call skipped, it cannot be answered: cause=%s", cause)

    def _is_new(self, kind: str) -> bool:
        known = kind in self._kinds
        self._kinds.add(kind)
        return not known
