"""Confirmation: a press allows the tool that the lamp asks for, once the request could be seen."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.core import listening
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import PATIENCE_S

from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.core import button_gesture
from kioskd.core.effects import AskConfirmation, Confirm, Overlay, ShowStatus, StopPrompt
from kioskd.core.events import ConfirmationRequested, Event, Pressed, PromptOver
from kioskd.core.machine import levels, step
from kioskd.core.policy import Policy
from kioskd.flow.controls.buttons import ButtonEvents, ButtonWorker
from kioskd.flow.reporting.journal import status
from kioskd.flow.tools.confirmation import ASK_S, SPOKEN_S, UNSEEN_S, UP_S, Confirmation
from kioskd.ports import Edge

POLICY = Policy()
LATER_S = UNSEEN_S + 0.1
"""The time when a person can have seen the lamp."""


class Bench:
    """A confirmation with the real core, in a conversation."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.clock = ManualClock()
        self.state = listening()
        self.mailbox: deque[Event] = deque()
        self.confirmation = Confirmation(self.mailbox.append, self.clock)
        self.group = group

    def happen(self, *events: Event) -> None:
        """Take events through the core, with all that follow."""
        self.mailbox.extend(events)
        while self.mailbox:
            event, before = self.mailbox.popleft(), self.state
            self.state, effects = step(before, event, POLICY)
            for effect in effects:
                if isinstance(effect, Confirm):
                    self.confirmation.allow(effect)
            self.confirmation.observe(self.clock.now(), event, before, self.state, effects)

    async def advance(self, seconds: float) -> None:
        """Move the clock, and let all tasks react."""
        await self.clock.advance(seconds)
        self.happen()

    async def ask(self, name: str) -> asyncio.Task[bool]:
        """Ask; the lamp shows it if no other question is open."""
        asking = self.group.create_task(self.confirmation.ask(name))
        await self.advance(0)
        return asking

    async def press(self) -> None:
        """Press the button, and let all tasks react."""
        self.happen(Pressed())
        await self.advance(0)

    @property
    def asks(self) -> bool:
        """Whether the lamp asks."""
        return levels(self.state, POLICY).show.overlay is Overlay.ASKING


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        yield Bench(group)


async def test_a_press_allows_the_tool_that_the_lamp_asks_for() -> None:
    async with bench() as it:
        asking = await it.ask("door")
        assert it.asks
        await it.advance(LATER_S)
        await it.press()
        assert await asking
        assert not it.asks
        assert it.state.turn.awake, "the press had no other effect"


async def test_each_question_needs_a_press_of_its_own() -> None:
    async with bench() as it:
        first, second = await it.ask("front door"), await it.ask("safe")
        await it.advance(LATER_S)
        await it.press()
        assert await first
        assert it.asks
        await it.advance(LATER_S)
        assert not second.done()
        await it.press()
        assert await second


async def test_an_impatient_second_press_does_not_allow_the_next_question() -> None:
    async with bench() as it:
        first, second = await it.ask("front door"), await it.ask("safe")
        await it.advance(LATER_S)
        await it.press()
        await it.advance(UNSEEN_S / 2)
        await it.press()
        assert (first.done(), second.done()) == (True, False)
        assert it.state.turn.awake
        await it.advance(ASK_S)
        assert not await second


async def test_a_question_without_a_press_is_over_after_its_time() -> None:
    async with bench() as it:
        asking = await it.ask("door")
        await it.advance(ASK_S - 0.1)
        assert it.asks
        await it.advance(0.2)
        assert not await asking
        assert not it.asks


async def test_a_question_that_waited_for_another_has_its_own_time() -> None:
    async with bench() as it:
        first, second = await it.ask("front door"), await it.ask("safe")
        for asking in (first, second):
            await it.advance(ASK_S - 1)
            await it.press()
            assert await asking


async def test_a_cancelled_question_is_asked_no_longer() -> None:
    async with bench() as it:
        asking = await it.ask("door")
        asking.cancel()
        await it.advance(0)
        assert not it.asks


async def test_a_press_for_one_question_does_not_allow_the_next() -> None:
    async with bench() as it:
        first, second = await it.ask("door"), await it.ask("safe")
        await it.advance(LATER_S)
        # The press is already in the mailbox when the first question is cancelled.
        first.cancel()
        await it.clock.advance(0)
        it.mailbox.appendleft(Pressed())
        await it.advance(0)
        assert not second.done()
        assert it.asks
        await it.advance(LATER_S)
        await it.press()
        assert await second


MOMENTS_S = st.integers(0, 120).map(lambda tenths: tenths / 10)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(presses=st.lists(MOMENTS_S, max_size=6).map(sorted))
def test_a_press_allows_a_tool_only_while_its_question_is_open(
    presses: Sequence[float],
) -> None:
    async def play() -> None:
        async with bench() as it:
            asking, began_s = await it.ask("door"), it.clock.now()
            for moment_s in presses:
                await it.advance(began_s + moment_s - it.clock.now())
                if it.asks:
                    await it.press()
                    assert it.state.turn.awake, "the press had another effect"
            await it.advance(ASK_S)
            meant = any(UNSEEN_S <= round(moment_s, 1) < ASK_S for moment_s in presses)
            assert await asking is meant
            assert not it.asks

    asyncio.run(play())


