"""Announcements of the owner: the microphone never hears one, and only a person stops one."""

import dataclasses

import pytest
from tests.support.core import (
    EPOCH,
    EVERY_POLICY,
    FULL_DUPLEX,
    HALF_DUPLEX,
    REPLY,
    asleep,
    dialing,
    heard,
    listening,
    of_type,
    run,
    speaking,
    thinking,
    up,
)

from kioskd.core.effects import Announce, Flush, KioskStatus, Overlay, Prompt, StopPrompt, UplinkGate
from kioskd.core.events import (
    AnnouncementDue,
    ConfirmationRequested,
    Device,
    DeviceGone,
    Event,
    MuteRequested,
    Pressed,
    PromptOver,
    ReplyBegan,
    ReplySilenced,
    SleepRequested,
    TalkBegan,
    TextSubmitted,
    Timer,
    TimerFired,
    WakeCause,
    Woken,
)
from kioskd.core.levels import ANNOUNCEMENT, State
from kioskd.core.machine import levels, step
from kioskd.core.policy import Policy
from kioskd.errors import Code

MUTED = dataclasses.replace(asleep(), muted=True)
CLOSED = dataclasses.replace(asleep(), closed=Code.HOURS)


def announcing(state: State) -> State:
    return dataclasses.replace(state, prompt=ANNOUNCEMENT)


@pytest.mark.parametrize("state", [asleep(), MUTED, CLOSED, listening(), thinking(), speaking(), heard(up())])
def test_an_announcement_that_is_due_begins(state: State) -> None:
    after, effects = step(state, AnnouncementDue(), HALF_DUPLEX)
    assert after.prompt == ANNOUNCEMENT
    assert of_type(Announce, effects) == [Announce()]
    assert after.turn == state.turn
    assert after.link == state.link


@pytest.mark.parametrize(
    "state",
    [
        State(),
        dataclasses.replace(asleep(), missing={Device.SPEAKER: ("",)}),
        dataclasses.replace(listening(), prompt=Code.WAY),
        dataclasses.replace(listening(), confirming=True),
        announcing(asleep()),
    ],
    ids=["starting", "no speaker", "another prompt", "a question", "another announcement"],
)
def test_an_announcement_does_not_begin_where_it_would_not_be_heard_alone(state: State) -> None:
    assert step(state, AnnouncementDue(), HALF_DUPLEX) == (state, ())


@pytest.mark.parametrize("policy", EVERY_POLICY)
@pytest.mark.parametrize("state", [asleep(), listening(), thinking(), speaking(), heard(up())])
def test_the_uplink_is_shut_during_an_announcement_also_with_an_echo_canceller(
    state: State, policy: Policy
) -> None:
    after, _ = step(state, AnnouncementDue(), policy)
    assert levels(after, policy).uplink is UplinkGate.SHUT


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_after_an_announcement_that_was_heard_to_its_end_the_uplink_opens_at_once(policy: Policy) -> None:
    after, _ = run(announcing(listening()), PromptOver(), policy=policy)
    assert levels(after, policy).uplink is UplinkGate.SEND


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_after_an_announcement_that_was_stopped_the_uplink_stays_shut_until_the_room_is_silent(
    policy: Policy,
) -> None:
    after, _ = run(announcing(listening()), ReplySilenced(), policy=policy)
    assert levels(after, policy).uplink is UplinkGate.SHUT
    assert levels(after, policy).timers[Timer.TAIL] == policy.tail_s
    after, _ = run(after, TimerFired(Timer.TAIL), policy=policy)
    assert levels(after, policy).uplink is UplinkGate.SEND


def test_a_reply_that_begins_in_the_echo_of_a_stopped_announcement_does_not_open_the_uplink() -> None:
    after, _ = run(announcing(listening()), ReplySilenced(), ReplyBegan(EPOCH, REPLY + 1), policy=FULL_DUPLEX)
    assert levels(after, FULL_DUPLEX).uplink is UplinkGate.SHUT


def test_a_press_stops_an_announcement_of_a_sleeping_kiosk_and_wakes_it() -> None:
    after, effects = run(announcing(asleep()), Pressed())
    assert of_type(StopPrompt, effects)
    assert after.turn.awake


def test_a_press_that_stops_an_announcement_does_not_end_the_conversation() -> None:
    state = announcing(listening())
    after, effects = run(state, Pressed())
    assert of_type(StopPrompt, effects)
    assert after.turn == state.turn


def test_a_press_stops_an_announcement_and_the_reply_under_it() -> None:
    after, effects = run(announcing(speaking()), Pressed())
    assert of_type(StopPrompt, effects)
    assert of_type(Flush, effects) == [Flush(REPLY)]
    assert after.turn.awake


@pytest.mark.parametrize("state", [MUTED, CLOSED])
def test_a_press_stops_an_announcement_of_a_kiosk_that_does_not_wake(state: State) -> None:
    after, effects = run(announcing(state), Pressed())
    assert of_type(StopPrompt, effects)
    assert not after.turn.awake


@pytest.mark.parametrize("event", [TalkBegan(), Woken(WakeCause.REMOTE), ReplySilenced()])
def test_a_person_stops_an_announcement_in_other_ways(event: Event) -> None:
    assert of_type(StopPrompt, run(announcing(listening()), event)[1])


@pytest.mark.parametrize(
    "event",
    [
        ReplyBegan(EPOCH, REPLY + 1),
        SleepRequested(),
        MuteRequested(muted=True),
        TextSubmitted(),
        TimerFired(Timer.LONGEST),
    ],
)
def test_an_announcement_goes_on_whatever_the_conversation_does(event: Event) -> None:
    after, effects = run(announcing(listening()), event)
    assert after.prompt == ANNOUNCEMENT
    assert not of_type(StopPrompt, effects)


def test_a_fault_that_the_visitor_must_be_told_takes_the_speaker() -> None:
    state = announcing(listening(dialing(tries=3, late=True, code=Code.WAY), woken_by_person=True))
    after, effects = run(state, TimerFired(Timer.GATE))
    assert of_type(StopPrompt, effects)
    assert of_type(Prompt, effects) == [Prompt(Code.WAY)]
    assert after.prompt == Code.WAY


@pytest.mark.parametrize(
    "event", [ConfirmationRequested(wanted=True, name="door", aloud=True), DeviceGone(Device.SPEAKER)]
)
def test_a_question_and_a_lost_speaker_stop_an_announcement(event: Event) -> None:
    assert of_type(StopPrompt, run(announcing(listening()), event)[1])


def test_the_lamp_shows_an_announcement_without_a_conversation() -> None:
    show = levels(announcing(asleep()), HALF_DUPLEX).show
    assert (show.shown, show.overlay) == (KioskStatus.ASLEEP, Overlay.ANNOUNCING)


def test_in_a_conversation_the_kiosk_shows_that_it_speaks() -> None:
    show = levels(announcing(listening()), FULL_DUPLEX).show
    assert (show.shown, show.overlay) == (KioskStatus.SPEAKING, Overlay.ANNOUNCING)


def test_a_visitor_who_cannot_answer_during_an_announcement_is_not_idle() -> None:
    assert Timer.IDLE not in levels(announcing(listening()), HALF_DUPLEX).timers
    after, _ = run(announcing(listening()), PromptOver())
    assert levels(after, HALF_DUPLEX).timers[Timer.IDLE] == HALF_DUPLEX.idle_s
