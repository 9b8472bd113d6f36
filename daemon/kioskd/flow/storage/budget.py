"""Time, tokens and the clock on the wall -> a notice to the visitor, the end of a conversation, a closed kiosk.

What follows from the figures is `core.budget`'s business. Here they are counted: seconds while a conversation is
connected, tokens as the service reports them, calls of tools; and kept, so that a restart is no new day.
"""

import asyncio
import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from kioskd import journal_ids
from kioskd.core.budget import (
    DAY_S,
    Budget,
    BudgetVerdict,
    ConversationCost,
    Moment,
    Spent,
    judge,
    opens_at,
    roll,
)
from kioskd.core.effects import Effect
from kioskd.core.events import Closing, Event, SleepRequested, TextSubmitted
from kioskd.core.machine import State
from kioskd.core.turn import TurnPhase
from kioskd.errors import Code
from kioskd.flow.storage.day_clock import DayClock
from kioskd.flow.storage.disk_writer import DiskWriter
from kioskd.ports import Clock, TimeEvidence, UsageReported

log = logging.getLogger(__name__)

LOOK_S: Final = 10.0
"""The most between two looks at the clock on the wall, which may jump at any time."""

WHAT: Final = "the day's count"

KEEP_S: Final = 60.0
"""The least between two writes; a daemon that is killed forgets as much at most. One that is stopped writes the rest."""

MOST: Final = 10**12
"""No day has cost more seconds, tokens or calls than this: a larger figure is damage."""

GRACE_S: Final = 20.0
"""How long an end that has come waits for the reply that is awaited or being heard: nobody is cut short in mid-word."""


class BudgetStore(Protocol):
    """Where the day's figures outlive the process. May block: it is called in a thread."""

    def load(self) -> Mapping[str, object] | None:
        """Return what was saved last; None where nothing was; what makes no sense where it cannot be read."""

    def save(self, entry: Mapping[str, object]) -> None:
        """Replace what is kept.

        Raises:
            OSError: it cannot be written; what was kept before stays.
        """


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """How the day stands, for whoever shows it. A limit of 0 is none."""

    seconds: float
    """Of connected conversation, today."""
    tokens: int
    """In and out, today."""
    seconds_limit: float
    tokens_limit: int
    talk_tokens: int
    """Of the conversation at hand, or of the last one."""
    talk_tokens_limit: int
    closed: Code | None
    """Why nobody may talk to the kiosk now: BUDGET or HOURS."""
    unknown: bool
    """The day's figures were lost; the day counts as spent where it has a limit."""


