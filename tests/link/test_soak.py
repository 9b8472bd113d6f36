"""A thousand connections ended in every way there is, and not a frame of what the visitor said lost or told twice."""

import pytest
from tests.soak.endings import ENDINGS
from tests.soak.run import Outcome, Plan, faults, soak, table

PLAN = Plan(rollovers=1000, kiosks=24)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return soak(PLAN)


@pytest.mark.timeout(300)
def test_a_thousand_rollovers_lose_nothing_and_leave_nothing_behind(outcome: Outcome) -> None:
    assert outcome.rollovers >= 1000
    assert list(faults(outcome)) == [], "\n".join(table(outcome))


@pytest.mark.timeout(300)
def test_every_ending_was_met_while_the_visitor_spoke(outcome: Outcome) -> None:
    assert {ending.name for ending in ENDINGS} <= outcome.rows.keys()
    assert all(len(outcome.rows[ending.name].gaps_ms) >= 10 for ending in ENDINGS)
    # Frames on their way when a connection broke: else nothing was put to the test.
    assert sum(row.resent for row in outcome.rows.values()) > 100
    assert outcome.sent * 0.02 > 600, "ten minutes of speech at least"
    assert outcome.conversations >= PLAN.kiosks
