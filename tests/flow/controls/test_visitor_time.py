"""The visitor's time: the seconds left, more time on request, and the profile."""

import asyncio
import logging
from typing import Final

import pytest
from tests.support.core import EXTENDING, SLOW, listening, speaking
from tests.support.kiosk import soon

from kioskd.core.events import (
    Event,
    MoreTimeRequested,
    Pressed,
    ProfileChosen,
    SleepRequested,
    TextSubmitted,
    Timer,
    WakeCause,
    Woken,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import DEFAULT_PROFILE
from kioskd.flow.controls.visitor_time import NO_PROFILE, VisitorTime

KIDS: Final = "kids"
PROFILES: Final = {SLOW: "", KIDS: "Speak with a child."}


class Desk:
    """A real core beside the visitor's time."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.timers: dict[Timer, float] = {}
        self.limit_s: float | None = None
        self.told: list[str] = []
        self.paces: list[str] = []
        self.posted: list[Event] = []
        self.takes_text = True
        self.time = VisitorTime(
            self.post,
            timer_left_s=self.timers.get,
            limit_left_s=lambda: self.limit_s,
            tell=self._tell,
            profiles=PROFILES,
            use_pace=self.paces.append,
        )
        self.time.observe(0.0, Pressed(), State(), state, ())
        self.paces.clear()

    def post(self, event: Event) -> None:
        self.posted.append(event)
        asyncio.get_running_loop().call_soon(self.step, event)

    def step(self, event: Event) -> None:
        before = self.state
        self.state, effects = step(before, event, EXTENDING)
        self.time.observe(0.0, event, before, self.state, effects)

    def _tell(self, text: str) -> bool:
        if self.takes_text:
            self.told.append(text)
        return self.takes_text


# The seconds left


async def test_the_nearest_end_by_time_counts() -> None:
    desk = Desk(listening())
    assert desk.time.ends_in_s() is None
    desk.timers[Timer.LONGEST] = 500.0
    assert desk.time.ends_in_s() == 500.0
    desk.limit_s = 400.0
    assert desk.time.ends_in_s() == 400.0


async def test_the_end_by_silence_counts_after_its_warning() -> None:
    desk = Desk(listening())
    desk.timers |= {Timer.LONGEST: 500.0, Timer.IDLE: 4.0}
    assert desk.time.ends_in_s() == 500.0
    desk = Desk(listening(idle_warned=True, spoke=True))
    desk.timers |= {Timer.LONGEST: 500.0, Timer.IDLE: 4.0}
    assert desk.time.ends_in_s() == 4.0


async def test_the_last_reply_has_an_end_too() -> None:
    desk = Desk(speaking(overtime=True))
    desk.timers[Timer.GRACE] = 12.0
    assert desk.time.ends_in_s() == 12.0


async def test_a_sleeping_kiosk_has_no_end() -> None:
    desk = Desk(listening())
    desk.limit_s = 400.0
    desk.step(SleepRequested())
    assert desk.time.ends_in_s() is None


# More time


async def test_a_granted_request_tells_the_new_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk = Desk(listening(warned=True, spoke=True))
    desk.timers[Timer.LONGEST] = 300.0
    assert await soon(desk.time.more_time()) == 300.0
    assert desk.state.turn.extended == 1
    assert "conversation extended: count=1 ends_in=300s" in caplog.text


@pytest.mark.parametrize(
    "state", [listening(spoke=True), listening(warned=True, extended=EXTENDING.extensions), State()]
)
async def test_a_request_that_the_core_does_not_grant_gets_nothing(state: State) -> None:
    desk = Desk(state)
    desk.timers[Timer.LONGEST] = 300.0
    assert await soon(desk.time.more_time()) is None


async def test_each_request_gets_its_own_answer() -> None:
    desk = Desk(listening(warned=True, extended=EXTENDING.extensions - 1))
    desk.timers[Timer.LONGEST] = 300.0
    async with asyncio.timeout(60):
        assert list(await asyncio.gather(desk.time.more_time(), desk.time.more_time())) == [300.0, None]


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    desk = Desk(listening(warned=True, spoke=True))
    asking = asyncio.ensure_future(desk.time.more_time())
    asyncio.get_running_loop().call_soon(asking.cancel)
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(60):
            await asking
    desk.step(MoreTimeRequested())  # the next request is answered as usual
    desk.timers[Timer.LONGEST] = 300.0
    assert await soon(desk.time.more_time()) is None


# The profile


async def test_the_model_gets_the_instructions_of_the_profile_that_it_chooses() -> None:
    desk = Desk(listening(spoke=True))
    assert desk.time.choose(KIDS) == "Speak with a child."
    desk.step(desk.posted[-1])
    assert desk.posted == [ProfileChosen(KIDS)]
    assert (desk.time.profile, desk.told, desk.paces) == (KIDS, [], [KIDS])
    assert desk.time.choose(DEFAULT_PROFILE) == desk.time.choose(SLOW) == NO_PROFILE


async def test_a_profile_chosen_by_hand_in_mid_conversation_is_told_to_the_model() -> None:
    desk = Desk(listening(spoke=True))
    desk.step(Woken(WakeCause.BUTTON, profile=KIDS))
    assert len(desk.told) == 1
    assert "Speak with a child." in desk.told[0]
    assert desk.posted == [TextSubmitted()]
    assert desk.paces == [KIDS]


async def test_a_profile_chosen_at_the_wake_is_left_to_the_dial() -> None:
    desk = Desk(State(started=True))
    desk.step(Woken(WakeCause.REMOTE, profile=KIDS))
    assert (desk.time.profile, desk.told, desk.paces) == (KIDS, [], [KIDS])


async def test_the_end_of_the_conversation_ends_the_profile() -> None:
    desk = Desk(listening(profile=KIDS))
    desk.step(SleepRequested())
    assert (desk.time.profile, desk.told, desk.paces) == (None, [], [DEFAULT_PROFILE])


async def test_a_profile_that_the_model_cannot_be_told_of_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(listening(spoke=True))
    desk.takes_text = False
    desk.step(Woken(WakeCause.BUTTON, profile=KIDS))
    assert desk.posted == []
    assert "the model was not told of the profile before the next connection: name=kids" in caplog.text


async def test_the_names_begin_with_the_default_one() -> None:
    assert Desk(State()).time.names == (DEFAULT_PROFILE, SLOW, KIDS)
