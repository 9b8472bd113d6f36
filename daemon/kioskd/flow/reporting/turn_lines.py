"""Journal lines about turns: three lines in a minute at most, and one that sums up the further turns."""

import logging
from collections.abc import Mapping
from typing import Final

from kioskd import journal_ids
from kioskd.flow.reporting.turn_timing import TurnTimes

log = logging.getLogger(__name__)

FEW: Final = 3
"""The most turns in a minute that have a line of their own."""

MINUTE_S: Final = 60.0

ENDINGS: Final = {
    "heard": "and was heard to its end",
    "interrupted": "until the visitor interrupted it",
    "silenced": "until a press or a command silenced it",
    "stalled": "and stopped without an end",
    "asleep": "until the conversation ended",
}
"""The end of an answer, in words."""


class TurnLines:
    """Writes journal lines about turns. A minute begins with its first turn."""

    def __init__(self) -> None:
        self._began: float | None = None
        """The clock's time when the minute began; None before its first turn."""
        self._said = 0
        self._more: list[float | None] = []
        """The visitor's waits, in seconds, in those turns of the minute that have no line of their own."""

    def tell(
        self, now: float, number: int, times: TurnTimes, fields: Mapping[str, object], *, somebody: bool
    ) -> None:
        """Log the end of a turn. `somebody`: a person is there; else the line may be held back."""
        self.look(now)
        if somebody:
            self._began = now if self._began is None else self._began
            if self._said >= FEW:
                self._more.append(times.waited)
                return
            self._said += 1
        extra = {"fields": fields, "message_id": journal_ids.TURN, "visitor": somebody}
        log.info("turn %d: %s", number, words(times), extra=extra)

    def look(self, now: float) -> None:
        if self._began is not None and now - self._began >= MINUTE_S:
            self.sum_up()

    def sum_up(self) -> None:
        """Log the turns that have no line of their own. The next turn begins a new minute."""
        count, waits = len(self._more), [waited for waited in self._more if waited is not None]
        self._began, self._said, self._more = None, 0, []
        if not count:
            return
        text = f"{count} more turn{'s' * (count > 1)} in the last minute"
        fields: dict[str, object] = {"turns": count}
        if waits:
            from statistics import median  # noqa: PLC0415 - brings decimals and fractions, 3 ms of a start

            text += f": the visitor waited {median(waits):.1f} s in the median, {max(waits):.1f} s at most"
            fields |= {"median_ms": round(median(waits) * 1000), "longest_ms": round(max(waits) * 1000)}
        log.info("%s", text, extra={"fields": fields, "message_id": journal_ids.TURNS, "visitor": True})


def words(times: TurnTimes) -> str:
    """Return in words where the time of a turn went, and how the turn ended."""
    if times.ended == "unanswered":
        return f"the visitor spoke{_seconds(times.spoke)} and got no answer"
    parts = [] if times.spoke is None else [f"the visitor spoke{_seconds(times.spoke)}"]
    if times.waited is not None:
        parts.append(f"waited{_seconds(times.waited)} for the answer")
    if times.reply is None:
        parts.append("the answer was not heard")
    else:
        parts.append(f"the answer lasted{_seconds(times.reply)} {ENDINGS[times.ended]}")
    return ", ".join(parts)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f" {seconds:.1f} s"
