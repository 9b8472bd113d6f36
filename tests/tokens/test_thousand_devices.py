"""A thousand devices ask for tokens within a minute. The token service is a process of its own.

Without KIOSKD_SLOW=1, two hundred devices ask at the same rate.
"""

import asyncio
import contextlib
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest
from tests.support.fleet import Issued, TokenHost, token_host
from tests.support.slow import SLOW
from tests.support.until import until

from kioskd.errors import LinkLost, Remedy

pytestmark = pytest.mark.measured

DEVICES: Final = 1000 if SLOW else 200
WITHIN_S: Final = 45.0 * DEVICES / 1000
"""Seconds over which the devices begin to ask."""
MOST_MB: Final = 300.0
MOST_P99_S: Final = 8.0
"""Seconds that a device waits for its token at most; it then gives up."""


@asynccontextmanager
async def own_process(host: TokenHost) -> AsyncIterator[psutil.Process]:
    """Run `kioskd tokens serve` until the block ends, and check that it ends well."""
    log = host.path.with_name("journal")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kioskd", "tokens", "serve", "--config", str(host.path)),
            env=os.environ | host.environ | {"JOURNAL_STREAM": ""},
            stderr=out,
        )
    try:
        await until(lambda: "token service ready" in log.read_text() or process.returncode is not None)
        assert process.returncode is None, log.read_text()
        yield psutil.Process(process.pid)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0, log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_devices_that_ask_at_once_get_their_own_rights_within_a_minute(tmp_path: Path) -> None:
    rows = [
        {"name": f"kiosk-{number}", "instructions": f"You are number {number}.", "connections_per_day": 5}
        for number in range(DEVICES)
    ]
    limits = {"all_per_minute": 2 * DEVICES}
    async with token_host(tmp_path, rows, limits=limits) as host, asyncio.timeout(300):
        devices = [host.authority.issue(str(row["name"])) for row in rows]
        async with own_process(host) as process:
            before = process.memory_info().rss
            took: list[float] = []
            refusals: list[int] = []
            began = time.monotonic()

            async def ask(number: int, device: Issued) -> str:
                await asyncio.sleep(number * WITHIN_S / DEVICES)
                start = time.monotonic()
                while True:
                    try:
                        token = await host.token(device)
                    except LinkLost as lost:  # as the daemon does, which asks again when it is told to
                        if lost.remedy is not Remedy.RESUME:
                            raise
                        refusals.append(number)
                        await asyncio.sleep(lost.retry_after_s or 1.0)
                    else:
                        took.append(time.monotonic() - start)
                        return token

            tokens = await asyncio.gather(*(ask(*each) for each in enumerate(devices)))
            lasted = time.monotonic() - began
            after = process.memory_info().rss
    assert len(set(tokens)) == DEVICES
    for number, token in enumerate(tokens):
        terms = host.simulator.state.tokens.terms(token)
        assert terms is not None
        assert terms.lock is not None
        assert terms.lock.setup["systemInstruction"]["parts"][0]["text"] == f"You are number {number}."
    cuts = statistics.quantiles(took, n=100)
    print(  # noqa: T201 - the figures are for people
        f"{DEVICES} tokens in {lasted:.1f} s: p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, "
        f"most {max(took) * 1000:.0f} ms, {len(refusals)} asked again; "
        f"memory {before / 1e6:.0f} MB at first, {after / 1e6:.0f} MB at last"
    )
    assert lasted < 60
    assert cuts[98] < MOST_P99_S
    assert after / 1e6 < MOST_MB
