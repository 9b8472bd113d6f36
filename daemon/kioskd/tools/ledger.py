"""How often each tool was called: by turn, conversation and day, and how often with the very same arguments."""

import datetime
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from kioskd.tools.contract import Guard


@dataclass(slots=True)
class _Span:
    """One turn, conversation or day, and the calls in it."""

    key: object = None
    calls: Counter[str] = field(default_factory=Counter)

    def now(self, key: object) -> Counter[str]:
        """Return the calls so far; none when another span has begun."""
        if key != self.key:
            self.key, self.calls = key, Counter()
        return self.calls


class Ledger:
    """The counts that guards limit. In memory: a restart begins anew."""

    def __init__(self, today: Callable[[], datetime.date]) -> None:
        """Count days by `today`."""
        self._today = today
        self._turn, self._same, self._conversation, self._day = _Span(), _Span(), _Span(), _Span()

    def enter(self, name: str, guard: Guard, sameness: str, *, turn: int, conversation: int) -> str | None:
        """Count a call; or return, in words for the model, why it is one too many, and count nothing.

        `sameness` is equal for calls with equal arguments.
        """
        spans = (
            (self._turn.now((conversation, turn)), guard.per_turn, "for this turn"),
            (self._conversation.now(conversation), guard.per_conversation, "for this conversation"),
            (self._day.now(self._today()), guard.per_day, "for today"),
        )
        same = self._same.now((conversation, turn))
        if guard.same_calls and same[sameness] >= guard.same_calls:
            return (
                f"the same call was made {same[sameness]} times and will change nothing; "
                "use what it answered, or tell the visitor"
            )
        for calls, most, when in spans:
            if most and calls[name] >= most:
                return f"it was called {calls[name]} times, which is enough {when}; tell the visitor"
        for calls, _, _ in spans:
            calls[name] += 1
        same[sameness] += 1
        return None
