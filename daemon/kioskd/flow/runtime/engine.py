"""The loop that takes events, has the core decide, and hands out the effects."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kioskd.core.effects import Effect
from kioskd.core.events import Event, Heartbeat
from kioskd.core.machine import State, effects_of_policy, levels, step
from kioskd.core.policy import Policy
from kioskd.flow.runtime.mailbox import Mailbox
from kioskd.ports import Clock

log = logging.getLogger(__name__)

Observer = Callable[[float, Event, State, State, tuple[Effect, ...]], None]
"""Gets each step: the clock's time, the event, the state before and after, the effects."""

Performers = Mapping[type, Callable[[Any], None]]
"""The function for each kind of effect. It hands the effect over and returns; it awaits nothing."""


class Engine:
    """Runs the core. A step is synchronous: nothing else happens in its middle."""

    def __init__(
        self,
        policy: Policy,
        mailbox: Mailbox,
        performers: Performers,
        clock: Clock,
        *,
        current: Callable[[Event], bool],
        observers: Sequence[Observer] = (),
    ) -> None:
        self._policy = policy
        self._mailbox = mailbox
        self._performers = performers
        self._clock = clock
        self._current = current
        self._observers = observers
        self.state = State()

    def use_policy(self, policy: Policy) -> None:
        old, self._policy = self._policy, policy
        self._perform(effects_of_policy(self.state, old, policy))

    async def run(self) -> None:
        while True:
            event = await self._mailbox.take()
            if self._current(event):
                self._step(event)

    def _step(self, event: Event) -> None:
        before = self.state
        self.state, effects = step(before, event, self._policy)
        if not isinstance(event, Heartbeat):
            log.debug("= %s: shown=%s", event, levels(self.state, self._policy).shown)
        self._perform(effects)
        for observe in self._observers:
            observe(self._clock.now(), event, before, self.state, effects)

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            self._performers[type(effect)](effect)
