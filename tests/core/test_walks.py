"""Long walks: whatever happens, in whatever order, the laws of the core hold."""

import random
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.support.core_walks import POLICIES, Likely, Move, Walk, Wild, moves

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.policy import Policy


class Anything(RuleBasedStateMachine):
    """Whatever hypothesis thinks of; a failure is shrunk to the shortest story."""

    @initialize(policy=st.sampled_from(POLICIES))
    def begin(self, policy: Policy) -> None:
        self.walk = Walk(policy)

    @rule(move=moves)
    def happen(self, move: Move) -> None:
        self.walk.take(move.event(self.walk))


test_whatever_happens_the_laws_hold = pytest.mark.timeout(400)(Anything.TestCase)
Anything.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
)


@pytest.mark.parametrize("policy", POLICIES)
def test_in_a_long_life_the_laws_hold_and_every_state_is_met(policy: Policy) -> None:
    chance = random.Random(20261120)
    walk = Walk(policy)
    met: Counter[turns.Phase | links.Phase] = Counter()
    for _ in range(3_000):
        move: Move = Likely(chance.randrange(64), chance.random())
        if chance.random() < 0.2:
            move = Wild(
                chance.randrange(64),
                chance.choice((0, 0, -1, 1)),
                chance.choice((0, 1, -1)),
                chance.random() < 0.5,
            )
        walk.take(move.event(walk))
        met.update([walk.state.turn.phase, walk.state.link.phase])
    everything = {*turns.Phase, *links.Phase}
    assert set(met) == (everything if policy.half_duplex else everything - {turns.Phase.RINGING})
    assert walk.state.turn.conversation > 20
