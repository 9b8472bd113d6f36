"""How often each tool was called: by turn, conversation and day, and how often with the very same arguments."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from kioskd.tools.guard import Guard


class CallsToday(Protocol):
    """The calls of today: somebody knows what a day is, and keeps them over restarts."""

    def calls_today(self, tool: str) -> int | None:
        """Return how often `tool` was called today, as far as it was counted; None if nobody knows any more."""

    def count_call(self, tool: str) -> None:
        """Count a call."""


class DayCounts:
    """A day that ends with the process, for trials; a `CallsToday`."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()

    def calls_today(self, tool: str) -> int:
        """Return how often `tool` was called."""
        return self._calls[tool]

    def count_call(self, tool: str) -> None:
        """Count a call."""
        self._calls[tool] += 1


@dataclass(slots=True)
class _Span:
    """One turn or conversation, and the calls in it."""

    key: object = None
    calls: Counter[str] = field(default_factory=Counter)

    def now(self, key: object) -> Counter[str]:
        """Return the calls so far; none when another span has begun."""
        if key != self.key:
            self.key, self.calls = key, Counter()
        return self.calls


class CallCounts:
    """The counts that guards limit: those of turns and conversations in memory, those of the day in `day`."""

    def __init__(self, day: CallsToday) -> None:
        """Only tools with a limit by the day are counted in `day`."""
        self._day = day
        self._turn, self._conversation = _Span(), _Span()

    def enter(self, name: str, guard: Guard, sameness: str, when: tuple[int, int]) -> str | None:
        """Count a call; or return, in words for the model, why it is one too many, and count nothing.

        `sameness` is no name of a tool, and equal for calls with equal arguments. `when`: the conversation and the turn.
        """
        in_turn, in_conversation = self._turn.now(when), self._conversation.now(when[0])
        if guard.same_calls and in_turn[sameness] >= guard.same_calls:
            return (
                f"the same call was made {in_turn[sameness]} times and will change nothing; "
                "use what it answered, or tell the visitor"
            )
        for calls, most, span in (
            (in_turn[name], guard.per_turn, "for this turn"),
            (in_conversation[name], guard.per_conversation, "for this conversation"),
            (self._day.calls_today(name) if guard.per_day else 0, guard.per_day, "for today"),
        ):
            if calls is None:
                return "nobody knows how often it was called today, so it is not called any more; tell the visitor"
            if most and calls >= most:
                return f"it was called {calls} times, which is enough {span}; tell the visitor"
        in_turn[name] += 1
        in_turn[sameness] += 1
        in_conversation[name] += 1
        if guard.per_day:
            self._day.count_call(name)
        return None
