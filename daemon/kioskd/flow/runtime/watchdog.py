"""The watchdog: it tells the service manager "ready" and "alive", by evidence only.

The service manager hears "alive" only if every part has worked since the last time. So a kiosk cannot be
"active" and deaf for long.
"""

import logging
from collections.abc import Callable, Mapping

from kioskd import journal_ids
from kioskd.core.effects import Effect
from kioskd.core.events import Event, Heartbeat, Started
from kioskd.core.machine import State
from kioskd.ports import Clock, Notifier

log = logging.getLogger(__name__)

Evidence = Callable[[], int | None]
"""Returns a count that rises while a part works; None if the part is not expected to work.

A part is not expected to work if it has nothing to do, or if `DeviceSupervisor.missing` is true for it.
People see that it is missing, and a restart would not help.
"""

READY_CHECK_S = 0.005
WITHOUT_WATCHDOG_S = 10.0
"""The seconds between two checks if the service manager has no watchdog. The journal still names faults."""


class Watchdog:
    """Checks that all parts of the daemon work, and reports this to the service manager."""

    def __init__(
        self,
        clock: Clock,
        post: Callable[[Event], None],
        notifier: Notifier,
        evidence: Mapping[str, Evidence],
    ) -> None:
        self._clock = clock
        self._post = post
        self._notifier = notifier
        self._beat = 0
        self._answered = 0
        self._evidence: dict[str, Evidence] = {**evidence, "engine": lambda: self._answered}
        self._seen: dict[str, int | None] = {}
        self._ailing: dict[str, float] = {}

    def observe(
        self, _now: float, event: Event, _before: State, _after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note that a heartbeat has passed through the engine."""
        if isinstance(event, Heartbeat):
            self._answered = event.beat

    async def run(self) -> None:
        """Report "ready" once each part works or is known to be missing; then check them until cancelled.

        A kiosk that waits for its microphone is ready: it shows the fault.
        """
        while not all(read() != 0 for read in self._evidence.values()):
            self._next_beat()
            await self._clock.sleep(READY_CHECK_S)
        self._post(Started())
        self._notifier.ready()
        log.info("ready", extra={"message_id": journal_ids.READY})
        # Three checks in a watchdog period, so that one late check does not end the process.
        interval_s = (self._notifier.watchdog_s or 3 * WITHOUT_WATCHDOG_S) / 3
        while True:
            self._look()
            self._next_beat()
            await self._clock.sleep(interval_s)

    def _next_beat(self) -> None:
        if self._answered == self._beat:  # an engine that hangs gets no more heartbeats
            self._beat += 1
            self._post(Heartbeat(self._beat))

    def _look(self) -> None:
        now = self._clock.now()
        for part, read in self._evidence.items():
            count, before = read(), self._seen.get(part)
            self._seen[part] = count
            if count is None or count != before:
                if (since := self._ailing.pop(part, None)) is not None:
                    news = "works again" if count is not None else "is not expected to work now"
                    log.warning("%s %s: after=%.0fs", part, news, now - since)
            elif part not in self._ailing:
                self._ailing[part] = now
                log.error(
                    "%s shows no sign of life: the watchdog is not fed until it does",
                    part,
                    extra={"message_id": journal_ids.NO_SIGN_OF_LIFE},
                )
        if not self._ailing:
            self._notifier.alive()