@pytest.mark.parametrize("double", ["look", None])
@pytest.mark.parametrize("before_s", [0.0, 0.05, 0.2, 0.35, 0.4, 1.0])
async def test_a_press_from_before_the_question_never_allows_it(
    before_s: float, double: button_gesture.ButtonRole | None
) -> None:
    rules = button_gesture.GestureRules(double=double)
    button, _, _ = button_gesture.step(button_gesture.Gesture(), False, 0.0, rules)
    button, outcomes, due_s = button_gesture.step(button, True, 1.0, rules)
    acted_s = 1.0 if outcomes else due_s
    assert acted_s is not None
    async with bench() as it:
        asking = None
        for moment_s, what in sorted([(1.0 + before_s, "ask"), (acted_s, "press")]):
            await it.advance(moment_s + 1000.0 - it.clock.now())
            if what == "ask":
                asking = await it.ask("door")
            elif asking is not None:
                await it.press()
        assert asking is not None
        await it.advance(ASK_S)
        assert not await asking


def test_a_press_that_waits_for_a_double_press_is_too_early_to_be_an_answer() -> None:
    assert button_gesture.GestureRules().double_s < UNSEEN_S


async def test_a_question_that_was_not_shown_cannot_be_answered() -> None:
    async with bench() as it:
        asking = it.group.create_task(it.confirmation.ask("door"))
        await it.clock.advance(LATER_S)
        it.confirmation.allow(Confirm())
        assert it.mailbox == deque([ConfirmationRequested(wanted=True, name="door")])
        await it.advance(ASK_S)
        assert not await asking


# With a real button


class Booth(Bench):
    """The same with a button, a finger that presses it, and a voice."""

    def __init__(
        self, group: asyncio.TaskGroup, rules: button_gesture.GestureRules, voice: bytes | None = None
    ) -> None:
        super().__init__(group)
        self.button = MemoryButton()
        self.hands = ButtonEvents(self.mailbox.append)
        self.worker = ButtonWorker(
            self.button,
            rules,
            self.hands.post,
            self.clock,
            name="button",
            restart=lambda: None,
            buttons=self.hands,
        )
        self.said: list[tuple[str, str]] = []
        self.effects: list[object] = []
        self._voice = voice
        self.confirmation = Confirmation(
            self.mailbox.append, self.clock, buttons=self.hands, voice=self._aloud
        )

    async def _aloud(self, name: str, words: str) -> bytes | None:
        self.said.append((name, words))
        return self._voice

    def happen(self, *events: Event) -> None:
        self.mailbox.extend(events)
        while self.mailbox:
            event, before = self.mailbox.popleft(), self.state
            self.state, effects = step(before, event, POLICY)
            self.effects += effects
            for effect in effects:
                if isinstance(effect, Confirm):
                    self.confirmation.allow(effect)
            self.confirmation.observe(self.clock.now(), event, before, self.state, effects)

    async def advance(self, seconds: float) -> None:
        """Move the clock in small steps, and let all tasks react after each."""
        until_s = self.clock.now() + seconds
        while True:
            await self.clock.advance(min(0.05, max(0.0, until_s - self.clock.now())))
            self.happen()
            await self.clock.advance(0)
            self.happen()
            if self.clock.now() >= until_s - 1e-9:
                return

    async def click(self, held_s: float = 0.2) -> None:
        """Press, hold, and release."""
        self.button.hold()
        await self.advance(held_s)
        self.button.release()
        await self.advance(0)


@asynccontextmanager
async def booth(
    rules: button_gesture.GestureRules | None = None, voice: bytes | None = None
) -> AsyncIterator[Booth]:
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        made = Booth(group, rules or button_gesture.GestureRules(), voice)
        worker = group.create_task(made.worker.run())
        await made.advance(2 * UP_S)
        yield made
        worker.cancel()


async def test_a_press_held_into_the_next_question_allows_only_the_first() -> None:
    async with booth() as it:
        first, second = await it.ask("front door"), await it.ask("safe")
        await it.advance(LATER_S)
        it.button.hold()
        await it.advance(1.5)
        assert (first.done(), it.asks) == (True, False), "no question while a finger is down"
        it.button.release()
        await it.advance(UP_S - 0.1)
        assert not it.asks
        await it.advance(0.2)
        assert it.asks
        assert not second.done()
        await it.advance(LATER_S)
        await it.click()
        assert await second


