"""The budget: it counts costs, warns visitors, ends conversations, and closes the kiosk."""

import asyncio
import errno
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Final

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import Inbox, running, soon

from kioskd import journal_ids
from kioskd.core.budget import Budget
from kioskd.core.events import (
    Closing,
    EndNear,
    Event,
    Pressed,
    SleepRequested,
    StorageFailed,
    TextSubmitted,
)
from kioskd.core.link_state import Link, LinkPhase
from kioskd.core.machine import State
from kioskd.core.turn import Turn, TurnPhase
from kioskd.errors import Code
from kioskd.flow.storage.budget import GRACE_S, BudgetEnforcer, Notices
from kioskd.flow.storage.day_spending import KEEP_S, DaySpending
from kioskd.flow.storage.disk_writer import LOOK_S, DiskWriter
from kioskd.ports import TimeEvidence, UsageReported

HERE: Final = timezone(timedelta(hours=1))
NOON: Final = datetime(2026, 11, 20, 12, tzinfo=HERE)
NOTICE: Final = "Say goodbye."
MORE: Final = "Offer more time."
NOTICES: Final = Notices(NOTICE, MORE, extensions=1)
BYE: Final = Notices("Bye.")

ASLEEP: Final = State(started=True)
DIALING: Final = State(turn=Turn(TurnPhase.LISTENING, conversation=1), link=Link(LinkPhase.DIALING, epoch=1))
LISTENING: Final = State(turn=Turn(TurnPhase.LISTENING, conversation=1), link=Link(LinkPhase.UP, epoch=1))
SPEAKING: Final = State(turn=Turn(TurnPhase.SPEAKING, conversation=1), link=Link(LinkPhase.UP, epoch=1))


class MemoryLedger:
    """A `BudgetStore` in memory."""

    def __init__(self, entry: Mapping[str, object] | None = None) -> None:
        self.entry = entry
        self.saves = 0

    def load(self) -> Mapping[str, object] | None:
        return self.entry

    def save(self, entry: Mapping[str, object]) -> None:
        self.entry = dict(entry)
        self.saves += 1


class Counted:
    """The enforcer of a budget, with its surroundings."""

    def __init__(
        self, budget: Budget, ledger: MemoryLedger | None, at: datetime, time: TimeEvidence | None = None
    ) -> None:
        self.clock = ManualClock()
        self.inbox = Inbox()
        self.told: list[str] = []
        self.room = True
        self.at = at
        self._start = self.clock.now()
        self.state = ASLEEP
        self.disk_writer = DiskWriter(self.clock, self.inbox.post)
        self.day = DaySpending(
            self.clock, self.wall, self.disk_writer, store=ledger, time=time, limited=budget.daily
        )
        self.limits = BudgetEnforcer(
            budget, self.clock, self.inbox.post, self.wall, tell=self._tell, notices=NOTICES, day=self.day
        )

    def wall(self) -> datetime:
        return self.at + timedelta(seconds=self.clock.now() - self._start)

    def _tell(self, text: str) -> bool:
        if self.room:
            self.told.append(text)
        return self.room

    async def becomes(self, state: State) -> None:
        before, self.state = self.state, state
        self.limits.observe(self.clock.now(), Pressed(), before, state, ())
        await self.clock.advance(0)

    async def use(self, tokens: int) -> None:
        self.limits.received(UsageReported(tokens - 1, 1))
        await self.clock.advance(0)

    async def saved(self, ledger: MemoryLedger, saves: int) -> None:
        """Wait for the thread that saves."""
        async with asyncio.timeout(60):
            while ledger.saves < saves:
                await self.clock.advance(0)


@asynccontextmanager
async def counted(
    budget: Budget,
    ledger: MemoryLedger | None = None,
    *,
    at: datetime = NOON,
    time: TimeEvidence | None = None,
) -> AsyncIterator[Counted]:
    it = Counted(budget, ledger, at, time)
    async with running(it.limits.run()):
        await it.clock.advance(0)
        yield it


def events(it: Counted) -> list[Event]:
    found, it.inbox.events = list(it.inbox.events), []
    return found


# Counting


async def test_only_connected_conversation_counts() -> None:
    async with counted(Budget(seconds_per_day=3600)) as it:
        await it.clock.advance(100)
        await it.becomes(DIALING)
        await it.clock.advance(100)
        await it.becomes(LISTENING)
        await it.clock.advance(7)
        assert it.limits.status.seconds == 7
        await it.becomes(SPEAKING)
        await it.clock.advance(5)
        await it.becomes(ASLEEP)
        await it.clock.advance(100)
        assert it.limits.status.seconds == 12


