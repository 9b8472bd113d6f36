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
from kioskd.core.events import (
    ConnectionLost,
    ConnectionUp,
    EventKind,
    GoingAway,
    HandleIssued,
    NetworkChanged,
    ReplyBegan,
    Restored,
    SessionUseless,
    SettingsChanged,
    Timer,
    TimerFired,
    TurnEnded,
)
from kioskd.core.policy import Policy
from kioskd.errors import Code, Remedy


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
    owed: bool = False
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
    hops: int = 0
    """Rollovers in a row from connections that did not get old."""
    renewed: bool = False
    """New credentials were fetched, and have not been accepted yet."""
    met: bool = False
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
        return self.phase is LinkPhase.DRAINING and self.hops < HOPS and not self.owed

    @property
    def troubled(self) -> bool:
        """Whether the service is known to be out of reach, to fail, or to refuse us."""
        return bool(self.wrong) or self.trouble is LinkTrouble.REFUSED

    @property
    def open(self) -> bool:
        """Whether something said now reaches the service."""
        return self.phase in (LinkPhase.UP, LinkPhase.DRAINING)


LONG_S: Final = 5.0
"""A visitor who waits so long is told why."""
SESSIONS_LOST: Final = 3
"""So many refused handles in a row are worth a dial at once."""
RESUMES: Final = 3
"""So often a failing service is asked for the old session, then for a new one."""
HOPS: Final = 3

CODES: Final[Mapping[Remedy, Code]] = {
    Remedy.RESUME: Code.WAY,
    Remedy.RESUME_LATER: Code.SERVICE,
    Remedy.FRESH: Code.SERVICE,
    Remedy.CREDENTIALS: Code.SETTINGS,
    Remedy.QUOTA: Code.QUOTA,
    Remedy.CLOCK: Code.CLOCK,
    Remedy.SETTINGS: Code.SETTINGS,
    Remedy.STOP: Code.SETTINGS,
}
"""What a loss is called by what helps, where nothing is known of the way."""


def code_of(remedy: Remedy, *, reached: bool) -> Code:
    """Return what to tell a person of a loss: where the service answered, the way to it is not what is wrong."""
    code = CODES[remedy]
    return Code.SERVICE if reached and code is Code.WAY else code


LinkCell = Callable[[Link, Any, Policy], Link]


def ignore(link: Link, _event: object, _policy: Policy) -> Link:
    """Nothing follows."""
    return link


def dial(link: Link, _event: object = None, _policy: object = None) -> Link:
    """Break, then make: the service refuses to resume a session whose connection is still open."""
    return replace(link, phase=LinkPhase.DIALING, epoch=link.epoch + 1, owed=False)


def roll_over(link: Link, _event: object = None, _policy: object = None) -> Link:
    """Move on to a new connection before the service ends this one."""
    return dial(replace(link, hops=link.hops + 1))


def hang_up(link: Link) -> Link:
    """The conversation is over, and with it the session. What is wrong with the service is still known.

    Only a connection proves that settings which were refused are good now.
    """
    unreached = link.phase in (LinkPhase.DIALING, LinkPhase.WAITING) and link.tries > 0
    trouble = LinkTrouble.UNREACHED if unreached and link.trouble is LinkTrouble.NONE else link.trouble
    return Link(epoch=link.epoch, trouble=trouble, wrong=link.wrong)


def come_up(link: Link, _event: ConnectionUp, _policy: Policy) -> Link:
    """The service was reached."""
    return replace(
        link,
        phase=LinkPhase.UP,
        met=True,
        late=False,
        renewed=False,
        leave_s=None,
        trouble=LinkTrouble.NONE,
        code=None,
        wrong=frozenset(),
    )


