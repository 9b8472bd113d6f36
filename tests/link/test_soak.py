"""A thousand connections that end in every known way. No frame of the visitor's speech is lost or doubled."""

import pytest
from tests.soak.endings import ENDINGS
from tests.soak.run import Outcome, Plan, faults, soak, table

pytestmark = pytest.mark.measured

PLAN = Plan(rollovers=1000, kiosks=24)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return soak(PLAN)


@pytest.mark.timeout(300)
def test_a_thousand_rollovers_lose_no_frame_and_leak_nothing(outcome: Outcome) -> None:
    assert outcome.rollovers >= 1000
    assert list(faults(outcome)) == [], "\n".join(table(outcome))


@pytest.mark.timeout(300)
def test_every_ending_was_met_while_the_visitor_spoke(outcome: Outcome) -> None:
    assert {ending.name for ending in ENDINGS} <= outcome.rows.keys()
    assert all(len(outcome.rows[ending.name].gaps_ms) >= 10 for ending in ENDINGS)
    # Frames were on their way when connections broke. Otherwise the test would prove nothing.
    assert sum(row.resent for row in outcome.rows.values()) > 100
    assert outcome.sent * 0.02 > 600, "at least ten minutes of speech"
    assert outcome.conversations >= PLAN.kiosks
