"""Loads the client library of the service: at once, or when the kiosk is ready and a press can wait."""

import asyncio

from kioskd.core.effects import Effect
from kioskd.core.events import Event, Started
from kioskd.core.machine import State
from kioskd.ports import Live


class ClientLoading:
    """Checks the settings of the service, and then loads its client library, once.

    The library takes as long to load as all the rest. A kiosk that sleeps first is ready before, and loads it
    then. A dial in between waits for it, while the pre-roll keeps the visitor's first word.
    """

    def __init__(self, live: Live, *, at_once: bool) -> None:
        """`at_once`: the kiosk dials when it starts, so it is ready only when the library is loaded."""
        self._live = live
        self._at_once = at_once
        self._wanted = asyncio.Event()
        if at_once:
            self._wanted.set()
        self._checked = self._loaded = False

    @property
    def ready(self) -> bool:
        """Whether the kiosk can say that it is ready."""
        return self._loaded if self._at_once else self._checked

    def observe(
        self, _now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note that the kiosk is ready; see `engine.Observer`."""
        if isinstance(event, Started):
            self._wanted.set()

    async def run(self) -> None:
        """Check and load, then return.

        Raises:
            ConfigError: the settings of the service cannot be used.
        """
        await self._live.check()
        self._checked = True
        await self._wanted.wait()
        await self._live.warm_up()
        self._loaded = True