def lose(link: Link, event: ConnectionLost, policy: Policy) -> Link:
    """Do what the loss calls for: dial at once, wait, go without the handle, or give up."""
    tried = link.phase is LinkPhase.DIALING
    # What was refused is an old handle or old credentials: the next dial goes without them.
    stale = event.remedy is Remedy.CREDENTIALS or (event.remedy is Remedy.FRESH and link.handle is not None)
    code = code_of(event.remedy, reached=event.reached)
    link = replace(link, code=code)
    tries = link.tries + 1
    delay = delay_s(tries, event.jitter, event.retry_after_s)
    match event.remedy:
        case Remedy.RESUME:
            pass
        case Remedy.RESUME_LATER:
            delay = delay_s(tries + 1, event.jitter, event.retry_after_s)
            link = replace(link, failed=link.failed + 1)
            if link.failed > RESUMES:
                link = replace(link, handle=None)
        case Remedy.FRESH:
            # What was refused was the handle, not we: a fresh session is worth a dial at once, but not for ever.
            if link.handle is not None and link.failed < SESSIONS_LOST:
                delay = 0.0
            link = replace(link, handle=None, failed=link.failed + 1)
        case Remedy.CREDENTIALS:
            if link.renewed:
                return be_refused(link)
            link = replace(link, renewed=True)
        case Remedy.QUOTA:
            # Spread over as long again: whoever shares the quota was turned away with us.
            delay = max(policy.quota_s, event.retry_after_s or 0.0) * (1.0 + event.jitter)
        case Remedy.CLOCK:
            delay = policy.clock_s
        case Remedy.SETTINGS | Remedy.STOP:
            return be_refused(link)
    counts = (tried and not stale) or tries > 1 or delay >= LONG_S or link.wrong
    link = replace(link, tries=tries, retry_s=delay, wrong=_learnt(link, code) if counts else link.wrong)
    return dial(link) if delay == 0.0 else replace(link, phase=LinkPhase.WAITING)


def be_refused(link: Link) -> Link:
    """Dialing again as we are cannot help: the conversation ends, and the next wake is the next try."""
    return replace(hang_up(link), trouble=LinkTrouble.REFUSED, wrong=frozenset())


def _learnt(link: Link, code: Code) -> frozenset[Code]:
    """Return what is known to be wrong: who answers is reached, and who is not reached may still fail."""
    return link.wrong | {code} if code is Code.WAY else frozenset({code})


def keep_handle(link: Link, event: HandleIssued, _policy: Policy) -> Link:
    """The newest handle is the only one that counts."""
    return replace(link, handle=event.handle, owed=False)


def await_handle(link: Link, _event: ReplyBegan, _policy: Policy) -> Link:
    """A reply is heard to its end at about the moment that a new handle comes: who left just then would be refused."""
    return replace(link, owed=True)


def drain(link: Link, event: GoingAway, policy: Policy) -> Link:
    """The service has announced the end of this connection.

    With much time left nothing is done yet: some are announced to end in minutes as they begin, and who left them at
    once would do nothing else. With little time left on one after the other, no quiet moment is looked for either, and
    each is given a little longer.
    """
    left_s = max(0.0, event.left_s - policy.margin_s)
    if link.phase is LinkPhase.DRAINING:
        return replace(link, rollover_s=min(left_s, link.rollover_s))
    if left_s > policy.drain_s:
        return replace(link, leave_s=min(left_s - policy.drain_s, policy.notice_s))
    least_s = delay_s(link.hops - HOPS + 2, 1.0) if link.hops >= HOPS else 0.0
    return replace(link, phase=LinkPhase.DRAINING, rollover_s=max(left_s, least_s))


def drain_soon(link: Link, _event: object, policy: Policy) -> Link:
    """What the connection was made with, or over, is no longer what it should be."""
    left_s = min(policy.change_s, link.rollover_s) if link.phase is LinkPhase.DRAINING else policy.change_s
    return replace(link, phase=LinkPhase.DRAINING, rollover_s=left_s)


def change_settings(link: Link, event: SettingsChanged, policy: Policy) -> Link:
    """Make the connection anew with other settings: at once where there is none, else in a quiet moment."""
    if event.session_void:
        link = replace(link, handle=None)
    return drain_soon(link, event, policy) if link.open else dial(link)


