"""A camera that takes as long as a test decides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.pictures import jpeg

from kioskd.adapters.fakes.devices import MemoryCamera


class GatedCamera(MemoryCamera):
    """Camera that waits for the test's permission to start, to give its picture, and to stop."""

    def __init__(self) -> None:
        super().__init__(jpeg())
        self.may_start, self.may_shoot, self.may_stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for gate in (self.may_start, self.may_shoot, self.may_stop):
            gate.set()
        self.starting, self.shooting = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def look(self) -> AsyncIterator["GatedCamera"]:
        self.starting.set()
        await self.may_start.wait()
        async with super().look():
            yield self
        self.running = not self.may_stop.is_set()

    async def shoot(self) -> bytes:
        self.shooting.set()
        await self.may_shoot.wait()
        return await super().shoot()

    async def released(self) -> None:
        await self.may_stop.wait()
        self.running = False
