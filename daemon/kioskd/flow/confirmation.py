"""A tool's question to whoever stands there: the lamp asks, a press of the button allows."""

import asyncio
from collections.abc import Callable
from typing import Final

from kioskd.core.effects import Confirm, Effect
from kioskd.core.events import ConfirmWanted, Event
from kioskd.core.machine import State
from kioskd.ports import Clock

ASK_S: Final = 10.0
"""Seconds that a person has to press the button, from when the lamp asks."""


class Confirmation:
    """Asks one question at a time: a press allows one call, and only the one that the lamp was asking for."""

    def __init__(self, post: Callable[[Event], None], clock: Clock) -> None:
        self._post = post
        self._clock = clock
        self._turn = asyncio.Lock()
        self._asked = 0
        self._shown = 0
        self._allowed = False
        self._over = asyncio.Event()

    async def ask(self, _name: str) -> bool:
        """Return whether the button was pressed for it within `ASK_S`; cancelling ends the asking.

        A question waits for those before it, and has its own seconds then.
        """
        async with self._turn:
            self._allowed = False
            self._over.clear()
            self._asked += 1
            alarm = self._clock.call_later(ASK_S, self._over.set)
            self._post(ConfirmWanted(wanted=True))
            try:
                await self._over.wait()
                return self._allowed
            finally:
                alarm.cancel()
                self._post(ConfirmWanted(wanted=False))

    def allow(self, _effect: Confirm) -> None:
        """Take a press. One for a question that is over does not answer the next, which the lamp has not shown yet."""
        if self._shown == self._asked:
            self._allowed = True
            self._over.set()

    def observe(
        self, _now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        if isinstance(event, ConfirmWanted) and event.wanted:
            self._shown += 1
