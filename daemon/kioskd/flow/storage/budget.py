"""The budget: it warns the visitor, ends a conversation, or closes the kiosk.

`core.budget` decides from the figures. This module counts them: seconds of connected conversation, tokens as
the service reports them, calls of tools. The figures are stored, so that a restart does not begin a new day.
"""

import asyncio
import datetime
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kioskd import journal_ids
from kioskd.core.budget import Budget, BudgetVerdict, judge, opens_at
from kioskd.core.effects import Effect
from kioskd.core.events import Closing, EndNear, Event, SleepRequested, TextSubmitted
from kioskd.core.machine import State
from kioskd.core.turn import TurnPhase
from kioskd.errors import Code
from kioskd.flow.storage.day_spending import DaySpending, moment
from kioskd.ports import Clock, Message, UsageReported

log = logging.getLogger(__name__)

LOOK_S: Final = 10.0
"""The most seconds between two looks at the wall clock, which may jump at any time."""

GRACE_S: Final = 20.0
"""The most seconds that an end waits, so that it does not cut off a reply."""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The day's figures and limits, for display. A limit of 0 means no limit."""

    seconds: float
    """Seconds of connected conversation today."""
    tokens: int
    """Tokens today, in both directions."""
    seconds_limit: float
    tokens_limit: int
    talk_tokens: int
    """Tokens of the present or the last conversation."""
    talk_tokens_limit: int
    closed: Code | None
    """BUDGET or HOURS while the kiosk is closed for that reason, else None."""
    unknown: bool
    """Whether the day's figures were lost. Then a day with a limit counts as spent."""

    @property
    def limited(self) -> dict[str, float]:
        """The figures that the owner limits, and their limits."""
        told: dict[str, float] = {}
        if self.seconds_limit:
            told |= {"minutes used": self.seconds / 60, "minutes a day": self.seconds_limit / 60}
        if self.tokens_limit:
            told |= {"tokens used": self.tokens, "tokens a day": self.tokens_limit}
        return told


@dataclass(frozen=True, slots=True)
class Notices:
    """Instructions to the model to tell the visitor that the conversation will soon end."""

    final: str
    """The end cannot be put off."""
    extendable: str = ""
    """The visitor can have more time."""
    extensions: int = 0
    """How often a visitor can have more time in one conversation."""


@dataclass(slots=True)
class _Conversation:
    """The present conversation, or the last one."""

    tokens: int = 0
    near: bool = False
    """Whether the core knows that a limit will soon end the conversation."""
    noticed: bool = False
    """Whether the visitor was told that the end is near."""
    ended: bool = False
    end_came: float | None = None
    """The clock's time since when the end waits for a reply; None if it does not wait."""


