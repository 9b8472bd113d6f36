"""Long random walks: the laws of the core hold after any events in any order."""

import random
from collections import Counter
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.support.core_walks import POLICIES, Likely, Move, Walk, Wild, moves

from kioskd.core import turn as turns
from kioskd.core.link_state import MOST_ROLLOVERS, LinkPhase, LinkTrouble
from kioskd.core.policy import Policy

FEWEST_STEPS: Final = 3_000
MOST_STEPS: Final = 10_000
"""Steps of a long walk. It ends between the two, when it has met every state."""


class Anything(RuleBasedStateMachine):
    """Random walk of hypothesis, which shrinks a failure to the shortest walk."""

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


def wander(walk: Walk, chance: random.Random) -> None:
    """Take one step: most often a likely one, sometimes one of a service that ends its
    connections at once.
    """
    if chance.random() < 0.35 and (hasty := walk.hasty()):
        walk.take(hasty)
        return
    move: Move = Likely(chance.randrange(128), chance.random())
    if chance.random() < 0.2:
        move = Wild(chance.randrange(128), chance.choice((0, 0, -1, 1)), chance.choice((0, 1, -1)))
    walk.take(move.event(walk))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_laws_hold_in_a_long_walk_that_meets_every_state(policy: Policy) -> None:
    chance = random.Random(20261122)
    walk = Walk(policy)
    everything: set[object] = {
        *turns.TurnPhase,
        *LinkPhase,
        *LinkTrouble,
        *(("hops", hops) for hops in range(MOST_ROLLOVERS + 1)),
        "refused handle",
        "probe",
    }
    if not policy.half_duplex:
        everything.discard(turns.TurnPhase.REVERBERATING)
    met: Counter[object] = Counter()
    for number in range(MOST_STEPS):
        if number >= FEWEST_STEPS and set(met) == everything:
            break
        wander(walk, chance)
        link = walk.state.link
        met.update(
            [
                walk.state.turn.phase,
                link.phase,
                link.trouble,
                ("hops", min(link.rollovers_in_a_row, MOST_ROLLOVERS)),
            ]
        )
        met.update(["refused handle"] if walk.refused else [])
        met.update(["probe"] if not walk.state.turn.awake and link.phase is LinkPhase.DIALING else [])
    assert set(met) == everything
    assert walk.state.turn.conversation > 20


def test_the_laws_hold_while_the_settings_change() -> None:
    chance = random.Random(20261121)
    walk = Walk(POLICIES[0])
    changes = 0
    for _ in range(6_000):
        if chance.random() < 0.05:
            before = walk.policy
            walk.use_policy(chance.choice(POLICIES))
            changes += walk.policy != before
        wander(walk, chance)
    assert changes > 100
