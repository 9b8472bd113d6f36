"""Counts of each tool's calls: for a turn, a conversation and a day, and of calls with equal arguments."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from kioskd.tools.guard import Guard


class CallsToday(Protocol):
    """Counts of today's calls, which survive a restart."""

    def calls_today(self, tool: str) -> int | None:
        """Return the number of calls of `tool` today; None if the stored count was lost."""

    def count_call(self, tool: str) -> None:
        """Count a call."""


class DayCounts:
    """Counts that end with the process, for trials; a `CallsToday`."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()

    def calls_today(self, tool: str) -> int:
        """Return the number of calls of `tool`."""
        return self._calls[tool]

    def count_call(self, tool: str) -> None:
        """Count a call."""
        self._calls[tool] += 1


@dataclass(slots=True)
class _Span:
    """One turn or conversation, and its calls."""

    key: object = None
    calls: Counter[str] = field(default_factory=Counter)

    def now(self, key: object) -> Counter[str]:
        """Return the calls of the span `key`; a new span begins without calls."""
        if key != self.key:
            self.key, self.calls = key, Counter()
        return self.calls


class CallCounts:
    """The counts that guards limit. Turns and conversations are counted in memory, days in `day`."""

    def __init__(self, day: CallsToday) -> None:
        """`day` counts only tools with a daily limit."""
        self._day = day
        self._turn, self._conversation = _Span(), _Span()

    def enter(self, name: str, guard: Guard, sameness: str, when: tuple[int, int]) -> str | None:
        """Count a call and return None; at a limit return the reason, in words for the model.

        `sameness` is equal for calls with equal arguments, and never equals a tool's name. `when`: the
        conversation and the turn.
        """
        in_turn, in_conversation = self._turn.now(when), self._conversation.now(when[0])
        if guard.same_calls and in_turn[sameness] >= guard.same_calls:
            return (
                f"the same call was made {in_turn[sameness]} times, and another one will change nothing; "
                "use its answer, or tell the visitor"
            )
        for calls, most, span in (
            (in_turn[name], guard.per_turn, "for this turn"),
            (in_conversation[name], guard.per_conversation, "for this conversation"),
            (self._day.calls_today(name) if guard.per_day else 0, guard.per_day, "for today"),
        ):
            if calls is None:
                return "the count of today's calls is lost, so this tool stays off today; tell the visitor"
            if most and calls >= most:
                return f"it was called {calls} times, which is the limit {span}; tell the visitor"
        in_turn[name] += 1
        in_turn[sameness] += 1
        in_conversation[name] += 1
        if guard.per_day:
            self._day.count_call(name)
        return None
