"""Hostile schemas, calls and answers neither end the daemon nor block its loop.

With KIOSKD_SLOW=1 there are a thousand of them.
"""

import asyncio
import sys

from tests.support.hostile_calls import made, suffer, warm
from tests.support.loop_holds import holds
from tests.support.slow import SLOW

CASES = 1000 if SLOW else 100


def test_hostile_calls_neither_end_the_daemon_nor_block_the_loop() -> None:
    async def calls() -> int:
        return sum([await suffer(case) async for case in made(13, CASES)])

    warm()
    with holds() as longest:
        kept = asyncio.run(calls())
    sys.stdout.write(
        f"{kept} of {CASES} schemas were taken; the longest hold was {longest.longest_s * 1000:.0f} ms\n"
    )
    assert kept > CASES / 20
    assert longest.longest_s < longest.limit_s, longest
