"""Evidence of life -> ready, watchdog.

The service manager is told that the daemon lives only when every part has shown it since the last time: a kiosk that
is "active" and deaf is what this module is here to make impossible.
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
"""A count that rises while a part works; None while nobody can expect it to: it has nothing to do, or is known to be
away (`DeviceSupervisor.missing`), which people are shown and which a restart would not mend."""

READY_CHECK_S = 0.005
WITHOUT_WATCHDOG_S = 10.0
"""How often to look where no service manager asks: the journal still says what is wrong."""


class Watchdog:
    """The daemon's own doctor, day and night."""

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
        """See the heartbeat come out of the engine at the other end."""
        if isinstance(event, Heartbeat):
            self._answered = event.beat

    async def run(self) -> None:
        """Say that the daemon is ready when each part has worked once, or is known to be away; then look after it.

        A kiosk that waits for its microphone serves: it shows what is wrong. Runs until cancelled.
        """
        while not all(read() != 0 for read in self._evidence.values()):
            self._next_beat()
            await self._clock.sleep(READY_CHECK_S)
        self._post(Started())
        self._notifier.ready()
        log.info("ready", extra={"message_id": journal_ids.READY})
        # Three looks in a deadline: one late look is not a death.
        interval_s = (self._notifier.watchdog_s or 3 * WITHOUT_WATCHDOG_S) / 3
        while True:
            self._look()
            self._next_beat()
            await self._clock.sleep(interval_s)

    def _next_beat(self) -> None:
        if self._answered == self._beat:  # an engine that hangs is not sent more
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
