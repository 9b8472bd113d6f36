"""The kiosk never hangs: after any walk, timers alone bring it back to sleep."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.support.core import asleep, dialing, listening, lost, refused, speaking
from tests.support.core_walks import PASSING, POLICIES, Move, Walk, moves

from kioskd.core import turn as turns
from kioskd.core.events import (
    ConnectionLost,
    ConnectionUp,
    Event,
    Pressed,
    ReplyPlayed,
    SettingsChanged,
    Timer,
    TimerFired,
)
from kioskd.core.link_state import LinkPhase, LinkTrouble
from kioskd.core.machine import State, levels, step
from kioskd.core.policy import Policy
from kioskd.errors import Remedy

ROUNDS = 6
"""Rounds of the longest way to sleep: a reply's tail, a wait, the silence, and a spare round for each."""


@dataclass
class Clocks:
    """The running timers, updated by differences as in the shell."""

    state: State
    policy: Policy

    def __post_init__(self) -> None:
        self.running = dict(levels(self.state, self.policy).timers)

    def take(self, event: Event) -> None:
        """Let `event` happen."""
        before = levels(self.state, self.policy).timers
        if isinstance(event, TimerFired):
            self.running.pop(event.timer, None)
        self.state, _ = step(self.state, event, self.policy)
        after = levels(self.state, self.policy).timers
        self.running = {
            timer: seconds
            for timer, seconds in after.items()
            if timer in self.running or before.get(timer) != seconds
        }


def settle(state: State, policy: Policy, order: random.Random, rounds: int = ROUNDS) -> State:
    """Return the state that follows `state` without visitor or service, if all running timers fire in any
    order.

    Some reports come in any case: a reply was heard to its end, a dial failed.
    """
    clocks = Clocks(state, policy)
    for _ in range(rounds):
        if not clocks.state.turn.awake:
            break
        due = sorted(clocks.running, key=lambda timer: timer.value)
        order.shuffle(due)
        for timer in due:
            if timer in clocks.running:
                clocks.take(TimerFired(timer))
            if clocks.state.link.phase is LinkPhase.DIALING:
                clocks.take(_nothing_comes_of_it(clocks.state, order))
        if clocks.state.turn.phase is turns.TurnPhase.SPEAKING:
            clocks.take(ReplyPlayed(clocks.state.turn.reply))
    if clocks.state.link.phase is LinkPhase.DIALING:
        clocks.take(_nothing_comes_of_it(clocks.state, order))
    return clocks.state


def _nothing_comes_of_it(state: State, order: random.Random) -> ConnectionLost:
    return ConnectionLost(state.link.epoch, order.choice(tuple(Remedy)), order.random())


class Abandoned(RuleBasedStateMachine):
    """Random walks of hypothesis; after each step only timers run."""

    @initialize(policy=st.sampled_from([policy for policy in POLICIES if not policy.always_on]))
    def begin(self, policy: Policy) -> None:
        self.walk = Walk(policy)

    @rule(move=moves)
    def happen(self, move: Move) -> None:
        self.walk.take(move.event(self.walk))

    @invariant()
    def an_abandoned_kiosk_falls_asleep(self) -> None:
        for seed in range(3):
            end = settle(self.walk.state, self.walk.policy, random.Random(seed))
            assert end.turn.phase is turns.TurnPhase.ASLEEP, f"{self.walk.state} ends as {end}"
            assert end.link.phase is LinkPhase.DOWN

    @invariant()
    def a_silent_model_does_not_stay_in_thinking(self) -> None:
        state, policy = self.walk.state, self.walk.policy
        if state.turn.phase is turns.TurnPhase.THINKING and not state.turn.calls:
            assert Timer.THINK in self.walk.shell.timers
            assert step(state, TimerFired(Timer.THINK), policy)[0].turn.phase is turns.TurnPhase.LISTENING

    @invariant()
    def refused_settings_are_tried_again(self) -> None:
        state, policy = self.walk.state, self.walk.policy
        if not state.turn.awake and state.link == refused(epoch=state.link.epoch).link:
            assert Timer.PROBE in self.walk.shell.timers
            assert step(state, TimerFired(Timer.PROBE), policy)[0].link.phase is LinkPhase.DIALING

    @invariant()
    def a_draining_connection_is_replaced(self) -> None:
        state, policy = self.walk.state, self.walk.policy
        if state.link.phase is LinkPhase.DRAINING:
            assert Timer.ROLLOVER in self.walk.shell.timers
            assert step(state, TimerFired(Timer.ROLLOVER), policy)[0].link.phase is LinkPhase.DIALING

    @invariant()
    def a_lost_connection_is_dialed_again(self) -> None:
        state, policy = self.walk.state, self.walk.policy
        if state.link.phase is LinkPhase.WAITING:
            assert Timer.RETRY in self.walk.shell.timers
            assert step(state, TimerFired(Timer.RETRY), policy)[0].link.phase is LinkPhase.DIALING