async def test_tokens_of_both_directions_count_for_the_day_and_for_the_conversation() -> None:
    async with counted(Budget()) as it:
        await it.becomes(LISTENING)
        it.limits.received(UsageReported(1000, 50))
        it.limits.received(UsageReported(1200, 30))
        assert (it.limits.status.tokens, it.limits.status.talk_tokens) == (2280, 2280)

        await it.becomes(ASLEEP)
        await it.becomes(replace(LISTENING, turn=replace(LISTENING.turn, conversation=2)))
        await it.use(10)
        assert (it.limits.status.tokens, it.limits.status.talk_tokens) == (2290, 10)


@pytest.mark.parametrize("figure", [-1, -(10**9), 2**63, 10**400])
async def test_an_impossible_figure_neither_opens_nor_closes_the_day(figure: int) -> None:
    async with counted(Budget(tokens_per_day=1000)) as it:
        await it.becomes(LISTENING)
        await it.use(900)
        it.limits.received(UsageReported(figure, 0))
        it.limits.received(UsageReported(0, figure))
        await it.use(50)
        assert (it.limits.status.tokens, it.limits.status.closed) == (950, None)


async def test_a_lost_link_is_not_counted_and_the_conversation_goes_on() -> None:
    async with counted(Budget()) as it:
        await it.becomes(LISTENING)
        await it.use(500)
        await it.clock.advance(10)
        await it.becomes(DIALING)
        await it.clock.advance(1000)
        await it.becomes(LISTENING)
        await it.clock.advance(10)
        assert (it.limits.status.seconds, it.limits.status.talk_tokens) == (20, 500)


# The day


async def test_a_spent_day_closes_the_kiosk_until_midnight() -> None:
    async with counted(Budget(seconds_per_day=600, warn_s=0)) as it:
        await it.becomes(LISTENING)
        await it.clock.advance(599)
        assert events(it) == []
        await it.clock.advance(1)
        assert events(it) == [Closing(Code.BUDGET)]
        assert it.limits.status.closed is Code.BUDGET

        await it.becomes(ASLEEP)
        await it.clock.advance(12 * 3600 - 700)
        assert events(it) == []
        await it.clock.advance(110)
        assert events(it) == [Closing(None)]
        assert it.limits.status.seconds == 0


async def test_spent_tokens_close_the_kiosk_at_once() -> None:
    async with counted(Budget(tokens_per_day=1000, warn_percent=100)) as it:
        await it.becomes(LISTENING)
        await it.use(999)
        assert events(it) == []
        await it.use(1)
        assert events(it) == [Closing(Code.BUDGET)]


@pytest.mark.parametrize("phase", [TurnPhase.THINKING, TurnPhase.SPEAKING, TurnPhase.REVERBERATING])
async def test_an_end_waits_for_the_reply_that_is_awaited_or_being_heard(phase: TurnPhase) -> None:
    async with counted(Budget(seconds_per_day=60, warn_s=0)) as it:
        await it.becomes(LISTENING)
        await it.clock.advance(55)
        await it.becomes(replace(LISTENING, turn=replace(LISTENING.turn, phase=phase)))
        await it.clock.advance(10)
        assert events(it) == []
        await it.becomes(LISTENING)
        assert events(it) == [Closing(Code.BUDGET)]


async def test_an_end_does_not_wait_for_a_reply_without_end() -> None:
    async with counted(Budget(seconds_per_day=60, warn_s=0)) as it:
        await it.becomes(SPEAKING)
        await it.clock.advance(60 + GRACE_S - 1)
        assert events(it) == []
        await it.clock.advance(2)
        assert events(it) == [Closing(Code.BUDGET)]


async def test_a_conversation_over_midnight_is_billed_to_both_days() -> None:
    async with counted(Budget(seconds_per_day=600), at=NOON.replace(hour=23, minute=55)) as it:
        await it.becomes(LISTENING)
        await it.clock.advance(540)
        assert events(it) == []
        assert it.limits.status.seconds == pytest.approx(240, abs=11)


# Quiet hours


async def test_quiet_hours_close_and_open_by_the_wall_clock() -> None:
    async with counted(Budget(quiet=((13 * 60, 14 * 60),))) as it:
        await it.clock.advance(3599)
        assert events(it) == []
        await it.clock.advance(1)
        assert events(it) == [Closing(Code.HOURS)]
        await it.clock.advance(3600)
        assert events(it) == [Closing(None)]