def renew_session(link: Link, event: SessionUseless, policy: Policy) -> Link:
    """Go on with a fresh session, from the next quiet moment on."""
    return drain_soon(replace(link, handle=None), event, policy)


def probe_if_failing(link: Link, event: object, policy: Policy) -> Link:
    """What kept the service away may be over. A refusal does not come from the network."""
    return dial(link, event, policy) if link.wrong else link


def probe_if_troubled(link: Link, event: object, policy: Policy) -> Link:
    """What kept the service away may have been mended."""
    return dial(link, event, policy) if link.troubled else link


def wait_no_more(link: Link, _event: object, _policy: Policy) -> Link:
    """The handle that was owed does not come."""
    return replace(link, owed=False)


def resume_restored(link: Link, event: Restored, _policy: Policy) -> Link:
    """The session outlived its process."""
    return replace(link, handle=event.handle, met=True)


def be_late(link: Link, _event: object, _policy: Policy) -> Link:
    """The visitor has waited for long. Where no loss has told why, the service is taken to be out of reach."""
    return replace(link, late=True, wrong=link.wrong or frozenset({link.code or Code.WAY}))


def drain_of_age(link: Link, _event: object, policy: Policy) -> Link:
    """The service's limit is near, announced or not."""
    return replace(link, phase=LinkPhase.DRAINING, rollover_s=policy.drain_s)


def prove_good(link: Link, event: object, _policy: Policy) -> Link:
    """It lived long enough or completed a turn: the next loss is a new story."""
    lived = link.phase is LinkPhase.UP and isinstance(event, TimerFired)
    return replace(link, tries=0, failed=0, hops=0 if lived else link.hops)


IGNORE: Final[LinkCell] = ignore


# fmt: off
TABLE: Final[Mapping[EventKind, tuple[LinkCell, LinkCell, LinkCell, LinkCell, LinkCell]]] = {
    #                 DOWN              DIALING   UP            DRAINING     WAITING
    Restored:        (resume_restored,  IGNORE,   IGNORE,       IGNORE,      IGNORE),
    ConnectionUp:              (IGNORE,           come_up,  IGNORE,       IGNORE,      IGNORE),
    ConnectionLost:            (IGNORE,           lose,     lose,         lose,        IGNORE),
    GoingAway:       (IGNORE,           IGNORE,   drain,        drain,       IGNORE),
    HandleIssued:    (IGNORE,           IGNORE,   keep_handle,  keep_handle, IGNORE),
    ReplyBegan:      (IGNORE,           IGNORE,   await_handle, await_handle, IGNORE),
    TurnEnded:       (IGNORE,           IGNORE,   prove_good,   prove_good,  IGNORE),
    SessionUseless:  (IGNORE,           IGNORE,   renew_session, renew_session, IGNORE),
    NetworkChanged:  (probe_if_failing, IGNORE,   drain_soon,   drain_soon,  dial),
    SettingsChanged: (probe_if_troubled, change_settings, change_settings, change_settings, change_settings),
    Timer.PROBE:     (dial,             IGNORE,   IGNORE,       IGNORE,      IGNORE),
    Timer.RETRY:     (IGNORE,           IGNORE,   IGNORE,       IGNORE,      dial),
    Timer.STEADY:    (IGNORE,           IGNORE,   prove_good,   prove_good,  IGNORE),
    Timer.AGE:       (IGNORE,           IGNORE,   drain_of_age, IGNORE,      IGNORE),
    Timer.SETTLE:    (IGNORE,           IGNORE,   IGNORE,       wait_no_more, IGNORE),
    Timer.ROLLOVER:  (IGNORE,           IGNORE,   IGNORE,       roll_over,   IGNORE),
    Timer.LATE:      (IGNORE,           be_late,  IGNORE,       IGNORE,      be_late),
}
# fmt: on
