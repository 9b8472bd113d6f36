"""The ends by time: the warning before each, more time for the visitor, and the times of a profile."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.core import (
    AWAKE,
    EPOCH,
    EXTENDING,
    FULL_DUPLEX,
    HALF_DUPLEX,
    HANDLE,
    SLOW,
    asleep,
    dialing,
    listening,
    of_type,
    run,
    speaking,
    thinking,
    turn_after,
    up,
)

from kioskd.core.effects import Chime, Cue, Dial, Effect, KeepHandle, Overlay, SetTimer
from kioskd.core.ending import SHORT, idle_s, idle_warned_after_s, limit_s, warned_after_s
from kioskd.core.events import (
    ConnectionUp,
    EndNear,
    Event,
    MoreTimeRequested,
    Pressed,
    ProfileChosen,
    ReplyPlayed,
    Restored,
    SleepRequested,
    SnapshotRequested,
    TextSubmitted,
    Timer,
    TimerFired,
    VoiceBegan,
    WakeCause,
    Woken,
)
from kioskd.core.machine import State, levels
from kioskd.core.policy import DEFAULT_PROFILE, Policy
from kioskd.core.turn import Turn, TurnPhase

Builder = Callable[..., State]
WARNING = TimerFired(Timer.WARN)
IDLE_WARNING = TimerFired(Timer.IDLE_WARN)
BUTTON = Woken(WakeCause.BUTTON)


def timers(state: State, policy: Policy = EXTENDING) -> dict[Timer, float]:
    return dict(levels(state, policy).timers)


def overlay(state: State, policy: Policy = EXTENDING) -> Overlay:
    return levels(state, policy).show.overlay


def cues(effects: list[Effect]) -> list[Cue]:
    return [chime.cue for chime in of_type(Chime, effects)]


def set_anew(effects: list[Effect]) -> dict[Timer, float]:
    return {effect.timer: effect.after_s for effect in of_type(SetTimer, effects)}


# The seconds


def test_the_warning_comes_so_long_before_the_end() -> None:
    assert warned_after_s(Turn(), EXTENDING) == 600.0 - 60.0
    assert idle_warned_after_s(Turn(), EXTENDING) == 20.0 - 5.0


def test_the_warning_of_a_short_time_comes_in_its_last_part() -> None:
    hasty = replace(EXTENDING, longest_s=40.0, idle_s=4.0)
    assert warned_after_s(Turn(), hasty) == 40.0 * (1 - SHORT)
    assert idle_warned_after_s(Turn(), hasty) == 4.0 * (1 - SHORT)


def test_a_policy_without_warnings_has_none() -> None:
    assert warned_after_s(Turn(), HALF_DUPLEX) is None
    assert idle_warned_after_s(Turn(), HALF_DUPLEX) is None
    assert not {Timer.WARN, Timer.IDLE_WARN} & timers(listening(spoke=True), HALF_DUPLEX).keys()


def test_an_immediate_end_after_a_reply_has_no_warning() -> None:
    assert idle_warned_after_s(Turn(answered=True), replace(EXTENDING, follow_up_s=0.0)) is None


def test_a_slow_profile_stretches_silence_warning_and_extension() -> None:
    slow = turn_after(asleep(), Woken(WakeCause.REMOTE, profile=SLOW), policy=EXTENDING)
    assert (slow.profile, slow.stretch) == (SLOW, 2.5)
    assert idle_s(slow, EXTENDING) == 50.0
    assert idle_s(replace(slow, answered=True), EXTENDING) == 50.0
    assert idle_warned_after_s(slow, EXTENDING) == 50.0 - 12.5
    assert (limit_s(slow, EXTENDING), warned_after_s(slow, EXTENDING)) == (600.0, 600.0 - 150.0)
    assert limit_s(replace(slow, extended=1), EXTENDING) == 750.0


def test_a_stretched_silence_never_exceeds_the_longest_time() -> None:
    assert idle_s(Turn(profile=SLOW), replace(EXTENDING, longest_s=30.0)) == 30.0


def test_another_profile_does_not_move_the_end() -> None:
    before = listening(woken_by_person=True)
    after, effects = run(before, ProfileChosen(SLOW), policy=EXTENDING)
    assert not {Timer.LONGEST, Timer.WARN} & set_anew(effects).keys()
    assert timers(after)[Timer.LONGEST] == 600.0
    extended, effects = run(before, WARNING, Pressed(), ProfileChosen(SLOW), policy=EXTENDING)
    assert set_anew(effects)[Timer.LONGEST] == timers(extended)[Timer.LONGEST] == 300.0


# The warning


@pytest.mark.parametrize("builder", AWAKE)
def test_the_end_by_time_is_warned_of_once_in_sound(builder: Builder) -> None:
    state, effects = run(builder(woken_by_person=True), WARNING, policy=EXTENDING)
    assert state.turn.warned
    assert cues(effects) == [Cue.WARN]
    assert Timer.WARN not in timers(state)


def test_the_lamp_shows_the_warning_while_the_visitor_can_speak() -> None:
    assert overlay(listening(woken_by_person=True, warned=True)) is Overlay.ENDING
    assert overlay(listening(spoke=True, idle_warned=True)) is Overlay.ENDING
    assert overlay(thinking(woken_by_person=True, warned=True)) is Overlay.NONE
    assert overlay(speaking(woken_by_person=True, warned=True)) is Overlay.NONE


def test_a_question_to_the_visitor_hides_the_warning() -> None:
    state = replace(listening(woken_by_person=True, warned=True), confirming=True)
    assert overlay(state) is Overlay.ASKING


def test_nobody_is_warned_in_an_empty_room() -> None:
    state, effects = run(listening(), WARNING, policy=EXTENDING)
    assert cues(effects) == []
    assert overlay(state) is Overlay.NONE
    assert Timer.IDLE_WARN not in timers(listening())


def test_a_silent_visitor_is_warned_in_sound_and_light() -> None:
    state, effects = run(listening(woken_by_person=True), IDLE_WARNING, policy=EXTENDING)
    assert cues(effects) == [Cue.WARN]
    assert overlay(state) is Overlay.ENDING
    assert timers(state)[Timer.IDLE] == 20.0
    assert Timer.IDLE not in set_anew(effects), "the silence goes on"


@pytest.mark.parametrize("event", [VoiceBegan(), TextSubmitted()])
def test_a_word_ends_the_warning_of_silence(event: Event) -> None:
    state, effects = run(listening(spoke=True, idle_warned=True), event, policy=EXTENDING)
    assert not state.turn.idle_warned
    assert cues(effects) == []


def test_a_limit_of_the_owner_is_warned_of_alike() -> None:
    state, effects = run(listening(woken_by_person=True), EndNear(near=True), policy=EXTENDING)
    assert (cues(effects), overlay(state)) == ([Cue.WARN], Overlay.ENDING)
    state, effects = run(state, EndNear(near=False), policy=EXTENDING)
    assert (cues(effects), overlay(state)) == ([], Overlay.NONE)


def test_a_new_conversation_begins_without_the_warning_of_the_last_one() -> None:
    near = replace(listening(woken_by_person=True, warned=True), near=True)
    state, _ = run(near, SleepRequested(), Pressed(), policy=EXTENDING)
    assert (state.near, state.turn.warned) == (False, False)


# More time


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("event", [Pressed(), BUTTON, MoreTimeRequested()])
def test_a_press_or_a_word_after_the_warning_gives_more_time(builder: Builder, event: Event) -> None:
    before = builder(woken_by_person=True, warned=True)
    state, effects = run(before, event, policy=EXTENDING)
    assert state.turn.phase is before.turn.phase
    assert (state.turn.extended, state.turn.warned) == (1, False)
    assert set_anew(effects)[Timer.LONGEST] == 300.0
    assert set_anew(effects)[Timer.WARN] == 300.0 - 60.0
    assert overlay(state) is Overlay.NONE


def test_a_press_that_gives_more_time_is_answered_by_a_chime() -> None:
    _, effects = run(listening(woken_by_person=True, warned=True), Pressed(), policy=EXTENDING)
    assert cues(effects) == [Cue.WAKE]


def test_each_extension_begins_anew_and_is_warned_of_again() -> None:
    state, effects = run(listening(woken_by_person=True), *(WARNING, Pressed()) * 2, policy=EXTENDING)
    assert state.turn.extended == 2
    assert [effect.after_s for effect in of_type(SetTimer, effects) if effect.timer is Timer.LONGEST] == [
        300.0,
        300.0,
    ]
    assert cues(effects) == [Cue.WARN, Cue.WAKE] * 2


def test_a_press_ends_the_conversation_when_no_extension_is_left() -> None:
    state = listening(woken_by_person=True, warned=True, extended=EXTENDING.extensions)
    assert turn_after(state, MoreTimeRequested(), policy=EXTENDING) == state.turn
    assert not turn_after(state, Pressed(), policy=EXTENDING).awake


@pytest.mark.parametrize("builder", [listening, thinking])
def test_without_extensions_a_press_after_the_warning_ends_the_conversation(builder: Builder) -> None:
    strict = replace(EXTENDING, extensions=0)
    assert not turn_after(builder(woken_by_person=True, warned=True), Pressed(), policy=strict).awake
    idle = listening(woken_by_person=True, idle_warned=True)
    assert not turn_after(idle, Pressed(), policy=strict).awake


@pytest.mark.parametrize("event", [MoreTimeRequested(), BUTTON])
def test_there_is_no_more_time_before_the_warning(event: Event) -> None:
    assert turn_after(listening(woken_by_person=True), event, policy=EXTENDING).extended == 0


def test_no_extension_puts_off_a_limit_of_the_owner() -> None:
    near = replace(listening(woken_by_person=True), near=True)
    assert turn_after(near, MoreTimeRequested(), policy=EXTENDING).extended == 0
    assert not turn_after(near, Pressed(), policy=EXTENDING).awake


def test_a_press_during_the_last_reply_gives_more_time_and_lets_it_go_on() -> None:
    last = speaking(woken_by_person=True, warned=True, overtime=True, leaving=True)
    state, effects = run(last, Pressed(), policy=replace(EXTENDING, half_duplex=False))
    assert (state.turn.phase, state.turn.overtime, state.turn.leaving) == (TurnPhase.SPEAKING, False, False)
    assert set_anew(effects)[Timer.LONGEST] == 300.0
    reply = ReplyPlayed(state.turn.reply)
    assert turn_after(state, reply, policy=replace(EXTENDING, half_duplex=False)).awake


@pytest.mark.parametrize("event", [Pressed(), BUTTON, Woken(WakeCause.REMOTE), SnapshotRequested()])
def test_a_sign_of_life_after_the_warning_of_silence_starts_it_anew(event: Event) -> None:
    state, effects = run(listening(woken_by_person=True, idle_warned=True), event, policy=EXTENDING)
    assert (state.turn.phase, state.turn.idle_warned) == (TurnPhase.LISTENING, False)
    assert state.turn.extended == 0, "the silence counts as no extension: the longest time bounds it"
    assert set_anew(effects) == {Timer.IDLE: 20.0, Timer.IDLE_WARN: 15.0}


# The profile


def test_a_conversation_begins_with_the_default_profile() -> None:
    state, effects = run(asleep(), Pressed(), policy=EXTENDING)
    assert state.turn.profile == DEFAULT_PROFILE
    assert [dial.profile for dial in of_type(Dial, effects)] == [DEFAULT_PROFILE]


@pytest.mark.parametrize("event", [Pressed(profile=SLOW), Woken(WakeCause.BUTTON, profile=SLOW)])
def test_a_profile_chosen_at_the_wake_is_dialed(event: Event) -> None:
    state, effects = run(asleep(), event, policy=EXTENDING)
    assert state.turn.profile == SLOW
    assert [dial.profile for dial in of_type(Dial, effects)] == [SLOW]


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("event", [ProfileChosen(SLOW), Woken(WakeCause.REMOTE, profile=SLOW)])
def test_a_profile_can_be_chosen_in_mid_conversation(builder: Builder, event: Event) -> None:
    assert turn_after(builder(), event, policy=EXTENDING).profile == SLOW


def test_a_call_that_names_no_profile_keeps_the_chosen_one() -> None:
    state = listening(profile=SLOW)
    assert turn_after(state, Woken(WakeCause.REMOTE), policy=EXTENDING).profile == SLOW


def test_the_next_conversation_begins_with_the_default_profile_again() -> None:
    state = listening(profile=SLOW)
    assert turn_after(state, SleepRequested(), policy=EXTENDING).profile == DEFAULT_PROFILE
    assert turn_after(state, SleepRequested(), Pressed(), policy=EXTENDING).profile == DEFAULT_PROFILE


def test_a_sleeping_kiosk_chooses_no_profile() -> None:
    assert run(asleep(), ProfileChosen(SLOW), policy=EXTENDING) == (asleep(), [])


def test_a_profile_outlives_a_restart_of_the_daemon() -> None:
    kept = levels(listening(up(handle=HANDLE), profile=SLOW), EXTENDING).resumption
    assert kept == KeepHandle(2, HANDLE, SLOW)
    state, effects = run(State(), Restored(2, HANDLE, SLOW), policy=EXTENDING)
    assert (state.turn.profile, state.turn.stretch) == (SLOW, 2.5)
    assert [dial.profile for dial in of_type(Dial, effects)] == [SLOW]


def test_a_new_connection_of_the_conversation_has_its_profile() -> None:
    waiting = listening(dialing(), profile=SLOW)
    state, effects = run(
        waiting, ConnectionUp(EPOCH, resumed=False), TimerFired(Timer.AGE), policy=FULL_DUPLEX
    )
    assert state.link.epoch == EPOCH + 1
    assert [dial.profile for dial in of_type(Dial, effects)] == [SLOW]


def test_a_press_confirms_a_tool_also_from_a_button_with_a_profile() -> None:
    state = replace(listening(woken_by_person=True, warned=True), confirming=True)
    assert run(state, Woken(WakeCause.BUTTON, profile=SLOW), policy=EXTENDING)[0] == state
