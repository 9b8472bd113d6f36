"""The turn's timers: what each does, and the phases in which it does nothing."""

from collections.abc import Callable
from itertools import product

import pytest
from tests.support.core import (
    ALWAYS_ON,
    AWAKE,
    EPOCH,
    FULL_DUPLEX,
    HALF_DUPLEX,
    asleep,
    listening,
    of_type,
    reverberating,
    run,
    speaking,
    thinking,
    turn_after,
)

from kioskd.core.effects import CancelTimer, Flush, SetTimer
from kioskd.core.events import (
    CallsChanged,
    Event,
    ReplyBegan,
    ReplyPlayed,
    ReplyStarved,
    Timer,
    TimerFired,
)
from kioskd.core.machine import State
from kioskd.core.policy import Policy
from kioskd.core.turn import TurnPhase

Builder = Callable[..., State]


def test_the_idle_timer_ends_the_conversation() -> None:
    assert turn_after(listening(), TimerFired(Timer.IDLE)).phase is TurnPhase.ASLEEP


def test_the_think_timer_gives_the_turn_to_the_visitor() -> None:
    assert turn_after(thinking(), TimerFired(Timer.THINK)).phase is TurnPhase.LISTENING


def test_the_tail_timer_gives_the_turn_to_the_visitor() -> None:
    assert turn_after(reverberating(), TimerFired(Timer.TAIL)).phase is TurnPhase.LISTENING


@pytest.mark.parametrize("builder", [listening, thinking, reverberating])
def test_the_longest_timer_ends_the_conversation(builder: Builder) -> None:
    assert turn_after(builder(), TimerFired(Timer.LONGEST)).phase is TurnPhase.ASLEEP


def test_overtime_lets_the_reply_finish() -> None:
    state, effects = run(speaking(reply=4), TimerFired(Timer.LONGEST))
    assert (state.turn.phase, state.turn.overtime) == (TurnPhase.SPEAKING, True)
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_overtime_ends_with_the_reply(policy: Policy) -> None:
    state, effects = run(speaking(reply=4), TimerFired(Timer.LONGEST), ReplyPlayed(4), policy=policy)
    assert state.turn.phase is TurnPhase.ASLEEP
    assert of_type(Flush, effects) == []


def test_the_grace_timer_cuts_an_endless_reply_short() -> None:
    state, effects = run(speaking(reply=4, overtime=True), TimerFired(Timer.GRACE))
    assert state.turn.phase is TurnPhase.ASLEEP
    assert of_type(Flush, effects) == [Flush(4)]


@pytest.mark.parametrize(
    ("policy", "phase"), [(HALF_DUPLEX, TurnPhase.REVERBERATING), (FULL_DUPLEX, TurnPhase.LISTENING)]
)
def test_a_stalled_reply_gives_the_turn_to_the_visitor(policy: Policy, phase: TurnPhase) -> None:
    state, effects = run(speaking(reply=4), ReplyStarved(4), policy=policy)
    assert SetTimer(Timer.STALLED, policy.stall_s) in effects
    assert turn_after(state, TimerFired(Timer.STALLED), policy=policy).phase is phase


@pytest.mark.parametrize("event", [ReplyStarved(None), CallsChanged(EPOCH, pending=1), ReplyBegan(EPOCH, 5)])
def test_a_reply_that_goes_on_or_waits_for_a_tool_is_not_stalled(event: Event) -> None:
    state, effects = run(speaking(reply=4), ReplyStarved(4), event)
    assert CancelTimer(Timer.STALLED) in effects
    assert state.turn.phase is TurnPhase.SPEAKING


def test_a_stalled_farewell_ends_the_conversation() -> None:
    state, _ = run(speaking(reply=4, leaving=True), ReplyStarved(4), TimerFired(Timer.STALLED))
    assert state.turn.phase is TurnPhase.ASLEEP


def test_the_again_timer_wakes_an_always_on_kiosk() -> None:
    assert turn_after(asleep(), TimerFired(Timer.AGAIN), policy=ALWAYS_ON).phase is TurnPhase.LISTENING


@pytest.mark.parametrize(
    ("builder", "timer"),
    [
        *product([asleep, thinking, speaking, reverberating], [Timer.IDLE]),
        *product([asleep, listening, speaking, reverberating], [Timer.THINK]),
        *product([asleep, listening, thinking, speaking], [Timer.TAIL]),
        *product([asleep, listening, thinking, reverberating], [Timer.STALLED]),
        (asleep, Timer.LONGEST),
        *product([asleep, reverberating], [Timer.GRACE]),
        *product(AWAKE, [Timer.AGAIN]),
    ],
)
def test_a_late_timer_does_nothing(builder: Builder, timer: Timer) -> None:
    assert run(builder(), TimerFired(timer)) == (builder(), [])
