"""Budgets and quiet hours of the composed daemon: counting, notices, ends, closing, opening, restarts."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from tests.support.fakes_live import ScriptedConnection
from tests.support.kiosk import PATIENCE_S, Kiosk, running, soon
from tests.support.parts import changed
from tests.support.until import until

from kioskd import app
from kioskd.adapters.storage.state_files import BUDGET, BudgetFile
from kioskd.core.effects import Cue, KioskStatus, Prompt
from kioskd.errors import Code
from kioskd.flow.reporting.journal import STATUS, WRONG
from kioskd.flow.runtime.reload import Reload
from kioskd.ports import GenerationEnded, ReplyAudio, TurnComplete, UsageReported
from kioskd.settings.conversation import ConversationSettings
from kioskd.settings.limits import NOTICE, LimitsSettings
from kioskd.settings.model import Settings

NOON: Final = datetime(2026, 11, 20, 12, tzinfo=timezone(timedelta(hours=1)))


class Metered(Kiosk):
    """A kiosk with a clock on its wall, and a state directory."""

    def __init__(self, limits: LimitsSettings, state: Path | None) -> None:
        super().__init__(
            Settings(limits=limits, conversation=ConversationSettings(idle_s=3000.0, longest_s=3600.0)),
            watchdog_s=None,
        )
        self.at = NOON
        self.new = self.settings
        self.reload = Reload(self._read)
        self._start = self.clock.now()
        self._state_directory = state

    def wall(self) -> datetime:
        return self.at + timedelta(seconds=self.clock.now() - self._start)

    def parts(self) -> app.Parts:
        budget = BudgetFile(self._state_directory) if self._state_directory is not None else None
        return changed(super().parts(), wall=self.wall, budget=budget)

    async def serve(self) -> None:
        await app.serve(self.settings, self.parts(), observers=[self.observe], reload=self.reload)

    def _read(self) -> app.NewSettings:
        return app.NewSettings(self.new, self.live)

    @property
    def told(self) -> str:
        """The last status that the service manager got."""
        return [words for words in self.notifier.told if words.startswith("status: ")][-1].removeprefix(
            "status: "
        )


@asynccontextmanager
async def metered(limits: LimitsSettings, state: Path | None = None) -> AsyncIterator[Metered]:
    it = Metered(limits, state)
    async with running(it.serve()):
        await it.start()
        yield it


async def answer(it: Metered, connection: ScriptedConnection, tokens: int = 0) -> None:
    """Have the model answer shortly, and the room be quiet again."""
    connection.say(ReplyAudio(bytes(4800)))
    connection.say(GenerationEnded(), TurnComplete(), UsageReported(tokens, 0))
    await it.shows(KioskStatus.SPEAKING)
    await it.hear(0.5)
    await it.clock.advance(1.0)
    await it.until(lambda: not it.state.turn.sounding)


async def test_the_visitor_is_warned_before_the_day_is_spent_and_no_one_wakes_the_kiosk_after_it() -> None:
    async with metered(LimitsSettings(minutes_per_day=8)) as it:
        connection = await it.wake()
        await it.clock.advance(419)
        assert list(connection.texts) == []
        await it.clock.advance(2)
        assert list(connection.texts) == [NOTICE]
        await it.shows(KioskStatus.THINKING)
        await answer(it, connection)

        await it.clock.advance(70)
        await it.shows(KioskStatus.CLOSED)
        await soon(connection.hung_up())
        assert Prompt(Code.BUDGET) in it.effects, "somebody was there, and is told why"
        assert it.told == f"{STATUS[KioskStatus.CLOSED]}: {WRONG[Code.BUDGET]}; it opens at 00:00 (code B1)"

        it.effects.clear()
        it.button.press()
        await it.until(lambda: Prompt(Code.BUDGET) in it.effects)
        assert it.shown is KioskStatus.CLOSED
        assert it.live.open == []


async def test_a_new_day_opens_the_kiosk_by_itself() -> None:
    async with metered(LimitsSettings(tokens_per_day=1000)) as it:
        connection = await it.wake()
        connection.say(UsageReported(900, 100))
        await it.shows(KioskStatus.CLOSED)

        it.at = NOON + timedelta(hours=12)
        await it.clock.advance(10)
        await it.shows(KioskStatus.ASLEEP)
        await it.wake()


async def test_quiet_hours_close_the_kiosk_and_end_by_themselves() -> None:
    async with metered(LimitsSettings(quiet_hours=("12:00-13:00",))) as it:
        await it.shows(KioskStatus.CLOSED)
        it.button.press()
        await it.until(lambda: Prompt(Code.HOURS) in it.effects)

        await it.clock.advance(3600)
        await it.shows(KioskStatus.ASLEEP)
        await it.wake()


async def test_a_conversation_ends_with_a_chime_when_its_tokens_are_spent() -> None:
    async with metered(LimitsSettings(tokens_per_conversation=1000)) as it:
        connection = await it.wake()
        await it.ask()
        await answer(it, connection, tokens=960)
        assert list(connection.texts) == [NOTICE]

        connection.say(ReplyAudio(bytes(4800)), UsageReported(960, 10))
        await it.shows(KioskStatus.SPEAKING)
        await it.clock.advance(1.0)
        assert not connection.closed, "not in mid-word"
        connection.say(GenerationEnded(), TurnComplete())
        await it.settle()
        await it.hear(0.5)
        await it.clock.advance(1.0)
        await it.shows(KioskStatus.ASLEEP)
        await soon(connection.hung_up())
        assert not any(isinstance(effect, Prompt) for effect in it.effects)
        assert any(getattr(effect, "cue", None) is Cue.END for effect in it.effects)

        await it.wake()


async def test_spending_outlives_the_process(tmp_path: Path) -> None:
    limits = LimitsSettings(minutes_per_day=10)
    async with metered(limits, tmp_path) as it:
        await it.wake()
        await it.clock.advance(300)
    assert json.loads((tmp_path / BUDGET).read_text())["seconds"] >= 300

    async with metered(limits, tmp_path) as it:
        await it.wake()
        await it.clock.advance(299)
        assert it.shown is not KioskStatus.CLOSED
        await it.clock.advance(10)
        await it.shows(KioskStatus.CLOSED)

    async with metered(limits, tmp_path) as it:
        await it.shows(KioskStatus.CLOSED)


async def test_a_damaged_count_closes_the_day_and_the_next_one_is_open(tmp_path: Path) -> None:
    (tmp_path / BUDGET).write_text('{"day": "2026-11-')
    async with metered(LimitsSettings(minutes_per_day=10), tmp_path) as it:
        await it.shows(KioskStatus.CLOSED)
        it.at = NOON + timedelta(hours=12)
        await it.clock.advance(10)
        await it.shows(KioskStatus.ASLEEP)
        await until(lambda: "2026-11-21" in (tmp_path / BUDGET).read_text(), at_most_s=PATIENCE_S)


async def test_a_raised_limit_opens_the_kiosk_at_once() -> None:
    async with metered(LimitsSettings(tokens_per_day=1000)) as it:
        connection = await it.wake()
        connection.say(UsageReported(1000, 0))
        await it.shows(KioskStatus.CLOSED)

        it.new = it.settings.model_copy(update={"limits": LimitsSettings(tokens_per_day=10_000)})
        it.reload.ask()
        await it.shows(KioskStatus.ASLEEP)


async def test_minutes_without_a_connection_cost_nothing() -> None:
    async with metered(LimitsSettings(minutes_per_day=5)) as it:
        it.button.press()
        await it.until(lambda: it.state.turn.awake)
        await it.clock.advance(1000)
        assert it.shown is not KioskStatus.CLOSED