async def test_a_press_that_began_before_the_question_never_allows_it() -> None:
    async with booth(button_gesture.GestureRules("toggle", double="look")) as it:
        it.button.hold()
        asking = await it.ask("safe")
        await it.advance(ASK_S / 2)
        it.button.release()
        await it.advance(ASK_S / 2)
        assert not asking.done(), "its time begins when the finger has left"
        await it.advance(ASK_S + UP_S)
        assert not await asking


async def test_a_double_press_on_one_question_leaves_the_next_one_open() -> None:
    async with booth() as it:
        first, second = await it.ask("front door"), await it.ask("safe")
        await it.advance(LATER_S)
        await it.click(0.1)
        await it.advance(0.1)
        await it.click(0.1)
        assert await first
        await it.advance(ASK_S + 2 * UP_S)
        assert not await second


async def test_a_press_is_judged_by_the_time_of_the_finger_however_late_it_is_read() -> None:
    async with booth() as it:
        asking, began_s = await it.ask("door"), it.clock.now()
        it.button.happen(Edge(True, began_s + UNSEEN_S / 2))
        it.button.happen(Edge(False, began_s + UNSEEN_S))
        await it.advance(LATER_S)
        it.hands.catch_up()
        await it.advance(ASK_S)
        assert not await asking


async def test_a_press_from_before_the_end_of_a_question_counts_even_if_read_after_it() -> None:
    async with booth() as it:
        asking, began_s = await it.ask("door"), it.clock.now()
        it.button.happen(Edge(True, began_s + ASK_S - 1.0))
        it.button.happen(Edge(False, began_s + ASK_S - 0.8))
        await it.clock.advance(3 * ASK_S)  # the loop is late: its timers run before it reads
        it.happen()
        assert await asking
        assert it.state.turn.awake, "the press had no other effect"


async def test_a_press_that_may_become_a_double_one_counts_at_the_last_moment() -> None:
    async with booth(button_gesture.GestureRules("toggle", double="look")) as it:
        asking = await it.ask("door")
        await it.advance(ASK_S - 0.2)
        await it.click(0.1)
        await it.advance(1.0)
        assert await asking
        assert it.state.turn.awake, "the press had no other effect"


async def test_a_stuck_button_does_not_prevent_a_question() -> None:
    async with booth(button_gesture.GestureRules(stuck_s=5.0)) as it:
        it.button.hold()
        asking = await it.ask("door")
        assert not it.asks
        await it.advance(5.0 + UP_S + 0.2)
        assert it.asks
        asking.cancel()


async def test_a_question_that_is_given_up_while_a_finger_is_down_is_never_asked() -> None:
    async with booth() as it:
        it.button.hold()
        asking = await it.ask("door")
        asking.cancel()
        it.button.release()
        await it.advance(2 * UP_S)
        assert not it.asks


# Status line, journal and voice


async def test_lamp_and_status_name_the_tool_that_asks() -> None:
    async with booth() as it:
        await it.ask("open_door")
        await it.advance(0.1)
        shown = [effect for effect in it.effects if isinstance(effect, ShowStatus)][-1]
        assert (shown.overlay, shown.asking) == (Overlay.ASKING, "open_door")
        assert status(shown).endswith(
            "; the model asks to use the tool open_door: press the button to allow it"
        )
        await it.advance(ASK_S)
        shown = [effect for effect in it.effects if isinstance(effect, ShowStatus)][-1]
        assert (shown.overlay, shown.asking) == (Overlay.NONE, "")


async def test_the_journal_names_the_tool_that_asks_and_the_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with booth() as it:
        asking = await it.ask("open_door")
        await it.advance(LATER_S)
        await it.click()
        assert await asking
        asking = await it.ask("safe")
        await it.advance(ASK_S + 2 * UP_S)
        assert not await asking
    assert [line for line in caplog.messages if line.startswith("tool ")] == [
        "tool asks for a press: name=open_door",
        "tool allowed by a press: name=open_door",
        "tool asks for a press: name=safe",
        "tool not allowed in time: name=safe",
    ]


async def test_the_voice_asks_and_the_time_counts_from_its_end() -> None:
    async with booth(voice=b"question") as it:
        asking = await it.ask("door")
        await it.advance(0.1)
        assert it.said == [("door", "")]
        assert it.confirmation.sound == b"question"
        assert AskConfirmation() in it.effects
        await it.advance(SPOKEN_S / 2)
        assert not asking.done()
        it.happen(PromptOver())
        await it.advance(ASK_S - 0.5)
        assert not asking.done()
        await it.advance(1.0)
        assert not await asking


async def test_a_press_ends_the_voice_that_asks() -> None:
    async with booth(voice=b"question") as it:
        asking = await it.ask("door")
        await it.advance(LATER_S)
        await it.click()
        assert await asking
        assert StopPrompt() in it.effects
        assert it.state.prompt is None


async def test_without_a_voice_the_microphone_stays_open() -> None:
    async with booth() as it:
        asking = await it.ask("door")
        await it.advance(0.1)
        assert it.state.prompt is None
        assert AskConfirmation() not in it.effects
        asking.cancel()
