"""Who may wake the kiosk and how, who may end its conversation, and what a closed or muted kiosk does instead."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.core import (
    ALWAYS_ON,
    AWAKE,
    EPOCH,
    FULL_DUPLEX,
    HALF_DUPLEX,
    HANDLE,
    HELD,
    REPLY,
    asleep,
    dialing,
    listening,
    of_type,
    reverberating,
    run,
    speaking,
    thinking,
    turn_after,
    up,
)

from kioskd.core.effects import (
    Chime,
    Cue,
    Dial,
    Effect,
    Flush,
    ForgetHandle,
    Greet,
    HangUp,
    KioskStatus,
    Prompt,
    SetMute,
    SetTimer,
    SetUplink,
    ShowStatus,
    TakeSnapshot,
    UplinkGate,
)
from kioskd.core.events import (
    Closing,
    ConnectionUp,
    Event,
    MuteRequested,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    Restored,
    SleepRequested,
    SnapshotRequested,
    Started,
    TalkBegan,
    TalkEnded,
    TextSubmitted,
    Timer,
    TimerFired,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
    WakeCause,
    Woken,
)
from kioskd.core.link_state import LinkPhase
from kioskd.core.machine import State, levels
from kioskd.core.policy import Policy
from kioskd.core.turn import BY_PERSON, TurnPhase
from kioskd.errors import Code

Builder = Callable[..., State]
CALLS: tuple[Event, ...] = (
    Pressed(),
    *(Woken(cause) for cause in WakeCause),
    TalkBegan(),
    TextSubmitted(),
    SnapshotRequested(),
)
BY_ITSELF: tuple[Event, ...] = (Started(), Restored(7, HANDLE), TimerFired(Timer.AGAIN))


def muted(state: State) -> State:
    """Return `state` with its microphone closed."""
    return replace(state, muted=True)


def closed(state: State, code: Code = Code.HOURS) -> State:
    """Return `state` outside business hours."""
    return replace(state, closed=code)


def idle_anew(state: State) -> list[Effect]:
    """Return what begins the idle time anew, where it runs in `state`."""
    seconds = levels(state, HALF_DUPLEX).timers.get(Timer.IDLE)
    return [] if seconds is None else [SetTimer(Timer.IDLE, seconds)]


def test_every_way_for_a_person_to_wake_the_kiosk_is_tried_here() -> None:
    assert {type(call) for call in CALLS} == set(BY_PERSON)


@pytest.mark.parametrize("call", CALLS)
def test_a_person_wakes_the_kiosk_and_is_remembered_as_one(call: Event) -> None:
    state, effects = run(asleep(), call)
    assert (state.turn.phase, state.turn.woken_by_person) == (TurnPhase.LISTENING, True)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


@pytest.mark.parametrize("event", BY_ITSELF)
def test_a_kiosk_that_wakes_by_itself_has_been_called_by_nobody(event: Event) -> None:
    after = turn_after(asleep(), event, policy=ALWAYS_ON)
    assert (after.awake, after.woken_by_person) == (True, False)


@pytest.mark.parametrize("cause", WakeCause)
@pytest.mark.parametrize("builder", AWAKE)
def test_a_call_to_one_who_is_awake_changes_nothing(builder: Builder, cause: WakeCause) -> None:
    state, effects = run(builder(), Woken(cause))
    assert state == builder()
    assert effects == idle_anew(state)


@pytest.mark.parametrize("event", [SnapshotRequested(), *(Woken(cause) for cause in WakeCause)])
def test_who_calls_late_in_the_idle_time_is_listened_to_for_all_of_it(event: Event) -> None:
    assert SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s) in run(listening(), event)[1]
    _, effects = run(listening(voice=True), event)
    assert of_type(SetTimer, effects) == [], "it does not run while somebody talks"


# Ending and hushing


@pytest.mark.parametrize("builder", AWAKE)
def test_an_end_that_is_asked_for_comes_whatever_goes_on(builder: Builder) -> None:
    state, effects = run(builder(), SleepRequested())
    assert state.turn.phase is TurnPhase.ASLEEP
    assert of_type(HangUp, effects) == [HangUp()]
    assert of_type(Flush, effects) == ([Flush(REPLY)] if builder is speaking else [])


def test_an_end_is_not_asked_of_one_asleep() -> None:
    assert run(asleep(), SleepRequested()) == (asleep(), [])


@pytest.mark.parametrize(
    ("policy", "phase"), [(HALF_DUPLEX, TurnPhase.REVERBERATING), (FULL_DUPLEX, TurnPhase.LISTENING)]
)
def test_hush_silences_a_reply_and_the_conversation_goes_on(policy: Policy, phase: TurnPhase) -> None:
    state, effects = run(speaking(reply=4), ReplySilenced(), policy=policy)
    assert state.turn.phase is phase
    assert of_type(Flush, effects) == [Flush(4)]


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_hush_never_wakes_or_ends_anything(builder: Builder) -> None:
    assert run(builder(), ReplySilenced()) == (builder(), [])


# Hold to talk


def test_holding_to_talk_needs_no_other_waking() -> None:
    state, effects = run(asleep(), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice, state.turn.spoke) == (TurnPhase.LISTENING, True, True)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD)]
    assert of_type(Chime, effects) == [Chime(Cue.WAKE)]


def test_letting_go_gives_the_model_the_word_and_pauses_the_uplink() -> None:
    state, effects = run(listening(), TalkBegan(), TalkEnded(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.THINKING, False)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND), SetUplink(UplinkGate.PAUSED)]


def test_letting_go_before_the_service_is_reached_loses_nothing_of_the_turn() -> None:
    state, _ = run(asleep(), TalkBegan(), TalkEnded(), ConnectionUp(EPOCH + 1, resumed=False), policy=HELD)
    assert state.turn.phase is TurnPhase.THINKING
    assert levels(state, HELD).uplink is UplinkGate.PAUSED


def test_who_lets_go_without_a_word_gets_the_word_back() -> None:
    state, _ = run(asleep(), TalkBegan(), TalkEnded(), TimerFired(Timer.THINK), policy=HELD)
    assert state.turn.phase is TurnPhase.LISTENING


def test_holding_in_a_reply_silences_it_and_listens_at_once_where_the_kiosk_does_not_hear_itself() -> None:
    policy = replace(HELD, half_duplex=False)
    state, effects = run(speaking(reply=4), TalkBegan(), policy=policy)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, True)
    assert of_type(Flush, effects) == [Flush(4)]
    assert levels(state, policy).uplink is UplinkGate.SEND


def test_holding_in_a_reply_silences_it_and_listens_once_the_room_is_quiet() -> None:
    state, effects = run(speaking(reply=4), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.REVERBERATING, True)
    assert of_type(Flush, effects) == [Flush(4)]
    assert levels(state, HELD).uplink is UplinkGate.SHUT
    state, effects = run(state, TimerFired(Timer.TAIL), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, True)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND)]


def test_holding_while_the_room_rings_makes_it_ring_no_longer() -> None:
    state, effects = run(reverberating(), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.REVERBERATING, True)
    assert effects == []
    assert run(state, TimerFired(Timer.TAIL), policy=HELD)[0].turn.phase is TurnPhase.LISTENING


def test_a_reply_that_comes_while_the_button_is_held_and_the_room_rings_is_not_heard() -> None:
    held, _ = run(speaking(reply=4), TalkBegan(), policy=HELD)
    state, effects = run(held, ReplyBegan(EPOCH, 5), policy=HELD)
    assert effects == [Flush(5)]
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.REVERBERATING, True)


def test_a_button_let_go_while_the_room_rings_has_only_silenced_the_reply() -> None:
    state, _ = run(speaking(), TalkBegan(), TalkEnded(), TimerFired(Timer.TAIL), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, False)
    assert levels(state, HELD).timers[Timer.IDLE] == HELD.idle_s


def test_holding_while_the_model_thinks_listens_and_flushes_nothing() -> None:
    state, effects = run(thinking(), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, True)
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize("policy", [HELD, replace(HELD, half_duplex=False)])
def test_holding_in_the_last_reply_ends_a_conversation_whose_time_is_up(policy: Policy) -> None:
    assert turn_after(speaking(overtime=True), TalkBegan(), policy=policy).phase is TurnPhase.ASLEEP


@pytest.mark.parametrize("builder", [listening, thinking, speaking, reverberating])
def test_voices_mean_nothing_where_the_button_says_who_has_the_word(builder: Builder) -> None:
    assert run(builder(), VoiceBegan(), VoiceEnded(), policy=HELD) == (builder(), [])


def test_a_pause_while_the_button_is_held_is_not_the_end_of_the_turn() -> None:
    after = turn_after(listening(), TalkBegan(), VoiceBegan(), VoiceEnded(), policy=HELD)
    assert (after.phase, after.voice) == (TurnPhase.LISTENING, True)


def test_a_button_let_go_leaves_the_uplink_paused_all_through_the_reply() -> None:
    policy = replace(HELD, half_duplex=False)
    state, effects = run(listening(), TalkBegan(), TalkEnded(), ReplyBegan(EPOCH, 5), policy=policy)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.SPEAKING, False)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND), SetUplink(UplinkGate.PAUSED)]


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_letting_go_of_what_was_never_held_means_nothing(builder: Builder) -> None:
    assert run(builder(), TalkEnded(), policy=HELD) == (builder(), [])


# Typed questions, and looking


def test_a_typed_question_wakes_and_is_the_models_turn_once_it_can_be_told() -> None:
    state, _ = run(asleep(), TextSubmitted())
    assert (state.turn.phase, state.turn.asked, state.turn.spoke) == (TurnPhase.LISTENING, True, True)
    state, _ = run(state, ConnectionUp(EPOCH + 1, resumed=False))
    assert (state.turn.phase, state.turn.asked) == (TurnPhase.THINKING, False)


def test_nobody_is_greeted_who_has_asked_already() -> None:
    _, effects = run(
        asleep(), TextSubmitted(), ConnectionUp(EPOCH + 1, resumed=False), policy=Policy(greeting=True)
    )
    assert of_type(Greet, effects) == []


def test_a_visitor_who_speaks_after_typing_keeps_the_word_when_the_service_is_reached() -> None:
    state, _ = run(asleep(), TextSubmitted(), VoiceBegan(), ConnectionUp(EPOCH + 1, resumed=False))
    assert (state.turn.phase, state.turn.voice, state.turn.asked) == (TurnPhase.LISTENING, True, False)


@pytest.mark.parametrize("builder", [listening, thinking])
def test_a_typed_question_is_the_models_turn(builder: Builder) -> None:
    after = turn_after(builder(), TextSubmitted())
    assert (after.phase, after.spoke) == (TurnPhase.THINKING, True)


@pytest.mark.parametrize("builder", [speaking, reverberating])
def test_a_question_typed_into_a_reply_leaves_the_reply_to_the_service(builder: Builder) -> None:
    after = turn_after(builder(), TextSubmitted())
    assert (after.phase, after.spoke) == (builder().turn.phase, True)


def test_a_look_is_taken_in_any_conversation_and_wakes_one_who_sleeps() -> None:
    for builder in AWAKE:
        assert run(builder(), SnapshotRequested()) == (builder(), [TakeSnapshot(), *idle_anew(builder())])
    state, effects = run(asleep(), SnapshotRequested())
    assert state.turn.awake
    assert of_type(TakeSnapshot, effects) == [TakeSnapshot()]


# Muted


@pytest.mark.parametrize("builder", AWAKE)
def test_muting_ends_the_conversation_and_closes_the_microphone(builder: Builder) -> None:
    state, effects = run(builder(up(handle=HANDLE)), MuteRequested())
    assert (state.turn.phase, state.muted) == (TurnPhase.ASLEEP, True)
    assert of_type(HangUp, effects) == [HangUp()]
    assert of_type(SetMute, effects) == [SetMute(muted=True)]
    assert of_type(ForgetHandle, effects) == [ForgetHandle()]
    assert effects[-1] == ShowStatus(KioskStatus.MUTED)


def test_muting_and_unmuting_say_so() -> None:
    assert run(asleep(), MuteRequested(muted=True)) == (
        muted(asleep()),
        [Chime(Cue.MUTE), SetMute(muted=True), ShowStatus(KioskStatus.MUTED)],
    )
    assert run(muted(asleep()), MuteRequested(muted=False)) == (
        asleep(),
        [Chime(Cue.UNMUTE), SetMute(muted=False), ShowStatus(KioskStatus.ASLEEP)],
    )


def test_a_toggle_mutes_and_unmutes_and_saying_it_twice_changes_nothing() -> None:
    state, effects = run(asleep(), MuteRequested(), MuteRequested())
    assert state == asleep()
    assert of_type(SetMute, effects) == [SetMute(muted=True), SetMute(muted=False)]
    assert run(asleep(), MuteRequested(muted=False)) == (asleep(), [])
    assert run(muted(asleep()), MuteRequested(muted=True)) == (muted(asleep()), [])


@pytest.mark.parametrize("call", CALLS)
def test_a_muted_kiosk_answers_a_call_with_a_chime_and_sleeps_on(call: Event) -> None:
    assert run(muted(asleep()), call) == (muted(asleep()), [Chime(Cue.MUTE)])


@pytest.mark.parametrize("event", BY_ITSELF)
@pytest.mark.parametrize("policy", [HALF_DUPLEX, ALWAYS_ON])
def test_a_muted_kiosk_does_not_wake_by_itself_and_is_silent_about_it(event: Event, policy: Policy) -> None:
    state, effects = run(muted(asleep()), event, policy=policy)
    assert (state, effects) == (muted(asleep()), [])
    assert Timer.AGAIN not in levels(state, policy).timers


def test_a_kiosk_killed_while_it_was_muted_comes_back_muted_and_restores_nothing() -> None:
    state, effects = run(State(), MuteRequested(muted=True), Restored(7, HANDLE), Started())
    assert (state.turn.awake, state.link.handle) == (False, None)
    assert of_type(Dial, effects) == []
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.MUTED


def test_an_always_on_kiosk_wakes_again_once_it_is_unmuted() -> None:
    state, _ = run(muted(asleep()), MuteRequested(), policy=ALWAYS_ON)
    assert Timer.AGAIN in levels(state, ALWAYS_ON).timers


# Closed


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_kiosk_tells_who_calls_why_it_sleeps_on(call: Event) -> None:
    state, effects = run(closed(asleep(), Code.BUDGET), call, policy=FULL_DUPLEX)
    assert not state.turn.awake
    assert effects == [Prompt(Code.BUDGET)]


def test_a_closed_kiosk_tells_voices_only_once_as_they_need_not_mean_it() -> None:
    voice = Woken(WakeCause.VOICE)
    state, effects = run(closed(asleep()), voice, policy=FULL_DUPLEX)
    assert of_type(Prompt, effects) == [Prompt(Code.HOURS)]
    assert run(state, voice, policy=FULL_DUPLEX) == (state, [])
    assert of_type(Prompt, run(state, Pressed())[1]) == [Prompt(Code.HOURS)]


@pytest.mark.parametrize("event", BY_ITSELF)
def test_a_closed_kiosk_does_not_wake_by_itself_and_is_silent_about_it(event: Event) -> None:
    assert run(closed(asleep()), event, policy=ALWAYS_ON) == (closed(asleep()), [])
    assert Timer.AGAIN not in levels(closed(asleep()), ALWAYS_ON).timers


@pytest.mark.parametrize("builder", AWAKE)
def test_closing_ends_the_conversation_and_tells_the_visitor_why(builder: Builder) -> None:
    state, effects = run(builder(woken_by_person=True), Closing(Code.BUDGET))
    assert not state.turn.awake
    assert of_type(HangUp, effects) == [HangUp()]
    assert of_type(Flush, effects) == ([Flush(REPLY)] if builder is speaking else [])
    assert of_type(Prompt, effects) == [Prompt(Code.BUDGET)]
    assert effects[-1] == ShowStatus(KioskStatus.CLOSED, Code.BUDGET)


def test_opening_again_is_shown_and_the_next_call_wakes() -> None:
    state, effects = run(closed(asleep()), Closing(None))
    assert (state, effects) == (asleep(), [ShowStatus(KioskStatus.ASLEEP)])
    assert run(state, Pressed())[0].turn.awake


def test_an_always_on_kiosk_wakes_again_once_it_is_open() -> None:
    state, _ = run(closed(asleep()), Closing(None), policy=ALWAYS_ON)
    assert Timer.AGAIN in levels(state, ALWAYS_ON).timers


# The window after a reply


def test_who_got_an_answer_may_come_back_to_it_as_long_as_the_policy_says() -> None:
    policy = Policy(half_duplex=False, idle_s=20.0, follow_up_s=7.0)
    assert levels(listening(), policy).timers[Timer.IDLE] == 20.0
    assert levels(listening(answered=True), policy).timers[Timer.IDLE] == 7.0


def test_with_no_such_window_the_conversation_ends_with_the_reply() -> None:
    asked = (VoiceBegan(), VoiceEnded(), ReplyBegan(EPOCH, 5))
    state, _ = run(listening(), *asked, policy=HELD)
    assert not state.turn.answered  # voices mean nothing there
    state, _ = run(listening(), TalkBegan(), TalkEnded(), ReplyBegan(EPOCH, 5), policy=HELD)
    assert state.turn.answered
    assert (
        levels(replace(state, turn=replace(state.turn, phase=TurnPhase.LISTENING)), HELD).timers[Timer.IDLE]
        == 0.0
    )


@pytest.mark.parametrize(
    "cut",
    [Pressed(), ReplySilenced(), TalkBegan(), ReplyInterrupted(EPOCH, REPLY)],
    ids=lambda cut: type(cut).__name__,
)
@pytest.mark.parametrize("half_duplex", [True, False])
def test_who_cuts_a_reply_short_has_all_the_time_to_say_why(cut: Event, half_duplex: bool) -> None:
    policy = Policy(half_duplex=half_duplex, idle_s=20.0, follow_up_s=0.0)
    events = (cut, TalkEnded(), TimerFired(Timer.TAIL), TurnEnded(EPOCH))
    state, _ = run(speaking(spoke=True, answered=True), *events, policy=policy)
    assert state.turn.phase is TurnPhase.LISTENING
    assert levels(state, policy).timers[Timer.IDLE] == 20.0
    state, _ = run(
        state, VoiceBegan(), VoiceEnded(), ReplyBegan(EPOCH, REPLY + 1), ReplyPlayed(REPLY + 1), policy=policy
    )
    state, _ = run(state, TimerFired(Timer.TAIL), policy=policy)
    assert levels(state, policy).timers[Timer.IDLE] == 0.0


def test_a_greeting_is_no_answer_and_leaves_the_visitor_the_time_to_begin() -> None:
    policy = Policy(greeting=True, follow_up_s=0.0)
    state, _ = run(
        listening(dialing()), ConnectionUp(EPOCH, resumed=False), ReplyBegan(EPOCH, 5), policy=policy
    )
    assert (state.turn.phase, state.turn.answered) == (TurnPhase.SPEAKING, False)
    assert state.link.phase is LinkPhase.UP
