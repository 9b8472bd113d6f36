"""Rollover: moves to a new connection before the service, a setting or the network ends the present one.

The new connection resumes the session by its newest handle. It is made in a quiet moment, so that the visitor
hears nothing of it.
"""

from dataclasses import replace

from kioskd.core.backoff import delay_s
from kioskd.core.events import GoingAway, HandleIssued, ReplyBegan, SessionUseless, SettingsChanged
from kioskd.core.link_state import MOST_ROLLOVERS, Link, LinkPhase, dial
from kioskd.core.policy import Policy


def roll_over(link: Link, _event: object = None, _policy: object = None) -> Link:
    """Dial a new connection before the service ends this one."""
    return dial(replace(link, rollovers_in_a_row=link.rollovers_in_a_row + 1))


def keep_handle(link: Link, event: HandleIssued, _policy: Policy) -> Link:
    """Keep the handle; only the newest one counts."""
    return replace(link, handle=event.handle, handle_pending=False)


def await_handle(link: Link, _event: ReplyBegan, _policy: Policy) -> Link:
    """Expect a new handle: it comes about when the reply has been heard, and makes the old one void."""
    return replace(link, handle_pending=True)


def drain(link: Link, event: GoingAway, policy: Policy) -> Link:
    """Prepare for the end of this connection, which the service has announced.

    With much time left, wait: the service announces the end of some connections minutes ahead, as soon as
    they begin. Replacing them at once would never stop. After several rollovers in a row with little time
    left, do not wait for a quiet moment, and give each connection a little longer.
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
    """Replace the connection soon: its settings or its network have changed."""
    left_s = min(policy.change_s, link.rollover_s) if link.phase is LinkPhase.DRAINING else policy.change_s
    return replace(link, phase=LinkPhase.DRAINING, rollover_s=left_s)


def change_settings(link: Link, event: SettingsChanged, policy: Policy) -> Link:
    """Connect with other settings: at once without a connection, otherwise in a quiet moment."""
    if event.session_void:
        link = replace(link, handle=None)
    return drain_soon(link, event, policy) if link.open else dial(link)


def renew_session(link: Link, event: SessionUseless, policy: Policy) -> Link:
    """Move to a fresh session in the next quiet moment."""
    return drain_soon(replace(link, handle=None), event, policy)


def wait_no_more(link: Link, _event: object, _policy: Policy) -> Link:
    """Stop waiting for the expected handle."""
    return replace(link, handle_pending=False)


def drain_of_age(link: Link, _event: object, policy: Policy) -> Link:
    """Replace the connection at its usual limit, announced or not."""
    return replace(link, phase=LinkPhase.DRAINING, rollover_s=policy.drain_s)
