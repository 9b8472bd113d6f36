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
UNSEEN_S: Final = 0.7
"""A press so soon after the lamp began to ask is no answer: nobody sees and decides so quickly. Nor is one from before,
which may have waited for a second one to follow; see `core.gesture`."""


class Confirmation:
    """Asks one question at a time: a press allows one call, and only the one that the lamp was asking for."""

    def __init__(self, post: Callable[[Event], None], clock: Clock) -> None:
        self._post = post
        self._clock = clock
        self._turn = asyncio.Lock()
        self._shown_s: float | None = None
        """When the lamp began to ask the question that is open; None: it has not yet."""
        self._allowed = False
        self._over = asyncio.Event()

    async def ask(self, _name: str) -> bool:
        """Return whether the button was pressed for it within `ASK_S`; cancelling ends the asking.

        A question waits for those before it, and has its own seconds then.
        """
        async with self._turn:
            self._allowed = False
            self._over.clear()
            self._shown_s = None
            alarm = self._clock.call_later(ASK_S, self._over.set)
            self._post(ConfirmWanted(wanted=True))
            try:
                await self._over.wait()
                return self._allowed
            finally:
                alarm.cancel()
                self._post(ConfirmWanted(wanted=False))

    def allow(self, _effect: Confirm) -> None:
        """Take a press. One that was made before anybody can have seen the question does not answer it, be it meant for
        the question before or for something else.
        """
        if self._shown_s is not None and self._clock.now() - self._shown_s >= UNSEEN_S:
            self._allowed = True
            self._over.set()

    def observe(
        self, _now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        if isinstance(event, ConfirmWanted) and event.wanted:
            self._shown_s = self._clock.now()
