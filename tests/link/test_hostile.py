"""A short round of every attack of `scripts/soak --hostile`. The daemon survives, in bounded memory."""

import pytest
from tests.soak.hostile import ATTACKS, attacks, row

SCALE = 0.002


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_ends_the_daemon_or_blocks_its_loop(name: str) -> None:
    (wounds,) = attacks([name], 20261130, scale=SCALE)
    assert wounds.cases >= 20
    assert not wounds.fatal, row(wounds)
