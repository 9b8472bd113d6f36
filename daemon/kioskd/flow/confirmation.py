"""A tool's question to whoever stands there: the lamp asks, a press of the button allows."""

import asyncio
from collections.abc import Callable

from kioskd.core.effects import Confirm, Effect
from kioskd.core.events import ConfirmWanted, Event
from kioskd.core.machine import State


class Confirmation:
    """Asks one question at a time: a press allows one call, and only the one that the lamp was asking for."""

    def __init__(self, post: Callable[[Event], None]) -> None:
        self._post = post
        self._turn = asyncio.Lock()
        self._asked = 0
        self._shown = 0
        self._allowed = asyncio.Event()

    async def ask(self, _name: str) -> bool:
        """Return True when the button was pressed for it. The caller sets the deadline; cancelling ends the asking."""
        async with self._turn:
            self._allowed.clear()
            self._asked += 1
            self._post(ConfirmWanted(wanted=True))
            try:
                return await self._allowed.wait()
            finally:
                self._post(ConfirmWanted(wanted=False))

    def allow(self, _effect: Confirm) -> None:
        """Take a press. One for a question that is over does not answer the next, which the lamp has not shown yet."""
        if self._shown == self._asked:
            self._allowed.set()

    def observe(
        self, _now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        if isinstance(event, ConfirmWanted) and event.wanted:
            self._shown += 1
