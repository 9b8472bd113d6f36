"""The state machine of the connection to the service: one connection at a time, whatever is said over it.

The law of this file: `TABLE` has a cell for every phase and every kind of event, and nothing else changes a
`Link`. Dialing raises the epoch. The machine sees the new epoch and orders the dial, so no cell can forget to
order it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

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
from kioskd.core.link_state import Link, LinkPhase, LinkTrouble, dial
from kioskd.core.policy import Policy
from kioskd.core.rollover import (
    await_handle,
    change_settings,
    drain,
    drain_of_age,
    drain_soon,
    keep_handle,
    renew_session,
    roll_over,
    wait_no_more,
)
from kioskd.errors import Code, Remedy

LONG_S: Final = 5.0
"""After an outage of this length the visitor is told the reason."""
SESSIONS_LOST: Final = 3
"""Up to this many refused handles in a row, a fresh session is dialed at once."""
RESUMES: Final = 3
"""A failing service is asked for the old session this often, then for a new one."""

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
"""Code of a loss by its remedy, if the service did not answer."""


def code_of(remedy: Remedy, *, reached: bool) -> Code:
    """Return the code of a loss; if the service answered, the network is not the cause."""
    code = CODES[remedy]
    return Code.SERVICE if reached and code is Code.WAY else code


LinkCell = Callable[[Link, Any, Policy], Link]


def ignore(link: Link, _event: object, _policy: Policy) -> Link:
    """Keep the state."""
    return link


def hang_up(link: Link) -> Link:
    """End the session together with the conversation; keep what is known to be wrong with the service.

    Only a connection can prove that refused settings are good again.
    """
    unreached = link.phase in (LinkPhase.DIALING, LinkPhase.WAITING) and link.tries > 0
    trouble = LinkTrouble.UNREACHED if unreached and link.trouble is LinkTrouble.NONE else link.trouble
    return Link(epoch=link.epoch, trouble=trouble, wrong=link.wrong)


def come_up(link: Link, _event: ConnectionUp, _policy: Policy) -> Link:
    """Note that the service accepted the connection."""
    return replace(
        link,
        phase=LinkPhase.UP,
        reached_service=True,
        late=False,
        renewed=False,
        leave_s=None,
        trouble=LinkTrouble.NONE,
        code=None,
        wrong=frozenset(),
    )


def lose(link: Link, event: ConnectionLost, policy: Policy) -> Link:
    """Act on the loss: dial at once, wait, drop the handle, or give up."""
    tried = link.phase is LinkPhase.DIALING
    # The service refused an old handle or old credentials: the next dial is made without them.
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
            # The service refused the handle, not the kiosk: a fresh session is worth a dial at once, but not
            # endlessly.
            if link.handle is not None and link.failed < SESSIONS_LOST:
                delay = 0.0
            link = replace(link, handle=None, failed=link.failed + 1)
        case Remedy.CREDENTIALS:
            if link.renewed:
                return be_refused(link)
            link = replace(link, renewed=True)
        case Remedy.QUOTA:
            # Add up to the same time again: the other kiosks on this quota were turned away at the same
            # moment.
            delay = max(policy.quota_s, event.retry_after_s or 0.0) * (1.0 + event.jitter)
        case Remedy.CLOCK:
            delay = policy.clock_s
        case Remedy.SETTINGS | Remedy.STOP:
            return be_refused(link)
    counts = (tried and not stale) or tries > 1 or delay >= LONG_S or link.wrong
    link = replace(link, tries=tries, retry_s=delay, wrong=_learnt(link, code) if counts else link.wrong)
    return dial(link) if delay == 0.0 else replace(link, phase=LinkPhase.WAITING)


def be_refused(link: Link) -> Link:
    """End the conversation: dialing again with the same settings cannot help. The next wake tries again."""
    return replace(hang_up(link), trouble=LinkTrouble.REFUSED, wrong=frozenset())


def _learnt(link: Link, code: Code) -> frozenset[Code]:
    """Return what is known to be wrong.

    An answer proves that the network works. A missing answer does not prove that the service works again.
    """
    return link.wrong | {code} if code is Code.WAY else frozenset({code})


def probe_if_failing(link: Link, event: object, policy: Policy) -> Link:
    """Dial if the service was away: the cause may be over. A refusal is not a matter of the network."""
    return dial(link, event, policy) if link.wrong else link


def probe_if_troubled(link: Link, event: object, policy: Policy) -> Link:
    """Dial if the service was away or refused the settings: the cause may be mended by now."""
    return dial(link, event, policy) if link.troubled else link


def resume_restored(link: Link, event: Restored, _policy: Policy) -> Link:
    """Take over the session, which outlived its process."""
    return replace(link, handle=event.handle, reached_service=True)


def be_late(link: Link, _event: object, _policy: Policy) -> Link:
    """Note that the visitor has waited for long. Without a known cause, assume a service out of reach."""
    return replace(link, late=True, wrong=link.wrong or frozenset({link.code or Code.WAY}))


def prove_good(link: Link, event: object, _policy: Policy) -> Link:
    """Forget earlier failures: the connection has lasted long enough, or has completed a turn."""
    lived = link.phase is LinkPhase.UP and isinstance(event, TimerFired)
    return replace(link, tries=0, failed=0, rollovers_in_a_row=0 if lived else link.rollovers_in_a_row)


IGNORE: Final[LinkCell] = ignore


# fmt: off
TABLE: Final[Mapping[EventKind, tuple[LinkCell, LinkCell, LinkCell, LinkCell, LinkCell]]] = {
    #                 DOWN               DIALING          UP               DRAINING         WAITING
    Restored:        (resume_restored,   IGNORE,          IGNORE,          IGNORE,          IGNORE),
    ConnectionUp:    (IGNORE,            come_up,         IGNORE,          IGNORE,          IGNORE),
    ConnectionLost:  (IGNORE,            lose,            lose,            lose,            IGNORE),
    GoingAway:       (IGNORE,            IGNORE,          drain,           drain,           IGNORE),
    HandleIssued:    (IGNORE,            IGNORE,          keep_handle,     keep_handle,     IGNORE),
    ReplyBegan:      (IGNORE,            IGNORE,          await_handle,    await_handle,    IGNORE),
    TurnEnded:       (IGNORE,            IGNORE,          prove_good,      prove_good,      IGNORE),
    SessionUseless:  (IGNORE,            IGNORE,          renew_session,   renew_session,   IGNORE),
    NetworkChanged:  (probe_if_failing,  IGNORE,          drain_soon,      drain_soon,      dial),
    SettingsChanged: (probe_if_troubled, change_settings, change_settings, change_settings, change_settings),
    Timer.PROBE:     (dial,              IGNORE,          IGNORE,          IGNORE,          IGNORE),
    Timer.RETRY:     (IGNORE,            IGNORE,          IGNORE,          IGNORE,          dial),
    Timer.STEADY:    (IGNORE,            IGNORE,          prove_good,      prove_good,      IGNORE),
    Timer.AGE:       (IGNORE,            IGNORE,          drain_of_age,    IGNORE,          IGNORE),
    Timer.SETTLE:    (IGNORE,            IGNORE,          IGNORE,          wait_no_more,    IGNORE),
    Timer.ROLLOVER:  (IGNORE,            IGNORE,          IGNORE,          roll_over,       IGNORE),
    Timer.LATE:      (IGNORE,            be_late,         IGNORE,          IGNORE,          be_late),
}
# fmt: on
