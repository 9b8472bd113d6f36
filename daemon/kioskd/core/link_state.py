"""The state of the connection, as the core knows it."""

import enum
from dataclasses import dataclass, replace
from typing import Final

from pydantic import SecretStr

from kioskd.errors import Code

MOST_ROLLOVERS: Final = 3
"""After this many rollovers in a row, the link no longer waits for quiet moments."""


class LinkTrouble(enum.Enum):
    """The result of the last try, remembered by a kiosk that is asleep."""

    NONE = enum.auto()
    UNREACHED = enum.auto()
    """When the conversation ended, the service was out of reach or failed."""
    REFUSED = enum.auto()
    """The service refused our settings."""


class LinkPhase(enum.Enum):
    """Phase of the connection."""

    DOWN = 0
    DIALING = 1
    UP = 2
    DRAINING = 3
    """Up, but to be replaced at the next quiet moment."""
    WAITING = 4
    """Lost; the next dial comes after a delay."""


@dataclass(frozen=True, slots=True)
class Link:
    """State of the connection."""

    phase: LinkPhase = LinkPhase.DOWN
    epoch: int = 0
    """Number of the newest dial; events of older dials are void."""
    handle: SecretStr | None = None
    """Handle that resumes the session; forgotten with the conversation."""
    handle_pending: bool = False
    """The service is about to issue another handle, as after each reply; it makes the present handle void."""
    tries: int = 0
    """Dials and connections in a row that failed."""
    failed: int = 0
    """Failures in `tries` in which the service itself failed, or refused our session."""
    retry_s: float = 0.0
    """While waiting: seconds before the next dial."""
    leave_s: float | None = None
    """While up: seconds before the search for a quiet moment begins; None: no end is announced."""
    rollover_s: float = 0.0
    """While draining: the most seconds to wait for a quiet moment."""
    rollovers_in_a_row: int = 0
    """Rollovers in a row from connections that ended young."""
    renewed: bool = False
    """New credentials were fetched, and no connection has proven them yet."""
    reached_service: bool = False
    """The service accepted a connection in this conversation."""
    late: bool = False
    """The connection was lost, and has been away for long."""
    trouble: LinkTrouble = LinkTrouble.NONE
    code: Code | None = None
    """Code of the last loss; None once a connection is up."""
    wrong: frozenset[Code] = frozenset()
    """Codes of the failures since the last connection: the last answer of the service, and `WAY` if it is out
    of reach now. It outlives the conversation. For a refusal see `trouble`."""

    @property
    def leaving(self) -> bool:
        """Whether to roll over at the next quiet moment; see `drain` for the exception."""
        return (
            self.phase is LinkPhase.DRAINING
            and self.rollovers_in_a_row < MOST_ROLLOVERS
            and not self.handle_pending
        )

    @property
    def troubled(self) -> bool:
        """Whether the service is known to be out of reach, to fail, or to refuse our settings."""
        return bool(self.wrong) or self.trouble is LinkTrouble.REFUSED

    @property
    def open(self) -> bool:
        """Whether data sent now reaches the service."""
        return self.phase in (LinkPhase.UP, LinkPhase.DRAINING)


def dial(link: Link, _event: object = None, _policy: object = None) -> Link:
    """Dial, after closing the old connection: the service does not resume a session that is still open."""
    return replace(link, phase=LinkPhase.DIALING, epoch=link.epoch + 1, handle_pending=False)
