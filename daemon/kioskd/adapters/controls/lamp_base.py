"""What every lamp has in common: it follows the newest light."""

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
        """Look like `light` from now on; see `ports.Lamp`."""
        if light != self._light:
            self._light = light
            self._changed.set()

    async def _follow(self, write: Callable[[Light], None]) -> NoReturn:
        """Write the light as it is, and at each change, until cancelled; of several changes at once the newest."""
        while True:
            self._changed.clear()
            write(self._light)
            await self._changed.wait()
