"""How the session is reached: one connection at a time, knowing nothing of what is said over it.

The law of this file: `TABLE` has a cell for every phase and every kind of event, and nothing else changes a `Link`.
Dialing raises the epoch; the machine sees that and tells the shell, so no cell can forget to.
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
"""A visitor who waits so long is told why."""
SESSIONS_LOST: Final = 3
"""So many refused handles in a row are worth a dial at once."""
RESUMES: Final = 3
"""So often a failing service is asked for the old session, then for a new one."""

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
        reached_service=True,
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


def probe_if_failing(link: Link, event: object, policy: Policy) -> Link:
    """What kept the service away may be over. A refusal does not come from the network."""
    return dial(link, event, policy) if link.wrong else link


def probe_if_troubled(link: Link, event: object, policy: Policy) -> Link:
    """What kept the service away may have been mended."""
    return dial(link, event, policy) if link.troubled else link


def resume_restored(link: Link, event: Restored, _policy: Policy) -> Link:
    """The session outlived its process."""
    return replace(link, handle=event.handle, reached_service=True)


def be_late(link: Link, _event: object, _policy: Policy) -> Link:
    """The visitor has waited for long. Where no loss has told why, the service is taken to be out of reach."""
    return replace(link, late=True, wrong=link.wrong or frozenset({link.code or Code.WAY}))


def prove_good(link: Link, event: object, _policy: Policy) -> Link:
    """It lived long enough or completed a turn: the next loss is a new story."""
    lived = link.phase is LinkPhase.UP and isinstance(event, TimerFired)
    return replace(link, tries=0, failed=0, rollovers_in_a_row=0 if lived else link.rollovers_in_a_row)


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
