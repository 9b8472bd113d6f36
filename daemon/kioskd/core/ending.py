"""The two ends by time: how long they take, when the visitor is warned, and what an extension changes.

A conversation ends by time when it has lasted `longest_s`, or after a silence. The visitor can put off the
first end as often as the policy allows. Each sign of life puts off the second one.
"""

from typing import Final

from kioskd.core.policy import Policy
from kioskd.core.turn import Turn

SHORT: Final = 0.25
"""Largest share of a time limit that counts as near its end: 15 seconds of a limit of one minute."""


def limit_s(turn: Turn, policy: Policy) -> float:
    """Return the seconds from the wake, or from the last extension, to the end."""
    return policy.extension_s * turn.stretch if turn.extended else policy.longest_s


def warned_after_s(turn: Turn, policy: Policy) -> float | None:
    """Return the seconds from the wake, or from the last extension, to the warning; None: there is none."""
    limit = limit_s(turn, policy)
    return limit - min(policy.warn_s * turn.stretch, limit * SHORT) if policy.warn_s else None


def idle_s(turn: Turn, policy: Policy) -> float:
    """Return the seconds of silence that end the conversation. They never exceed the longest time."""
    wait_s = policy.follow_up_s if turn.answered else policy.idle_s
    return min(wait_s * policy.stretch_of(turn.profile), max(wait_s, policy.longest_s))


def idle_warned_after_s(turn: Turn, policy: Policy) -> float | None:
    """Return the seconds of silence after which the visitor is warned; None: there is no warning."""
    silence_s, warn_s = idle_s(turn, policy), policy.idle_warn_s * policy.stretch_of(turn.profile)
    return silence_s - min(warn_s, silence_s * SHORT) if warn_s and silence_s else None
