"""How the session is reached: one connection at a time, knowing nothing of what is said over it.

The law of this file: `TABLE` has a cell for every phase and every kind of event, and nothing else changes a `Link`.
Dialing raises the epoch; the machine sees that and tells the shell, so no cell can forget to.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import SecretStr

from kioskd.core.backoff import delay_s
from kioskd.core.events import GoingAway, HandleIssued, Lost, Refused, Timer, TurnEnded, Up
from kioskd.core.policy import Policy


class Phase(enum.Enum):
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

    phase: Phase = Phase.DOWN
    epoch: int = 0
    """The number of the newest dial; events of older ones are void."""
    handle: SecretStr | None = None
    """What resumes the session; forgotten with the conversation."""
    tries: int = 0
    """Dials and connections in a row that came to nothing."""
    retry_s: float = 0.0
    """While waiting: the delay of the next dial."""
    rollover_s: float = 0.0
    """While draining: how long a quiet moment is waited for."""
    met: bool = False
    """The service was reached in this conversation."""
    refused: bool = False
    """The service turned our settings down, and has not been reached since."""

    @property
    def open(self) -> bool:
        """Whether something said now reaches the service."""
        return self.phase in (Phase.UP, Phase.DRAINING)


Cell = Callable[[Link, Any, Policy], Link]


def ignore(link: Link, _event: object, _policy: Policy) -> Link:
    """Nothing follows."""
    return link


def dial(link: Link, _event: object = None, _policy: object = None) -> Link:
    """Break, then make: the service refuses to resume a session whose connection is still open."""
    return replace(link, phase=Phase.DIALING, epoch=link.epoch + 1)


def hang_up(link: Link) -> Link:
    """The conversation is over, and with it the session."""
    return Link(epoch=link.epoch, refused=link.refused)


def come_up(link: Link, _event: Up, _policy: Policy) -> Link:
    """The service was reached."""
    return replace(link, phase=Phase.UP, met=True, refused=False)


def lose(link: Link, event: Lost, _policy: Policy) -> Link:
    """Try again: at once the first time, then with growing delays. A refused handle is never tried again."""
    if event.session_lost and link.handle is not None:
        return dial(replace(link, handle=None))
    tries = link.tries + 1
    delay = delay_s(tries, event.jitter, event.retry_after_s)
    link = replace(link, tries=tries, retry_s=delay)
    return dial(link) if delay == 0.0 else replace(link, phase=Phase.WAITING)


def be_refused(link: Link, _event: Refused, _policy: Policy) -> Link:
    """Dialing again as we are cannot help: the conversation ends, and the next wake is the next try."""
    return replace(hang_up(link), refused=True)


def keep_handle(link: Link, event: HandleIssued, _policy: Policy) -> Link:
    """The newest handle is the only one that counts."""
    return replace(link, handle=event.handle)


def drain(link: Link, event: GoingAway, policy: Policy) -> Link:
    """The service has announced the end of this connection."""
    left_s = max(0.0, event.left_s - policy.margin_s)
    if link.phase is Phase.DRAINING:
        left_s = min(left_s, link.rollover_s)
    return replace(link, phase=Phase.DRAINING, rollover_s=left_s)


def drain_of_age(link: Link, _event: object, policy: Policy) -> Link:
    """The service's limit is near, announced or not."""
    return replace(link, phase=Phase.DRAINING, rollover_s=policy.drain_s)


def prove_good(link: Link, _event: object, _policy: Policy) -> Link:
    """It lived long enough or completed a turn: the next loss is a new story."""
    return replace(link, tries=0)


IGNORE: Final[Cell] = ignore

Kind = type | Timer

# fmt: off
TABLE: Final[Mapping[Kind, tuple[Cell, Cell, Cell, Cell, Cell]]] = {
    #                DOWN     DIALING     UP            DRAINING     WAITING
    Up:             (IGNORE,  come_up,    IGNORE,       IGNORE,      IGNORE),
    Lost:           (IGNORE,  lose,       lose,         lose,        IGNORE),
    Refused:        (IGNORE,  be_refused, be_refused,   be_refused,  IGNORE),
    GoingAway:      (IGNORE,  IGNORE,     drain,        drain,       IGNORE),
    HandleIssued:   (IGNORE,  IGNORE,     keep_handle,  keep_handle, IGNORE),
    TurnEnded:      (IGNORE,  IGNORE,     prove_good,   prove_good,  IGNORE),
    Timer.RETRY:    (IGNORE,  IGNORE,     IGNORE,       IGNORE,      dial),
    Timer.STEADY:   (IGNORE,  IGNORE,     prove_good,   prove_good,  IGNORE),
    Timer.AGE:      (IGNORE,  IGNORE,     drain_of_age, IGNORE,      IGNORE),
    Timer.ROLLOVER: (IGNORE,  IGNORE,     IGNORE,       dial,        IGNORE),
}
# fmt: on
