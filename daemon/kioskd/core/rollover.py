"""Rollover: moving to a new connection before the service, a setting or the network ends the present one.

The new connection resumes the session by its newest handle. A quiet moment is waited for, so that the visitor hears nothing of it.
"""

from dataclasses import replace

from kioskd.core.backoff import delay_s
from kioskd.core.events import GoingAway, HandleIssued, ReplyBegan, SessionUseless, SettingsChanged
from kioskd.core.link_state import MOST_ROLLOVERS, Link, LinkPhase, dial
from kioskd.core.policy import Policy


def roll_over(link: Link, _event: object = None, _policy: object = None) -> Link:
    """Move on to a new connection before the service ends this one."""
    return dial(replace(link, rollovers_in_a_row=link.rollovers_in_a_row + 1))


def keep_handle(link: Link, event: HandleIssued, _policy: Policy) -> Link:
    """The newest handle is the only one that counts."""
    return replace(link, handle=event.handle, handle_pending=False)


def await_handle(link: Link, _event: ReplyBegan, _policy: Policy) -> Link:
    """A reply is heard to its end at about the moment that a new handle comes: who left just then would be refused."""
    return replace(link, handle_pending=True)


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
    least_s = (
        delay_s(link.rollovers_in_a_row - MOST_ROLLOVERS + 2, 1.0)
        if link.rollovers_in_a_row >= MOST_ROLLOVERS
        else 0.0
    )
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


def wait_no_more(link: Link, _event: object, _policy: Policy) -> Link:
    """The handle that was owed does not come."""
    return replace(link, handle_pending=False)


def drain_of_age(link: Link, _event: object, policy: Policy) -> Link:
    """The service's limit is near, announced or not."""
    return replace(link, phase=LinkPhase.DRAINING, rollover_s=policy.drain_s)