test_nothing_hangs = pytest.mark.timeout(400)(Abandoned.TestCase)
Abandoned.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
)


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy.always_on])
def test_an_always_on_kiosk_that_sleeps_wakes_by_itself(policy: Policy) -> None:
    assert step(asleep(), TimerFired(Timer.AGAIN), policy)[0].turn.awake
    assert Timer.AGAIN in levels(asleep(), policy).timers


def test_a_reply_whose_end_is_never_reported_does_not_keep_the_kiosk_awake() -> None:
    clocks = Clocks(speaking(), Policy())
    clocks.take(TimerFired(Timer.LONGEST))
    assert clocks.state.turn.awake
    clocks.take(TimerFired(Timer.GRACE))
    assert not clocks.state.turn.awake


def test_a_voice_whose_end_is_never_reported_does_not_keep_the_kiosk_awake() -> None:
    end = settle(listening(voice=True), Policy(), random.Random(0))
    assert end.turn.phase is turns.TurnPhase.ASLEEP


@pytest.mark.parametrize("policy", POLICIES)
def test_settings_mended_after_days_are_found_good_without_a_visitor(policy: Policy) -> None:
    clocks = Clocks(listening(dialing()), policy)
    clocks.take(lost(Remedy.SETTINGS))
    for _ in range(1_000):
        (timer,) = clocks.running
        assert clocks.running[timer] == policy.refused_s
        clocks.take(TimerFired(timer))
        assert clocks.state.link.phase is LinkPhase.DIALING
        clocks.take(lost(Remedy.SETTINGS, clocks.state.link.epoch))
    clocks.take(TimerFired(next(iter(clocks.running))))
    clocks.take(ConnectionUp(clocks.state.link.epoch, resumed=False))
    assert clocks.state.link.trouble is LinkTrouble.NONE
    assert clocks.state.turn.awake == policy.always_on


@pytest.mark.parametrize("mended", [SettingsChanged(), Pressed()])
def test_mended_settings_need_not_wait_for_the_next_probe(mended: Event) -> None:
    clocks = Clocks(refused(), Policy())
    clocks.take(mended)
    clocks.take(ConnectionUp(clocks.state.link.epoch, resumed=False))
    assert clocks.state.link.trouble is LinkTrouble.NONE


@pytest.mark.parametrize("remedy", [remedy for remedy in PASSING if remedy is not Remedy.CREDENTIALS])
def test_a_service_away_for_a_day_is_reached_again_while_the_visitor_speaks(remedy: Remedy) -> None:
    clocks = Clocks(listening(dialing(), voice=True), Policy(longest_s=100_000.0))
    waited_s = 0.0
    while waited_s < 86_400.0:
        clocks.take(lost(Remedy.RESUME, clocks.state.link.epoch))
        if clocks.state.link.phase is LinkPhase.DIALING:
            clocks.take(lost(remedy if waited_s else Remedy.RESUME, clocks.state.link.epoch))
        waited_s += clocks.running.get(Timer.RETRY, 0.0) + 0.1
        clocks.take(TimerFired(Timer.RETRY))
        assert clocks.state.link.phase is LinkPhase.DIALING
    clocks.take(ConnectionUp(clocks.state.link.epoch, resumed=False))
    assert clocks.state.turn.awake
    assert clocks.state.link.open
