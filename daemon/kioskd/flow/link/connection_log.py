"""Counts and journal lines about connections: their cost in waiting time and in billed tokens."""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Final

from kioskd.media import pcm
from kioskd.ports import Clock, Connection, UsageReported

log = logging.getLogger(__name__)

LEFT: Final = "left"
"""The cause of an end that the kiosk chose: it fell asleep, or moved to another connection."""


@dataclass(slots=True)
class _Ended:
    """A connection that has ended, while its successor is not known yet."""

    epoch: int
    at: float
    age_s: float
    cause: str
    delivered: int
    """Frames that the service has received."""


class ConnectionLog:
    """Writes one line about each connection that ended. For the event loop's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ended: _Ended | None = None
        self.counts: Counter[str] = Counter()
        """All connections by their fate, and all tokens that the service bills."""

    def up(self, epoch: int, connection: Connection, took_s: float, held_s: float) -> None:
        """Note a new connection, `took_s` seconds after its dial. `held_s` seconds of sound wait for it."""
        self.counts["up: resumed" if connection.resumed else "up: new session"] += 1
        self._account("resumed" if connection.resumed else "new session", held_s)
        log.info("link up: epoch=%d resumed=%s took=%.2fs", epoch, connection.resumed, took_s)

    def over(self, epoch: int, connection: Connection | None, dialed: float, cause: str) -> None:
        """Note the end of a dial or of its connection. `dialed` is the clock's time when the dial began."""
        self.counts[f"ended: {cause}" if connection else f"not made: {cause}"] += 1
        if connection is not None:
            now = self._clock.now()
            self._ended = _Ended(epoch, now, now - dialed, cause, connection.delivered)

    def _account(self, action: str, held_s: float) -> None:
        """Log the end of the previous connection. Only now the length of the gap is known."""
        ended, self._ended = self._ended, None
        if ended is None:
            return
        gap_ms = round((self._clock.now() - ended.at) * 1000)
        log.info(
            "connection ended: epoch=%d age=%.1fs cause=%s action=%s gap=%dms delivered=%.1fs held=%.2fs",
            ended.epoch,
            ended.age_s,
            ended.cause,
            action,
            gap_ms,
            ended.delivered * pcm.FRAME_MS / 1000,
            held_s,
            extra={"fields": {"epoch": ended.epoch, "cause": ended.cause, "gap_ms": gap_ms}},
        )

    def asleep(self, held_s: float) -> None:
        """Log the last connection's end and the counts, because the conversation is over."""
        self._account("asleep", held_s)
        log.info("link since start: %s", ", ".join(f"{what}={n}" for what, n in sorted(self.counts.items())))

    def usage(self, message: UsageReported, epoch: int) -> None:
        """Count the tokens that the service bills for an exchange."""
        if not message.plausible:
            log.warning("the service reports impossible usage, not counted: epoch=%d", epoch)
            return
        self.counts["tokens: prompt"] += message.prompt_tokens
        self.counts["tokens: response"] += message.response_tokens
        log.debug("< usage: prompt=%d response=%d tokens", message.prompt_tokens, message.response_tokens)
