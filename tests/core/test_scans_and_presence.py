"""Scans of a reader, and a sensor that sees visitors come and leave."""

from dataclasses import replace

import pytest
from tests.support.core import (
    AWAKE,
    EPOCH,
    FULL_DUPLEX,
    HALF_DUPLEX,
    REPLY,
    asleep,
    listening,
    of_type,
    run,
    speaking,
)

from kioskd.core.effects import Chime, Cue, Greet, Prompt, SetTimer
from kioskd.core.events import (
    ConnectionUp,
    Event,
    PresenceChanged,
    Pressed,
    ReplyPlayed,
    ScanRejected,
    Timer,
    TimerFired,
    VoiceBegan,
    WakeCause,
    Woken,
)
from kioskd.core.levels import State, levels
from kioskd.errors import Code

SCAN = Woken(WakeCause.SCAN, about="clock")
SEEN = Woken(WakeCause.PRESENCE)
LEFT = PresenceChanged(present=False)


def idle_s(state: State) -> float:
    """Return the seconds of the idle timer."""
    return levels(state, FULL_DUPLEX).timers[Timer.IDLE]


def test_a_scan_wakes_with_a_chime() -> None:
    state, effects = run(asleep(), SCAN)
    assert (state.turn.awake, of_type(Chime, effects)) == (True, [Chime(Cue.WAKE)])


@pytest.mark.parametrize("greets", [True, False])
def test_a_scan_greets_if_its_subject_has_a_greeting(greets: bool) -> None:
    state, _ = run(asleep(), replace(SCAN, greets=greets))
    _, effects = run(state, ConnectionUp(EPOCH + 1, resumed=False))
    assert of_type(Greet, effects) == ([Greet()] if greets else [])


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("cause", [WakeCause.SCAN, WakeCause.REMOTE])
def test_another_subject_in_a_conversation_is_confirmed_by_a_chime(builder, cause) -> None:  # type: ignore[no-untyped-def]
    state, effects = run(builder(), Woken(cause, about="clock"))
    assert state == builder()
    assert of_type(Chime, effects) == [Chime(Cue.WAKE)]


@pytest.mark.parametrize(
    "state", [asleep(), *(builder() for builder in AWAKE), replace(asleep(), muted=True)]
)
def test_a_line_without_a_subject_does_nothing_but_a_chime(state: State) -> None:
    assert run(state, ScanRejected()) == (state, [Chime(Cue.ERROR)])


def test_a_visitor_who_was_seen_wakes_the_kiosk() -> None:
    state, effects = run(asleep(), SEEN)
    assert (state.turn.awake, of_type(Chime, effects)) == (True, [Chime(Cue.WAKE)])


@pytest.mark.parametrize("state", [replace(asleep(), muted=True), replace(asleep(), closed=Code.HOURS)])
def test_a_kiosk_that_cannot_wake_says_nothing_to_a_person_who_walks_past(state: State) -> None:
    assert run(state, SEEN) == (state, [])
    assert of_type(Prompt, run(replace(asleep(), closed=Code.HOURS), SCAN)[1]) == [Prompt(Code.HOURS)]


def test_a_conversation_ends_at_once_when_the_visitor_has_left() -> None:
    state, effects = run(listening(woken_by_person=True), LEFT)
    assert SetTimer(Timer.IDLE, 0.0) in effects
    state, effects = run(state, TimerFired(Timer.IDLE))
    assert (state.turn.awake, state.away, of_type(Chime, effects)) == (False, False, [Chime(Cue.END)])


def test_a_reply_is_played_to_its_end_although_the_visitor_has_left() -> None:
    state, effects = run(speaking(), LEFT, policy=FULL_DUPLEX)
    assert state.turn.awake
    assert of_type(SetTimer, effects) == []
    _, effects = run(state, ReplyPlayed(REPLY), policy=FULL_DUPLEX)
    assert SetTimer(Timer.IDLE, 0.0) in effects


@pytest.mark.parametrize("sign", [VoiceBegan(), SCAN, PresenceChanged(present=True)])
def test_any_sign_of_a_visitor_gives_the_whole_idle_time_again(sign: Event) -> None:
    state, _ = run(speaking(), LEFT, sign, ReplyPlayed(REPLY), policy=FULL_DUPLEX)
    assert not state.away


def test_a_sensor_that_sees_no_person_does_not_end_a_conversation_that_begins_later() -> None:
    state, _ = run(asleep(), LEFT, Pressed(), policy=FULL_DUPLEX)
    assert idle_s(state) == FULL_DUPLEX.idle_s
    state, _ = run(listening(), LEFT, Pressed(), Pressed())
    assert (state.turn.awake, state.away) == (True, False)


def test_a_sensor_that_always_sees_somebody_does_not_keep_the_kiosk_awake() -> None:
    state, effects = run(listening(), PresenceChanged(present=True))
    assert (state, effects) == (listening(), [])
    assert levels(state, HALF_DUPLEX).timers[Timer.IDLE] == HALF_DUPLEX.idle_s
