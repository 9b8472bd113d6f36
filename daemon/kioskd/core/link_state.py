"""The connection, as the core knows it."""

import enum
from dataclasses import dataclass, replace
from typing import Final

from pydantic import SecretStr

from kioskd.errors import Code

MOST_ROLLOVERS: Final = 3
"""After so many rollovers in a row, no quiet moment is looked for."""


class LinkTrouble(enum.Enum):
    """What a kiosk that is asleep remembers of its last try."""

    NONE = enum.auto()
    UNREACHED = enum.auto()
    """There was no way to the service, or it failed, at the end of the conversation."""
    REFUSED = enum.auto()
    """The service turned our settings down."""


class LinkPhase(enum.Enum):
    """Where the connection stands."""

    DOWN = 0
    DIALING = 1
    UP = 2
    DRAINING = 3
    """Up, but to be renewed at the next quiet moment."""
    WAITING = 4
    """Lost; the next dial is put off."""


@dataclass(frozen=True, slots=True)
class Link:
    """The connection's own state."""

    phase: LinkPhase = LinkPhase.DOWN
    epoch: int = 0
    """The number of the newest dial; events of older ones are void."""
    handle: SecretStr | None = None
    """What resumes the session; forgotten with the conversation."""
    handle_pending: bool = False
    """The service is about to issue another handle: it does after each reply, and the one before is void then."""
    tries: int = 0
    """Dials and connections in a row that came to nothing."""
    failed: int = 0
    """Of those, how often the service itself failed, or refused our session."""
    retry_s: float = 0.0
    """While waiting: the delay of the next dial."""
    leave_s: float | None = None
    """While up: the seconds after which to look for a quiet moment; None where the service has announced nothing."""
    rollover_s: float = 0.0
    """While draining: how long a quiet moment is waited for."""
    rollovers_in_a_row: int = 0
    """Rollovers in a row from connections that did not get old."""
    renewed: bool = False
    """New credentials were fetched, and have not been accepted yet."""
    reached_service: bool = False
    """The service was reached in this conversation."""
    late: bool = False
    """It was lost, and has been away for long."""
    trouble: LinkTrouble = LinkTrouble.NONE
    code: Code | None = None
    """What the last loss is called, while the service is not reached."""
    wrong: frozenset[Code] = frozenset()
    """What tries have shown to be wrong since the last connection: what the service said last, and whether there is no
    way to it now. It outlives the conversation; see `trouble` for a refusal.
    """

    @property
    def leaving(self) -> bool:
        """Whether the next quiet moment is the one to roll over in; see `drain` for when it is not."""
        return (
            self.phase is LinkPhase.DRAINING
            and self.rollovers_in_a_row < MOST_ROLLOVERS
            and not self.handle_pending
        )

    @property
    def troubled(self) -> bool:
        """Whether the service is known to be out of reach, to fail, or to refuse us."""
        return bool(self.wrong) or self.trouble is LinkTrouble.REFUSED

    @property
    def open(self) -> bool:
        """Whether something said now reaches the service."""
        return self.phase in (LinkPhase.UP, LinkPhase.DRAINING)


def dial(link: Link, _event: object = None, _policy: object = None) -> Link:
    """Break, then make: the service refuses to resume a session whose connection is still open."""
    return replace(link, phase=LinkPhase.DIALING, epoch=link.epoch + 1, handle_pending=False)