async def test_a_kiosk_started_in_quiet_hours_is_closed_at_once() -> None:
    async with counted(Budget(quiet=((11 * 60, 14 * 60),))) as it:
        assert events(it) == [Closing(Code.HOURS)]


async def test_a_clock_that_jumps_is_noticed_soon() -> None:
    async with counted(Budget(quiet=((22 * 60, 7 * 60),)), at=datetime(1970, 1, 1, 1, tzinfo=HERE)) as it:
        assert events(it) == [Closing(Code.HOURS)]
        it.at = NOON
        await it.clock.advance(10)
        assert events(it) == [Closing(None)]


@pytest.mark.parametrize(
    ("budget", "opens"),
    [
        (Budget(quiet=((11 * 60, 14 * 60 + 30),)), "14:30"),
        (Budget(quiet=((11 * 60, 13 * 60), (13 * 60, 15 * 60))), "15:00"),
        (Budget(quiet=((11 * 60, 10 * 60),)), "10:00"),
        (Budget(quiet=((11 * 60, 14 * 60), (13 * 60, 11 * 60))), ""),
        (Budget(tokens_per_day=1), "00:00"),
        (Budget(tokens_per_day=1, quiet=((22 * 60, 7 * 60),)), "07:00"),
        (Budget(tokens_per_day=1, quiet=((11 * 60, 14 * 60),)), "00:00"),
    ],
)
async def test_a_closed_kiosk_names_its_opening_time(budget: Budget, opens: str) -> None:
    async with counted(budget) as it:
        await it.use(2)
        closing = events(it)[-1]
        assert isinstance(closing, Closing)
        assert closing.code is not None
        assert closing.opens == opens


class OutOfStep:
    """A machine whose clock is not synchronised; a `ports.TimeEvidence`."""

    def synchronised(self) -> bool:
        return False

    def boot(self) -> tuple[str, float]:
        return "first", 0.0


@pytest.mark.parametrize(("forward_h", "opens"), [(5, "05:00"), (29, "05:00"), (48, "00:00"), (-5, "00:00")])
async def test_a_spent_day_opens_at_the_announced_time_after_the_clock_was_set(
    forward_h: int, opens: str
) -> None:
    async with counted(Budget(tokens_per_day=1), time=OutOfStep()) as it:
        await it.use(2)
        it.at += timedelta(hours=forward_h)
        await it.clock.advance(10)
        assert [event.opens for event in events(it) if isinstance(event, Closing)][-1] == opens
        until = datetime.fromisoformat(f"2026-11-20T{opens}").time()
        left = datetime.combine(it.wall(), until, HERE) - it.wall()
        await it.clock.advance(left % timedelta(days=1) / timedelta(seconds=1) - 30)
        assert events(it) == []
        await it.clock.advance(60)
        assert events(it) == [Closing(None)]


async def test_new_quiet_hours_change_the_opening_time() -> None:
    async with counted(Budget(quiet=((11 * 60, 14 * 60),))) as it:
        it.limits.use_settings(Budget(quiet=((11 * 60, 15 * 60),)), NOTICES)
        await it.clock.advance(0)
        assert [event.opens for event in events(it) if isinstance(event, Closing)] == ["14:00", "15:00"]


# Notices


async def test_the_model_is_asked_to_say_goodbye_before_the_end_and_only_once() -> None:
    async with counted(Budget(seconds_per_day=600, warn_s=60)) as it:
        await it.becomes(LISTENING)
        await it.clock.advance(539)
        assert (it.told, events(it)) == ([], [])
        await it.clock.advance(1)
        assert (it.told, events(it)) == ([NOTICE], [EndNear(near=True), TextSubmitted()])
        await it.becomes(SPEAKING)
        await it.becomes(LISTENING)
        await it.clock.advance(30)
        assert (it.told, events(it)) == ([NOTICE], [])


@pytest.mark.parametrize(
    "busy",
    [SPEAKING, DIALING, replace(LISTENING, turn=replace(LISTENING.turn, voice=True))],
    ids=["speaking", "offline", "visitor speaks"],
)
async def test_a_notice_waits_for_a_quiet_moment(busy: State) -> None:
    async with counted(Budget(tokens_per_conversation=1000, warn_percent=90)) as it:
        await it.becomes(busy)
        await it.use(900)
        assert it.told == []
        await it.becomes(LISTENING)
        assert it.told == [NOTICE]


