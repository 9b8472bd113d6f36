"""A short round of every attack of `scripts/soak --hostile`: nothing ends, nothing holds the loop, memory stays bounded."""

import pytest
from tests.soak.hostile import ATTACKS, attacks, row

SCALE = 0.002


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_ends_and_nothing_is_held_up(name: str) -> None:
    (wounds,) = attacks([name], 20261130, scale=SCALE)
    assert wounds.cases >= 20
    assert not wounds.fatal, row(wounds)