class BudgetEnforcer:
    """Counts, warns and closes. For the loop's thread. The engine calls `observe`, the link `received`."""

    def __init__(
        self,
        budget: Budget,
        clock: Clock,
        post: Callable[[Event], None],
        wall: Callable[[], datetime.datetime],
        *,
        tell: Callable[[str], bool],
        notices: Notices,
        day: DaySpending,
    ) -> None:
        """Begin with no conversation.

        Args:
            budget: The owner's limits.
            clock: Monotonic time.
            post: Takes events for the core.
            wall: The local time.
            tell: Sends a text to the model as soon as possible; returns False if it cannot.
            notices: The instructions to the model to tell the visitor that the end is near.
            day: The figures of the day.
        """
        self._budget = budget
        self._notices = notices
        self._clock = clock
        self._post = post
        self._wall = wall
        self._tell = tell
        self._day = day
        self._state = State()
        self._connected: float | None = None
        """The clock's time until which a connected conversation is counted; None without one."""
        self._talk = _Conversation()
        self._closed: Code | None = None
        self._opens = ""
        self._looked, self._left_s = clock.now(), math.inf
        """The clock's time of the last look, and the seconds that were left then."""
        self._changed = asyncio.Event()

    @property
    def status(self) -> BudgetStatus:
        spent = self._day.spent
        running_s = 0.0 if self._connected is None else self._clock.now() - self._connected
        budget = self._budget
        return BudgetStatus(
            seconds=spent.seconds + running_s,
            tokens=spent.tokens,
            seconds_limit=budget.seconds_per_day,
            tokens_limit=budget.tokens_per_day,
            talk_tokens=self._talk.tokens,
            talk_tokens_limit=budget.tokens_per_conversation,
            closed=self._closed,
            unknown=spent.unknown,
        )

    @property
    def left_s(self) -> float | None:
        """The seconds until a daily limit or quiet hours end the conversation; None: they do not."""
        left_s = self._left_s - (self._clock.now() - self._looked)
        return max(0.0, left_s) if self._state.turn.awake and left_s < math.inf else None

    def use_settings(self, budget: Budget, notices: Notices) -> None:
        """Use another budget from now on. The day's figures stay."""
        self._budget, self._notices = budget, notices
        self._day.limited = budget.daily
        self._changed.set()

    def received(self, message: Message) -> None:
        """Count the tokens that the service bills for an exchange. Impossible numbers are ignored."""
        if not isinstance(message, UsageReported) or not message.plausible:
            return
        tokens = message.prompt_tokens + message.response_tokens
        self._talk.tokens += tokens
        self._day.add(tokens=tokens)
        self._changed.set()

    def observe(
        self, now: float, _event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Note one step; see `engine.Observer`."""
        self._state = after
        if after.turn.conversation != before.turn.conversation and after.turn.awake:
            self._talk = _Conversation()
        if after.turn.extended > before.turn.extended:
            self._talk.noticed = False  # the next end is another one
        self._count(now)
        counts = after.turn.awake and after.link.open
        self._connected = now if counts else None
        if _stand(before) != _stand(after):
            self._changed.set()

    async def run(self) -> None:
        """Enforce the limits until cancelled; then store the newest figures."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._day.keep(lambda: self._count(self._clock.now())))

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            alarm = self._clock.call_later(self._look(), self._changed.set)
            try:
                await self._changed.wait()
            finally:
                alarm.cancel()

    def _look(self) -> float:
        """Act on the figures. Return the seconds until the next look."""
        now, at = self._clock.now(), moment(self._wall())
        self._count(now)
        counted = self._day.roll()
        awake = self._state.turn.awake
        verdict = judge(self._budget, self._day.spent, self._talk.tokens if awake else 0, at)
        self._looked, self._left_s = now, verdict.left_s
        if awake and self._waits(verdict, now):
            return 1.0
        opens = _clock(opens_at(self._budget, self._day.spent, at, counted)) if verdict.closed else ""
        if (verdict.closed, opens) != (self._closed, self._opens):
            self._close(verdict.closed, opens)
        if awake and verdict.over and not self._talk.ended:
            self._talk.ended = True
            log.info(
                "conversation has used its tokens, ending it: tokens=%d",
                self._talk.tokens,
                extra={"message_id": journal_ids.TALK_SPENT},
            )
            self._post(SleepRequested())
        elif awake and not verdict.closed:
            self._warn(verdict)
        return min(LOOK_S, max(verdict.next_s, 0.1))

    def _waits(self, verdict: BudgetVerdict, now: float) -> bool:
        """Return whether the end has come, but waits for a reply that is awaited or being heard."""
        if not (verdict.closed or verdict.over):
            self._talk.end_came = None
            return False
        if self._talk.end_came is None:
            self._talk.end_came = now
        turn = self._state.turn
        answering = turn.sounding or turn.phase is TurnPhase.THINKING
        return answering and now - self._talk.end_came < GRACE_S

    def _warn(self, verdict: BudgetVerdict) -> None:
        if verdict.near is not self._talk.near:
            self._talk.near = verdict.near
            self._post(EndNear(verdict.near))
        if verdict.near:
            self._give_notice(self._notices.final)
        elif self._state.turn.warned:
            more = self._state.turn.extended < self._notices.extensions
            self._give_notice(self._notices.extendable if more else self._notices.final)

    def _give_notice(self, notice: str) -> None:
        turn = self._state.turn
        if self._talk.noticed or not (turn.quiet and self._state.link.open):
            return
        self._talk.noticed = self._tell(notice)
        if self._talk.noticed:
            log.info(
                "telling the visitor that the end is near",
                extra={"fields": {"conversation": turn.conversation}},
            )
            self._post(TextSubmitted())

    def _close(self, code: Code | None, opens: str) -> None:
        self._closed, self._opens = code, opens
        self._talk.end_came = None
        self._post(Closing(code, opens))

    def _count(self, now: float) -> None:
        if self._connected is not None:
            seconds, self._connected = now - self._connected, now
            self._day.add(seconds=seconds)


def _clock(second: float | None) -> str:
    """Return a second of the day as HH:MM, or ""."""
    if second is None:
        return ""
    minutes = round(second / 60) % 1440
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _stand(state: State) -> tuple[object, ...]:
    """Return the parts of a state that matter for notices and ends."""
    turn = state.turn
    return turn.phase, turn.quiet, turn.warned, state.link.open
