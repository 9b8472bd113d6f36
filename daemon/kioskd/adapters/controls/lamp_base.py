"""The part that all lamps share: each shows the newest light."""

import asyncio
from collections.abc import Callable
from typing import NoReturn

from kioskd.ports import DARK, Light


class LampBase:
    """The half of a `ports.Lamp` that keeps the newest light."""

    def __init__(self) -> None:
        self._light = DARK
        self._changed = asyncio.Event()

    def shine(self, light: Light) -> None:
        """Show `light` from now on; see `ports.Lamp`."""
        if light != self._light:
            self._light = light
            self._changed.set()

    async def _follow(self, write: Callable[[Light], None]) -> NoReturn:
        """Write the current light, and the newest light after each change, until cancelled."""
        while True:
            self._changed.clear()
            write(self._light)
            await self._changed.wait()