class BudgetEnforcer:
    """Counts, warns and closes. For the loop's thread; told by the engine (`observe`) and the connection (`used`)."""

    def __init__(
        self,
        budget: Budget,
        clock: Clock,
        post: Callable[[Event], None],
        wall: Callable[[], datetime.datetime],
        *,
        tell: Callable[[str], bool],
        notice: str,
        keeping: DiskWriter,
        ledger: BudgetStore | None = None,
        time: TimeEvidence | None = None,
    ) -> None:
        """`wall` gives the local time, and `time` tells how far it is to be believed. `tell` says `notice` to the model as soon as it can. Reads the ledger: blocks.

        `keeping` writes the ledger.
        """
        self._budget = budget
        self._notice = notice
        self._clock = clock
        self._post = post
        self._wall = wall
        self._tell = tell
        self._keeping = keeping
        self._ledger = ledger
        self._looked = clock.now()
        self._day = DayClock(clock, wall, time)
        kept = ledger.load() if ledger is not None else None
        self._day.restore(kept or {})
        self._spent = _parsed(kept, self._day.today())
        self._kept = self._spent
        self._talk_tokens = 0
        self._state = State()
        self._connected: float | None = None
        """Since when a connected conversation is counted and not yet added up."""
        self._began = 0.0
        self._noticed = False
        self._ended = False
        self._end_came: float | None = None
        self._closed: Code | None = None
        self._opens = ""
        self._changed = asyncio.Event()
        self._unkept = asyncio.Event()

    @property
    def account(self) -> BudgetStatus:
        """How the day stands now."""
        spent = self._spent
        running_s = 0.0 if self._connected is None else self._clock.now() - self._connected
        budget = self._budget
        return BudgetStatus(
            seconds=spent.seconds + running_s,
            tokens=spent.tokens,
            seconds_limit=budget.seconds_per_day,
            tokens_limit=budget.tokens_per_day,
            talk_tokens=self._talk_tokens,
            talk_tokens_limit=budget.tokens_per_conversation,
            closed=self._closed,
            unknown=spent.unknown,
        )

    def adopt(self, budget: Budget, notice: str) -> None:
        """Go by another budget from now on; what is spent stays spent."""
        self._budget, self._notice = budget, notice
        self._changed.set()

    def used(self, usage: UsageReported) -> None:
        """Count what the service will bill for one exchange; nothing of what no exchange can cost."""
        if not usage.plausible:
            return
        tokens = usage.prompt_tokens + usage.response_tokens
        self._talk_tokens += tokens
        self._spend(tokens=tokens)
        self._changed.set()

    def calls_today(self, tool: str) -> int | None:
        """Return how often `tool` was called today, as far as it was counted; None if the day's figures are lost."""
        self._roll(self._clock.now())
        return None if self._spent.unknown else self._spent.calls.get(tool, 0)

    def count_call(self, tool: str) -> None:
        """Count a call of `tool`, which the owner limits by the day."""
        calls = self._spent.calls
        self._set(replace(self._spent, calls={**calls, tool: calls.get(tool, 0) + 1}))

    def observe(
        self, now: float, _event: Event, before: State, after: State, _effects: tuple[Effect, ...]
    ) -> None:
        """Be told of one step; see `engine.Observer`."""
        self._state = after
        if after.turn.conversation != before.turn.conversation and after.turn.awake:
            self._began, self._talk_tokens = now, 0
            self._noticed = self._ended = False
        self._count(now)
        counts = after.turn.awake and after.link.open
        self._connected = now if counts else None
        if _stand(before) != _stand(after):
            self._changed.set()

    async def run(self) -> None:
        """Look after the limits until cancelled; then keep what is not kept yet."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._keep())

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            alarm = self._clock.call_later(self._look(), self._changed.set)
            try:
                await self._changed.wait()
            finally:
                alarm.cancel()

    async def _keep(self) -> None:
        if self._ledger is None:
            return
        try:
            while True:
                await self._unkept.wait()
                self._unkept.clear()
                await self._keeping.save(WHAT, self._write)
                await self._clock.sleep(KEEP_S)
        finally:
            self._count(self._clock.now())
            if (self._budget.daily and self._spent != self._kept) or self._spent.calls != self._kept.calls:
                await self._keeping.save(WHAT, self._write)

    def _write(self) -> None:
        """Write how the day stands now. In a thread."""
        assert self._ledger is not None
        spent = self._spent
        self._ledger.save(_entry(spent) | self._day.kept())
        self._kept = spent

    def _look(self) -> float:
        """Do what the figures call for; return the seconds until the next look is due."""
        now, moment = self._clock.now(), _moment(self._wall())
        self._count(now)
        counted = self._roll(now)
        awake = self._state.turn.awake
        talk = ConversationCost(now - self._began, self._talk_tokens) if awake else ConversationCost()
        verdict = judge(self._budget, self._spent, talk, moment)
        if awake and self._waits(verdict, now):
            return 1.0
        opens = _clock(opens_at(self._budget, self._spent, moment, counted)) if verdict.closed else ""
        if (verdict.closed, opens) != (self._closed, self._opens):
            self._close(verdict.closed, opens)
        if awake and verdict.over and not self._ended:
            self._ended = True
            log.info(
                "conversation has had its tokens, ending it: tokens=%d",
                self._talk_tokens,
                extra={"message_id": journal_ids.TALK_SPENT},
            )
            self._post(SleepRequested())
        elif awake and verdict.near and not verdict.closed:
            self._give_notice()
        return min(LOOK_S, max(verdict.next_s, 0.1))

    def _roll(self, now: float) -> Moment:
        """Begin a new day if it is one, and return the time that days go by."""
        counted = _moment(self._day.now())
        self._set(roll(self._spent, counted, now - self._looked))
        self._looked = now
        return counted

    def _waits(self, verdict: BudgetVerdict, now: float) -> bool:
        """Return whether the end has come, and lets the reply that is awaited or being heard finish."""
        if not (verdict.closed or verdict.over):
            self._end_came = None
            return False
        if self._end_came is None:
            self._end_came = now
        turn = self._state.turn
        answering = turn.sounding or turn.phase is TurnPhase.THINKING
        return answering and now - self._end_came < GRACE_S

    def _give_notice(self) -> None:
        turn = self._state.turn
        if self._noticed or not (turn.quiet and self._state.link.open):
            return
        self._noticed = self._tell(self._notice)
        if self._noticed:
            log.info(
                "visitor is told that the end is near", extra={"fields": {"conversation": turn.conversation}}
            )
            self._post(TextSubmitted())

    def _close(self, code: Code | None, opens: str) -> None:
        self._closed, self._opens = code, opens
        self._end_came = None
        self._post(Closing(code, opens))

    def _count(self, now: float) -> None:
        """Add up the seconds of a connected conversation until now."""
        if self._connected is not None:
            seconds, self._connected = now - self._connected, now
            self._spend(seconds=seconds)

    def _spend(self, *, seconds: float = 0.0, tokens: int = 0) -> None:
        spent = self._spent
        self._set(replace(spent, seconds=spent.seconds + seconds, tokens=spent.tokens + tokens))

    def _set(self, spent: Spent) -> None:
        if spent == self._spent:
            return
        # Time that is merely behind is worth a write an hour, and a limit that nobody set is worth none.
        counts = replace(spent, behind_s=spent.behind_s // 3600) != replace(
            self._spent, behind_s=self._spent.behind_s // 3600
        )
        called = spent.calls != self._spent.calls
        self._spent = spent
        if (counts and self._budget.daily) or called:
            self._unkept.set()


def _moment(at: datetime.datetime) -> Moment:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return Moment(at.toordinal(), (at.replace(tzinfo=None) - midnight).total_seconds())


def _clock(second: float | None) -> str:
    """Return a second of the day as HH:MM, or nothing."""
    if second is None:
        return ""
    minutes = round(second / 60) % 1440
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _stand(state: State) -> tuple[object, ...]:
    """Return what of a state decides about notices and ends."""
    turn = state.turn
    return turn.phase, turn.quiet, state.link.open


def _entry(spent: Spent) -> dict[str, object]:
    return {
        "day": datetime.date.fromordinal(spent.day).isoformat(),
        "seconds": round(spent.seconds, 1),
        "tokens": spent.tokens,
        "behind_s": round(spent.behind_s),
        "unknown": spent.unknown,
        "calls": dict(spent.calls),
    }


def _parsed(entry: Mapping[str, Any] | None, today: int) -> Spent:
    """Read what `_entry` makes. What makes no sense is a day whose figures are lost."""
    if entry is None:
        return Spent(today)
    try:
        spent = Spent(
            datetime.date.fromisoformat(entry["day"]).toordinal(),
            float(entry["seconds"]),
            int(entry["tokens"]),
            float(entry["behind_s"]),
            entry["unknown"] is True,
            {str(tool): int(calls) for tool, calls in entry.get("calls", {}).items()},
        )
        counts = [spent.seconds, spent.tokens, *spent.calls.values()]
        sane = all(0 <= count <= MOST for count in counts) and 0 <= spent.behind_s <= DAY_S
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        sane, spent = False, Spent(today)
    if sane:
        return spent
    log.error(
        "count of the day is lost, taking the day for spent where it has a limit: it opens at midnight; to open it now, "
        "remove budget.json from the state directory and restart",
        extra={"message_id": journal_ids.COUNT_LOST},
    )
    return Spent(today, unknown=True)
