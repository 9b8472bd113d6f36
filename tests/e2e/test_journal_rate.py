"""A kiosk that no one uses writes little to its journal: for hours without a network, and for idle days."""

import errno
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Final

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.fakes_live import ScriptedLive
from tests.support.kiosk import Inbox, Kiosk, frame, kiosk, running, soon

from kioskd import log_entries, logs
from kioskd.errors import LinkLost
from kioskd.flow.storage.disk_writer import LOOK_S, DiskWriter
from kioskd.ports import GenerationEnded, ReplyAudio, TurnComplete
from kioskd.settings.conversation import AssistantSettings, ConversationSettings
from kioskd.settings.model import Settings

HOUR_S: Final = 3600.0
HOURS: Final = 10
"""Hours of an outage. From the second hour on, all are alike."""

ALWAYS_ON: Final = Settings(conversation=ConversationSettings(wake=("start",)))
BUTTON: Final = Settings()


class Paper:
    """Keeps the written lines, with their times."""

    def __init__(self) -> None:
        self.clock: ManualClock | None = None
        self.lines: list[str] = []

    def write(self, entry: log_entries.JournalEntry) -> None:
        self.lines.append(log_entries.line(entry, prefixed=True))

    def now(self) -> float:
        return self.clock.now() if self.clock is not None else 0.0


@pytest.fixture
def paper() -> Iterator[Paper]:
    paper = Paper()
    handler = logs.QueuedHandler(paper.write, paper.now)
    ours = logging.getLogger("kioskd")
    level, passes_on = ours.level, ours.propagate
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False  # the test runner would keep all lines
    yield paper
    ours.removeHandler(handler)
    ours.setLevel(level)
    ours.propagate = passes_on
    handler.close()


def written(paper: Paper) -> int:
    """Wait until all lines are written; return their number."""
    for handler in logging.getLogger("kioskd").handlers:
        handler.flush()
    return len(paper.lines)


@asynccontextmanager
async def lonely(settings: Settings, paper: Paper) -> AsyncIterator[Kiosk]:
    """Run a kiosk whose parts are checked once an hour, so that time can pass quickly."""
    async with kiosk(settings, watchdog_s=3 * HOUR_S) as it:
        paper.clock = it.clock
        yield it


async def hours(it: Kiosk, paper: Paper, count: int) -> list[int]:
    """Let this number of hours pass; return the number of lines of each hour."""
    sums = [written(paper)]
    for number in range(count):
        it.microphone.say(frame(number % 7 + 1))
        await soon(it.speaker.advance(0.01))
        await it.clock.advance(HOUR_S)
        sums.append(written(paper))
    return [after - before for before, after in pairwise(sums)]


async def no_network(live: ScriptedLive) -> None:
    while True:
        await live.refuse(LinkLost("Live service lost: no network; dialing again"))


@pytest.mark.parametrize("settings", [ALWAYS_ON, BUTTON], ids=["always on", "button"])
async def test_hours_without_a_network(settings: Settings, paper: Paper) -> None:
    async with lonely(settings, paper) as it, running(no_network(it.live)):
        it.button.press()  # a visitor has tried it once
        by_hour = await hours(it, paper, HOURS)

    assert max(by_hour) <= logs.LINES_AN_HOUR
    assert sum(by_hour[1:]) <= 10 * (HOURS - 1), "after the first hour a line an hour and kind, at most"
    assert any("out of order: code=W1" in line for line in paper.lines)
    assert (settings is BUTTON) or any("more of this kind of line" in line for line in paper.lines)


async def greets_for_ever(live: ScriptedLive) -> None:
    while True:
        connection = await live.accept()
        await connection.until(lambda connection=connection: connection.texts)  # type: ignore[misc]  # bound at once
        connection.say(ReplyAudio(bytes(480)), GenerationEnded(), TurnComplete())


async def lets_everybody_in(live: ScriptedLive) -> None:
    while True:
        await live.accept()


async def test_two_idle_days_asleep_write_nothing(paper: Paper) -> None:
    async with lonely(BUTTON, paper) as it:
        first, *others = await hours(it, paper, 5 * HOURS)
    assert first <= 1, "the lamp is ready"
    assert set(others) == {0}


async def test_idle_hours_of_an_exhibit_that_is_always_on(paper: Paper) -> None:
    async with lonely(ALWAYS_ON, paper) as it, running(lets_everybody_in(it.live)):
        by_hour = await hours(it, paper, HOURS)
    assert max(by_hour) <= logs.LINES_AN_HOUR
    assert sum(by_hour[1:]) <= 10 * (HOURS - 1)


async def test_idle_hours_of_an_exhibit_that_greets_an_empty_room(paper: Paper) -> None:
    greeting = ALWAYS_ON.model_copy(update={"assistant": AssistantSettings(greeting="Greet.")})
    async with lonely(greeting, paper) as it, running(greets_for_ever(it.live)):
        by_hour = await hours(it, paper, 4)
    assert max(by_hour) <= logs.LINES_AN_HOUR


async def test_a_disk_that_is_full_every_other_minute(paper: Paper) -> None:
    paper.clock, inbox, looks = ManualClock(), Inbox(), 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks % 2:
            raise OSError(errno.ENOSPC, "No space left on device", "/var/lib/kioskd")

    by_hour = []
    async with running(DiskWriter(paper.clock, inbox.post, {"state directory": look}).run()):
        for _ in range(3):
            before = written(paper)
            for _ in range(round(HOUR_S / LOOK_S)):
                await inbox.take()  # each check finds the opposite of the one before
                await paper.clock.advance(LOOK_S)
            by_hour.append(written(paper) - before)
    assert looks > 3 * HOUR_S / LOOK_S - 1
    assert max(by_hour) <= logs.LINES_AN_HOUR / 2, "there may be other trouble"
