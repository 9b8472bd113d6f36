"""Buttons: each press becomes one event, even if the button is lost in between."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import Inbox, running

from kioskd.adapters.fakes.devices import MemoryButton
from kioskd.core.button_gesture import ButtonRole, GestureRules
from kioskd.core.events import (
    Armed,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    MuteRequested,
    Pressed,
    ReplySilenced,
    SleepRequested,
    SnapshotRequested,
    TalkBegan,
    TalkEnded,
    WakeCause,
    Woken,
)
from kioskd.flow.controls.buttons import ButtonEvents, ButtonWorker
from kioskd.flow.runtime.device_supervisor import RETRY_S
from kioskd.ports import Edge

GONE, CAME = DeviceGone(Device.BUTTON, "doorbell"), DeviceCame(Device.BUTTON, "doorbell")


class Hand:
    """A watched button, a hand that presses it, and the events that follow."""

    def __init__(self, rules: GestureRules) -> None:
        self.clock = ManualClock()
        self.button = MemoryButton()
        self.inbox = Inbox()
        self.restarts = 0
        self.worker = ButtonWorker(
            self.button, rules, self._post, self.clock, name="button doorbell", restart=self._restart
        )
        self.devices: list[Event] = []
        """The events about the button itself."""

    def _post(self, event: Event) -> None:
        told = self.devices if isinstance(event, DeviceGone | DeviceCame) else self.inbox.events
        told.append(event)

    def _restart(self) -> None:
        self.restarts += 1

    async def wait(self, seconds: float) -> list[Event]:
        """Let time pass, and return the new events."""
        await self.clock.advance(seconds)
        events, self.inbox.events = self.inbox.events, []
        return events

    async def after(self, deed: Callable[[], None]) -> list[Event]:
        """Do `deed`, and return the events that it causes at once."""
        deed()
        return await self.wait(0)


@asynccontextmanager
async def hand(rules: GestureRules | None = None) -> AsyncIterator[Hand]:
    made = Hand(rules or GestureRules())
    async with running(made.worker.run()):
        await made.wait(0)
        yield made


@pytest.mark.parametrize(
    ("does", "event"),
    [
        ("toggle", Pressed()),
        ("wake", Woken(WakeCause.BUTTON)),
        ("end", SleepRequested()),
        ("mute", MuteRequested(None)),
        ("look", SnapshotRequested()),
        ("hush", ReplySilenced()),
    ],
)
async def test_a_press_is_the_event_that_the_button_is_for(does: ButtonRole, event: Event) -> None:
    async with hand(GestureRules(does)) as it:
        assert await it.after(it.button.press) == [event]
        assert await it.wait(1.0) == []
        assert await it.after(it.button.press) == [event]


@pytest.mark.parametrize(
    ("does", "event"),
    [("toggle", Pressed(profile="easy")), ("wake", Woken(WakeCause.BUTTON, profile="easy"))],
)
async def test_a_button_names_its_profile(does: ButtonRole, event: Event) -> None:
    async with hand(GestureRules(does, profile="easy")) as it:
        assert await it.after(it.button.press) == [event]


async def test_a_double_press_is_one_event_and_a_single_press_comes_after_a_delay() -> None:
    async with hand(GestureRules("toggle", double="look")) as it:
        assert await it.after(it.button.press) == []
        assert await it.wait(0.3) == []
        assert await it.after(it.button.press) == [SnapshotRequested()]
        assert await it.wait(1.0) == []
        assert await it.after(it.button.press) == []
        assert await it.wait(0.4) == [Pressed()]


async def starve(it: Hand, *edges: Edge, seconds: float = 30.0) -> list[Event]:
    """Let the loop be late: its timers run first, then it reads the old edges from the kernel."""
    for edge in edges:
        it.button.happen(edge)
    return await it.wait(seconds)


async def test_a_late_loop_does_not_turn_a_short_press_into_a_mute() -> None:
    async with hand() as it:
        down_s = it.clock.now()
        assert await it.after(it.button.hold) == [Pressed()]
        assert await starve(it, Edge(False, down_s + 0.4)) == []


async def test_a_late_loop_does_not_turn_a_hold_for_mute_into_a_restart() -> None:
    async with hand() as it:
        down_s = it.clock.now()
        await it.after(it.button.hold)
        assert await it.wait(2.5) == [Armed("mute")]
        assert await starve(it, Edge(False, down_s + 3.0)) == [Armed(""), MuteRequested()]
        assert it.restarts == 0


async def test_a_late_loop_does_not_turn_a_double_press_into_two() -> None:
    async with hand(GestureRules("toggle", double="look")) as it:
        down_s = it.clock.now()
        assert await it.after(it.button.hold) == []
        burst = [Edge(False, down_s + 0.1), Edge(True, down_s + 0.3), Edge(False, down_s + 0.4)]
        assert await starve(it, *burst) == [SnapshotRequested()]


async def test_a_press_has_the_time_of_the_finger_however_late_it_is_read() -> None:
    async with hand() as it:
        down_s = it.clock.now() + 0.1
        await it.wait(1.0)
        it.button.happen(Edge(True, down_s))
        (pressed,) = await it.after(it.button.release)
        assert isinstance(pressed, Pressed)
        assert pressed.down_s == down_s


async def test_a_time_stamp_in_the_future_counts_as_now() -> None:
    async with hand() as it:
        it.button.happen(Edge(True, it.clock.now() + 1e9))
        (pressed,) = await it.after(it.button.release)
        assert isinstance(pressed, Pressed)
        assert pressed.down_s == it.clock.now()


async def test_holding_to_talk_begins_and_ends_a_talk() -> None:
    async with hand(GestureRules("hold")) as it:
        assert await it.after(it.button.hold) == [TalkBegan()]
        assert await it.wait(20.0) == []
        assert await it.after(it.button.release) == [TalkEnded()]


async def test_the_action_of_a_long_hold_is_shown_during_the_hold_and_done_on_release() -> None:
    async with hand() as it:
        assert await it.after(it.button.hold) == [Pressed()]
        assert await it.wait(2.0) == [Armed("mute")]
        assert await it.after(it.button.release) == [Armed(""), MuteRequested(None)]
        assert await it.wait(600.0) == []


async def test_a_longer_hold_restarts_on_release(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with hand() as it:
        it.button.hold()
        assert await it.wait(10.0) == [Pressed(), Armed("mute"), Armed("restart")]
        assert it.restarts == 0
        assert await it.after(it.button.release) == [Armed("")]
        assert it.restarts == 1
    assert caplog.messages == ["a button was held to restart the daemon: name=button doorbell"]


async def test_a_stuck_button_is_reported_once_and_so_is_its_release(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hand(GestureRules("hold")) as it:
        caplog.set_level(logging.INFO)
        caplog.clear()
        it.button.hold()
        assert await it.wait(3600.0) == [TalkBegan(), TalkEnded()]
        assert await it.after(it.button.release) == []
        stuck, rests = caplog.messages
        assert stuck.startswith(
            "button stuck, ignored until it is released: name=button doorbell held_s=60; free it"
        )
        assert rests == "button rests and is used again: name=button doorbell"
        assert it.devices == [GONE, CAME]
        assert await it.after(it.button.hold) == [TalkBegan()]


async def test_a_bouncing_button_is_reported_once_and_does_not_wake_the_kiosk(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hand() as it:
        events: list[Event] = []
        for _ in range(1000):
            events += await it.after(it.button.press) + await it.wait(0.02)
        assert events == [Pressed()] * 10
        assert await it.wait(60.0) == []
        assert await it.after(it.button.press) == [Pressed()]
        assert it.devices == [GONE, CAME]
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.getMessage().startswith(
        "button bounces, ignored until it rests: name=button doorbell edges=20"
    )
    remedy = said.getMessage().partition("; ")[2]
    assert remedy == "mend its cable, raise debounce_ms (gpio only), or take another button"


async def test_a_fluttering_contact_is_reported_once_with_its_edges(caplog: pytest.LogCaptureFixture) -> None:
    async with hand() as it:
        events: list[Event] = []
        for _ in range(500):
            events += await it.after(it.button.press) + await it.wait(1.0)
        assert events == [Pressed()] * 30
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "name=button doorbell edges=60 within_s=60;" in said.getMessage()


async def test_a_button_that_is_down_at_start_does_not_wake_the_kiosk() -> None:
    clock, inbox, button = ManualClock(), Inbox(), MemoryButton()
    button.hold()
    async with running(button.watch(lambda _pressed: None)):
        await clock.advance(0)
    worker = ButtonWorker(button, GestureRules(), inbox.post, clock, name="doorbell", restart=lambda: None)
    async with running(worker.run()):
        await clock.advance(30.0)
        button.release()
        await clock.advance(0)
        assert inbox.events == []
        button.press()
        assert await inbox.take() == [Pressed()]


async def test_a_button_that_is_lost_in_mid_hold_ends_the_talk() -> None:
    async with hand(GestureRules("hold")) as it:
        assert await it.after(it.button.hold) == [TalkBegan()]
        assert await it.after(it.button.unplug) == [TalkEnded()]
        assert await it.wait(3600.0) == []


async def test_a_button_that_is_lost_while_armed_does_nothing() -> None:
    async with hand() as it:
        it.button.hold()
        await it.wait(11.0)
        assert await it.after(it.button.unplug) == [Armed("")]
        assert it.restarts == 0


async def test_a_button_that_comes_back_works_again_and_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with hand() as it:
        it.button.unplug()
        await it.wait(3600.0)
        it.button.replug()
        await it.wait(RETRY_S)
        assert await it.after(it.button.press) == [Pressed()]
        assert it.devices == [GONE, CAME]
    assert sum("doorbell lost" in message for message in caplog.messages) == 1
    assert sum("doorbell back" in message for message in caplog.messages) == 1


async def test_a_button_that_comes_back_held_down_does_not_wake_the_kiosk() -> None:
    async with hand() as it:
        it.button.hold()
        await it.wait(1.0)
        it.button.unplug()
        await it.wait(5.0)
        it.button.replug()
        assert await it.wait(RETRY_S + 5.0) == []
        assert await it.after(it.button.release) == []
        assert await it.after(it.button.press) == [Pressed()]


async def test_a_talk_ends_when_the_kiosk_stops() -> None:
    async with hand(GestureRules("hold")) as it:
        await it.after(it.button.hold)
    assert it.inbox.events == [TalkEnded()]


async def test_with_two_talk_buttons_the_turn_ends_when_both_are_released() -> None:
    clock, inbox = ManualClock(), Inbox()
    hands = ButtonEvents(inbox.post)
    left, right = MemoryButton(), MemoryButton()
    workers = [
        ButtonWorker(
            button, GestureRules(does="hold"), hands.post, clock, name="talk", restart=inbox.events.clear
        )
        for button in (left, right)
    ]
    async with running(*(worker.run() for worker in workers)):
        await clock.advance(0)
        for hold in (left, right):
            hold.hold()
            await clock.advance(0.5)
        assert inbox.events == [TalkBegan(), TalkBegan()], "each can wake the kiosk, or answer a question"
        left.release()
        await clock.advance(0.5)
        assert TalkEnded() not in inbox.events
        right.unplug()
        await clock.advance(0)
        assert inbox.events.count(TalkEnded()) == 1
        left.hold()
        await clock.advance(0.5)
        left.release()
        await clock.advance(0.5)
        assert inbox.events.count(TalkEnded()) == 2
