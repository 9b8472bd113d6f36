"""A kiosk in good health, for the tests of the checks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.doctor.planting import Kiosk

from kioskd.simulator import Reply, ServiceScript, Simulator


@pytest.fixture
async def kiosk(tmp_path: Path) -> AsyncIterator[Kiosk]:
    async with Simulator(ServiceScript(replies=(Reply(silent=True),))) as service:
        yield Kiosk(tmp_path, service)