async def test_a_notice_that_cannot_be_sent_is_sent_later() -> None:
    async with counted(Budget(tokens_per_conversation=1000, warn_percent=90)) as it:
        it.room = False
        await it.becomes(LISTENING)
        await it.use(900)
        assert (it.told, events(it)) == ([], [EndNear(near=True)])
        it.room = True
        await it.clock.advance(10)
        assert (it.told, events(it)) == ([NOTICE], [TextSubmitted()])


def with_turn(state: State, **changes: object) -> State:
    return replace(state, turn=replace(state.turn, **changes))  # type: ignore[arg-type]


async def test_a_conversation_that_the_core_warns_of_gets_a_notice_that_offers_more_time() -> None:
    async with counted(Budget()) as it:
        await it.becomes(LISTENING)
        await it.becomes(with_turn(SPEAKING, warned=True))
        assert it.told == []
        await it.becomes(with_turn(LISTENING, warned=True))
        assert (it.told, events(it)) == ([MORE], [TextSubmitted()])


async def test_the_notice_after_the_last_extension_offers_no_more_time() -> None:
    async with counted(Budget()) as it:
        await it.becomes(with_turn(LISTENING, warned=True))
        await it.becomes(with_turn(LISTENING, extended=1))
        assert it.told == [MORE]
        await it.becomes(with_turn(LISTENING, extended=1, warned=True))
        assert it.told == [MORE, NOTICE]


async def test_the_notice_of_a_daily_limit_offers_no_more_time() -> None:
    async with counted(Budget(seconds_per_day=60, warn_s=60)) as it:
        await it.becomes(with_turn(LISTENING, warned=False))
        await it.clock.advance(45)
        await it.becomes(with_turn(LISTENING, warned=True))
        assert it.told == [NOTICE]


async def test_each_conversation_near_a_limit_is_reported_to_the_core() -> None:
    async with counted(Budget(seconds_per_day=60, warn_s=60)) as it:
        await it.becomes(LISTENING)
        await it.clock.advance(45)
        assert EndNear(near=True) in events(it)
        await it.becomes(ASLEEP)
        await it.becomes(with_turn(LISTENING, conversation=2))
        assert EndNear(near=True) in events(it)


async def test_the_seconds_to_a_limit_count_down() -> None:
    async with counted(Budget(seconds_per_day=600, quiet=((13 * 60, 14 * 60),))) as it:
        assert it.limits.left_s is None
        await it.becomes(LISTENING)
        assert it.limits.left_s == 600
        await it.clock.advance(3)
        assert it.limits.left_s == 597
    async with counted(Budget()) as it:
        await it.becomes(LISTENING)
        assert it.limits.left_s is None


async def test_used_tokens_end_a_conversation_and_the_next_one_can_begin() -> None:
    async with counted(Budget(tokens_per_conversation=1000)) as it:
        await it.becomes(LISTENING)
        await it.use(1000)
        assert events(it) == [SleepRequested()]
        await it.becomes(ASLEEP)
        await it.becomes(replace(LISTENING, turn=replace(LISTENING.turn, conversation=2)))
        await it.use(10)
        assert events(it) == []


async def test_a_sleeping_kiosk_gives_no_notice() -> None:
    async with counted(Budget(quiet=((13 * 60, 14 * 60),))) as it:
        await it.clock.advance(3590)
        assert it.told == []


async def test_a_new_budget_is_used_at_once() -> None:
    async with counted(Budget()) as it:
        await it.becomes(LISTENING)
        await it.use(500)
        it.limits.use_settings(Budget(tokens_per_day=400), BYE)
        await it.clock.advance(0)
        assert events(it) == [Closing(Code.BUDGET)]
        it.limits.use_settings(Budget(tokens_per_day=4000), BYE)
        await it.clock.advance(0)
        assert events(it) == [Closing(None)]


# Over restarts


async def test_the_days_figures_outlive_a_restart() -> None:
    ledger = MemoryLedger()
    async with counted(Budget(seconds_per_day=600), ledger) as it:
        await it.becomes(LISTENING)
        await it.use(700)
        await it.clock.advance(90)
    assert ledger.entry == {
        "day": "2026-11-20",
        "seconds": 90.0,
        "tokens": 700,
        "behind_s": 0,
        "unknown": False,
        "calls": {},
    }

    async with counted(Budget(seconds_per_day=600), ledger) as it:
        assert (it.limits.status.seconds, it.limits.status.tokens) == (90.0, 700)
        await it.becomes(LISTENING)
        await it.clock.advance(510)
        assert Closing(Code.BUDGET) in events(it)


async def test_the_figures_are_stored_at_most_once_a_minute() -> None:
    ledger = MemoryLedger()
    async with counted(Budget(tokens_per_day=10**9), ledger) as it:
        await it.becomes(LISTENING)
        for minute in range(1, 6):
            for _ in range(6):
                await it.use(100)
                await it.saved(ledger, minute)
                await it.clock.advance(KEEP_S / 6)
            assert ledger.saves in (minute, minute + 1)


async def test_a_sleeping_kiosk_writes_nothing() -> None:
    ledger = MemoryLedger()
    async with counted(Budget(seconds_per_day=600), ledger) as it:
        await it.becomes(LISTENING)
        await it.clock.advance(10)
        await it.saved(ledger, 1)
        await it.clock.advance(5)
        await it.becomes(ASLEEP)
        await it.clock.advance(2 * KEEP_S)
        await it.saved(ledger, 2)
        await it.clock.advance(6 * 3600)
        assert ledger.saves == 2


async def test_without_a_daily_limit_no_figures_are_stored() -> None:
    ledger = MemoryLedger()
    async with counted(Budget(tokens_per_conversation=10**6), ledger) as it:
        await it.becomes(LISTENING)
        await it.use(100)
        await it.clock.advance(600)
    assert ledger.saves == 0


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"day": "yesterday", "seconds": 0, "tokens": 0, "behind_s": 0, "unknown": False},
        {"day": "2026-11-20", "seconds": float("nan"), "tokens": 0, "behind_s": 0, "unknown": False},
        {"day": "2026-11-20", "seconds": -5, "tokens": 0, "behind_s": 0, "unknown": False},
        {"day": "2026-11-20", "seconds": 0, "tokens": [], "behind_s": 0, "unknown": False},
        {"day": 20, "seconds": 0, "tokens": 0, "behind_s": 0, "unknown": False},
        {"day": "2026-11-20", "seconds": 0, "tokens": float("inf"), "behind_s": 0, "unknown": False},
        {"day": "2026-11-20", "seconds": 0, "tokens": 0, "behind_s": 0, "unknown": False, "calls": [1]},
        {"day": "2026-11-20", "seconds": 0, "tokens": 0, "behind_s": 0, "unknown": False, "calls": {"a": -1}},
        {
            "day": "2026-11-20",
            "seconds": 0,
            "tokens": 0,
            "behind_s": 0,
            "unknown": False,
            "calls": {"a": "b"},
        },
    ],
)
async def test_lost_figures_close_the_day_and_are_logged(
    entry: Mapping[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    async with counted(Budget(seconds_per_day=600), MemoryLedger(entry)) as it:
        assert events(it) == [Closing(Code.BUDGET)]
        assert it.limits.status.unknown
        await it.clock.advance(12 * 3600 + 10)
        assert events(it) == [Closing(None)]
    [lost] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert vars(lost)["message_id"] == journal_ids.COUNT_LOST
    assert "restart" in lost.getMessage()


async def test_yesterdays_figures_do_not_count_today() -> None:
    entry = {"day": "2026-11-19", "seconds": 600.0, "tokens": 5, "behind_s": 0, "unknown": True}
    async with counted(Budget(seconds_per_day=600), MemoryLedger(entry)) as it:
        assert events(it) == []
        assert it.limits.status.seconds == 0


async def test_tool_calls_outlive_a_restart_without_other_limits() -> None:
    ledger = MemoryLedger()
    async with counted(Budget(), ledger) as it:
        assert it.day.calls_today("door") == 0
        for _ in range(2):
            it.day.count_call("door")
        it.day.count_call("bell")
        await it.saved(ledger, 1)
        assert (ledger.entry or {})["calls"] == {"door": 2, "bell": 1}

    async with counted(Budget(), ledger) as it:
        assert (it.day.calls_today("door"), it.day.calls_today("bell")) == (2, 1)
        assert (ledger.saves, events(it)) == (1, [])


async def test_tool_calls_are_stored_together_with_the_other_figures() -> None:
    ledger = MemoryLedger()
    async with counted(Budget(tokens_per_day=10**9), ledger) as it:
        await it.becomes(LISTENING)
        await it.use(100)
        await it.saved(ledger, 1)
        it.day.count_call("door")
        await it.use(100)
        await it.clock.advance(KEEP_S - 1)
        assert ledger.saves == 1
        await it.clock.advance(1)
        await it.saved(ledger, 2)
        assert {name: (ledger.entry or {})[name] for name in ("tokens", "calls")} == {
            "tokens": 200,
            "calls": {"door": 1},
        }


async def test_unstored_tool_calls_are_stored_when_the_daemon_ends() -> None:
    ledger = MemoryLedger()
    async with counted(Budget(), ledger) as it:
        it.day.count_call("door")
        await it.saved(ledger, 1)
        it.day.count_call("door")
    assert (ledger.entry or {})["calls"] == {"door": 2}


async def test_a_new_day_begins_without_tool_calls() -> None:
    async with counted(Budget(), at=NOON.replace(hour=23, minute=59, second=55)) as it:
        it.day.count_call("door")
        await it.clock.advance(4)
        assert it.day.calls_today("door") == 1
        it.at += timedelta(seconds=1)
        assert it.day.calls_today("door") == 0


async def test_setting_the_clock_back_allows_no_further_tool_calls() -> None:
    async with counted(Budget()) as it:
        it.day.count_call("door")
        it.at -= timedelta(days=3)
        assert it.day.calls_today("door") == 1


async def test_lost_figures_make_the_number_of_tool_calls_unknown() -> None:
    async with counted(Budget(), MemoryLedger({})) as it:
        assert it.day.calls_today("door") is None
        await it.clock.advance(12 * 3600)
        assert it.day.calls_today("door") == 0


async def test_an_entry_without_tool_calls_does_not_count_as_lost() -> None:
    entry = {"day": "2026-11-20", "seconds": 90.0, "tokens": 5, "behind_s": 0, "unknown": False}
    async with counted(Budget(), MemoryLedger(entry)) as it:
        assert (it.day.calls_today("door"), it.limits.status.seconds) == (0, 90.0)


async def test_a_notice_reaches_the_mailbox() -> None:
    async with counted(Budget(seconds_per_day=60, warn_s=60)) as it:
        await it.becomes(LISTENING)
        await it.clock.advance(45)
        assert await soon(it.inbox.take()) == [EndNear(near=True), TextSubmitted()]


class SlowLedger(MemoryLedger):
    """A store on a slow disk."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.going = threading.Event()

    def save(self, entry: Mapping[str, object]) -> None:
        self.reached.set()
        assert self.going.wait(10)
        super().save(entry)


async def test_the_newest_figures_are_stored_last_however_slow_the_disk() -> None:
    ledger = SlowLedger()
    async with counted(Budget(tokens_per_day=10**6), ledger) as it:
        await it.becomes(LISTENING)
        await it.use(100)
        await asyncio.to_thread(ledger.reached.wait, 10)
        await it.use(50)
        asyncio.get_running_loop().call_later(0.05, ledger.going.set)
    assert ledger.entry is not None
    assert (ledger.entry["tokens"], ledger.saves) == (150, 2)


class BrokenLedger(MemoryLedger):
    """A store on a disk that fails until a test mends it."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = True
        self.tries = 0

    def save(self, entry: Mapping[str, object]) -> None:
        self.tries += 1
        if self.broken:
            raise OSError(errno.EIO, "Input/output error", "budget.json")
        super().save(entry)


async def test_figures_that_could_not_be_stored_are_stored_when_the_disk_works_again() -> None:
    ledger = BrokenLedger()
    async with counted(Budget(tokens_per_day=10**6), ledger) as it, running(it.disk_writer.run()):
        await it.becomes(LISTENING)
        await it.use(100)
        assert await it.inbox.take() == [StorageFailed("Input/output error")]
        await it.becomes(ASLEEP)
        ledger.broken = False
        await it.clock.advance(2 * LOOK_S)
        assert await it.inbox.take() == [StorageFailed()]
        assert (ledger.entry or {})["tokens"] == 100


async def test_a_failing_disk_is_tried_at_most_once_a_minute() -> None:
    ledger = BrokenLedger()
    async with counted(Budget(tokens_per_day=10**9), ledger) as it, running(it.disk_writer.run()):
        await it.becomes(LISTENING)
        for minute in range(1, 6):
            for _ in range(6):
                await it.use(100)
                await it.clock.advance(KEEP_S / 6)
            assert ledger.tries <= minute + 1
