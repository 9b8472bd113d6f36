"""Wakes and ends by a person, and the answers of a closed or muted kiosk to them."""

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
CALLS_ON_PURPOSE = tuple(call for call in CALLS if call != Woken(WakeCause.PRESENCE))
BY_ITSELF: tuple[Event, ...] = (Started(), Restored(7, HANDLE), TimerFired(Timer.AGAIN))


def muted(state: State) -> State:
    """Return `state` with its microphone closed."""
    return replace(state, muted=True)


def closed(state: State, code: Code = Code.HOURS) -> State:
    """Return `state` in a closed kiosk."""
    return replace(state, closed=code)


def idle_anew(state: State) -> list[Effect]:
    """Return the effect that restarts the idle timer, if it runs in `state`."""
    seconds = levels(state, HALF_DUPLEX).timers.get(Timer.IDLE)
    return [] if seconds is None else [SetTimer(Timer.IDLE, seconds)]


def test_these_tests_cover_every_way_to_wake_the_kiosk() -> None:
    assert {type(call) for call in CALLS} == set(BY_PERSON)


@pytest.mark.parametrize("call", CALLS)
def test_a_wake_by_a_person_is_remembered(call: Event) -> None:
    state, effects = run(asleep(), call)
    assert (state.turn.phase, state.turn.woken_by_person) == (TurnPhase.LISTENING, True)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


@pytest.mark.parametrize("event", BY_ITSELF)
def test_a_wake_by_the_kiosk_itself_is_no_wake_by_a_person(event: Event) -> None:
    after = turn_after(asleep(), event, policy=ALWAYS_ON)
    assert (after.awake, after.woken_by_person) == (True, False)


@pytest.mark.parametrize("cause", WakeCause)
@pytest.mark.parametrize("builder", AWAKE)
def test_a_call_to_a_kiosk_that_is_awake_only_restarts_the_idle_timer(
    builder: Builder, cause: WakeCause
) -> None:
    state, effects = run(builder(), Woken(cause))
    assert state == builder()
    assert effects == idle_anew(state)


@pytest.mark.parametrize("event", [SnapshotRequested(), *(Woken(cause) for cause in WakeCause)])
def test_a_call_late_in_the_idle_time_restarts_it(event: Event) -> None:
    assert SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s) in run(listening(), event)[1]
    _, effects = run(listening(voice=True), event)
    assert of_type(SetTimer, effects) == [], "the idle timer must not run during speech"


# Ending and silencing


@pytest.mark.parametrize("builder", AWAKE)
def test_a_requested_end_comes_in_every_phase(builder: Builder) -> None:
    state, effects = run(builder(), SleepRequested())
    assert state.turn.phase is TurnPhase.ASLEEP
    assert of_type(HangUp, effects) == [HangUp()]
    assert of_type(Flush, effects) == ([Flush(REPLY)] if builder is speaking else [])


def test_a_requested_end_does_nothing_while_asleep() -> None:
    assert run(asleep(), SleepRequested()) == (asleep(), [])


@pytest.mark.parametrize(
    ("policy", "phase"), [(HALF_DUPLEX, TurnPhase.REVERBERATING), (FULL_DUPLEX, TurnPhase.LISTENING)]
)
def test_silencing_a_reply_does_not_end_the_conversation(policy: Policy, phase: TurnPhase) -> None:
    state, effects = run(speaking(reply=4), ReplySilenced(), policy=policy)
    assert state.turn.phase is phase
    assert of_type(Flush, effects) == [Flush(4)]


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_silencing_without_a_reply_does_nothing(builder: Builder) -> None:
    assert run(builder(), ReplySilenced()) == (builder(), [])


# Hold to talk


def test_holding_the_talk_button_wakes_the_kiosk() -> None:
    state, effects = run(asleep(), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice, state.turn.spoke) == (TurnPhase.LISTENING, True, True)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD)]
    assert of_type(Chime, effects) == [Chime(Cue.WAKE)]


def test_releasing_the_talk_button_begins_the_models_turn_and_pauses_the_uplink() -> None:
    state, effects = run(listening(), TalkBegan(), TalkEnded(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.THINKING, False)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND), SetUplink(UplinkGate.PAUSED)]


def test_releasing_the_talk_button_before_the_connection_keeps_the_turn() -> None:
    state, _ = run(asleep(), TalkBegan(), TalkEnded(), ConnectionUp(EPOCH + 1, resumed=False), policy=HELD)
    assert state.turn.phase is TurnPhase.THINKING
    assert levels(state, HELD).uplink is UplinkGate.PAUSED


def test_a_visitor_who_releases_the_talk_button_in_silence_gets_the_turn_back() -> None:
    state, _ = run(asleep(), TalkBegan(), TalkEnded(), TimerFired(Timer.THINK), policy=HELD)
    assert state.turn.phase is TurnPhase.LISTENING


def test_in_full_duplex_holding_into_a_reply_silences_it_and_listens_at_once() -> None:
    policy = replace(HELD, half_duplex=False)
    state, effects = run(speaking(reply=4), TalkBegan(), policy=policy)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, True)
    assert of_type(Flush, effects) == [Flush(4)]
    assert levels(state, policy).uplink is UplinkGate.SEND


def test_in_half_duplex_holding_into_a_reply_silences_it_and_listens_after_the_tail() -> None:
    state, effects = run(speaking(reply=4), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.REVERBERATING, True)
    assert of_type(Flush, effects) == [Flush(4)]
    assert levels(state, HELD).uplink is UplinkGate.SHUT
    state, effects = run(state, TimerFired(Timer.TAIL), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, True)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND)]


def test_holding_during_reverberation_does_not_prolong_it() -> None:
    state, effects = run(reverberating(), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.REVERBERATING, True)
    assert effects == []
    assert run(state, TimerFired(Timer.TAIL), policy=HELD)[0].turn.phase is TurnPhase.LISTENING


def test_a_reply_that_begins_while_the_button_is_held_during_reverberation_is_silenced() -> None:
    held, _ = run(speaking(reply=4), TalkBegan(), policy=HELD)
    state, effects = run(held, ReplyBegan(EPOCH, 5), policy=HELD)
    assert effects == [Flush(5)]
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.REVERBERATING, True)


def test_a_talk_button_released_during_reverberation_only_silences_the_reply() -> None:
    state, _ = run(speaking(), TalkBegan(), TalkEnded(), TimerFired(Timer.TAIL), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, False)
    assert levels(state, HELD).timers[Timer.IDLE] == HELD.idle_s


def test_holding_while_the_model_thinks_begins_the_visitors_turn() -> None:
    state, effects = run(thinking(), TalkBegan(), policy=HELD)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, True)
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize("policy", [HELD, replace(HELD, half_duplex=False)])
def test_holding_into_the_last_reply_ends_a_conversation_in_overtime(policy: Policy) -> None:
    assert turn_after(speaking(overtime=True), TalkBegan(), policy=policy).phase is TurnPhase.ASLEEP


@pytest.mark.parametrize("builder", [listening, thinking, speaking, reverberating])
def test_with_a_talk_button_voices_are_ignored(builder: Builder) -> None:
    assert run(builder(), VoiceBegan(), VoiceEnded(), policy=HELD) == (builder(), [])


def test_a_pause_while_the_talk_button_is_held_does_not_end_the_turn() -> None:
    after = turn_after(listening(), TalkBegan(), VoiceBegan(), VoiceEnded(), policy=HELD)
    assert (after.phase, after.voice) == (TurnPhase.LISTENING, True)


def test_after_a_release_the_uplink_stays_paused_during_the_reply() -> None:
    policy = replace(HELD, half_duplex=False)
    state, effects = run(listening(), TalkBegan(), TalkEnded(), ReplyBegan(EPOCH, 5), policy=policy)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.SPEAKING, False)
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND), SetUplink(UplinkGate.PAUSED)]


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_a_release_without_a_hold_does_nothing(builder: Builder) -> None:
    assert run(builder(), TalkEnded(), policy=HELD) == (builder(), [])


# Typed questions, and snapshots


def test_a_typed_question_wakes_and_becomes_the_models_turn_once_connected() -> None:
    state, _ = run(asleep(), TextSubmitted())
    assert (state.turn.phase, state.turn.asked, state.turn.spoke) == (TurnPhase.LISTENING, True, True)
    state, _ = run(state, ConnectionUp(EPOCH + 1, resumed=False))
    assert (state.turn.phase, state.turn.asked) == (TurnPhase.THINKING, False)


def test_a_visitor_who_has_typed_is_not_greeted() -> None:
    _, effects = run(
        asleep(), TextSubmitted(), ConnectionUp(EPOCH + 1, resumed=False), policy=Policy(greeting=True)
    )
    assert of_type(Greet, effects) == []


def test_a_visitor_who_speaks_after_typing_keeps_the_turn_once_connected() -> None:
    state, _ = run(asleep(), TextSubmitted(), VoiceBegan(), ConnectionUp(EPOCH + 1, resumed=False))
    assert (state.turn.phase, state.turn.voice, state.turn.asked) == (TurnPhase.LISTENING, True, False)


@pytest.mark.parametrize("builder", [listening, thinking])
def test_a_typed_question_begins_the_models_turn(builder: Builder) -> None:
    after = turn_after(builder(), TextSubmitted())
    assert (after.phase, after.spoke) == (TurnPhase.THINKING, True)


@pytest.mark.parametrize("builder", [speaking, reverberating])
def test_a_question_typed_into_a_reply_does_not_end_the_reply(builder: Builder) -> None:
    after = turn_after(builder(), TextSubmitted())
    assert (after.phase, after.spoke) == (builder().turn.phase, True)


def test_a_snapshot_is_taken_in_every_phase_and_wakes_the_kiosk() -> None:
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


def test_muting_and_unmuting_chime() -> None:
    assert run(asleep(), MuteRequested(muted=True)) == (
        muted(asleep()),
        [Chime(Cue.MUTE), SetMute(muted=True), ShowStatus(KioskStatus.MUTED)],
    )
    assert run(muted(asleep()), MuteRequested(muted=False)) == (
        asleep(),
        [Chime(Cue.UNMUTE), SetMute(muted=False), ShowStatus(KioskStatus.ASLEEP)],
    )


def test_mute_can_be_toggled_and_repeating_a_state_changes_nothing() -> None:
    state, effects = run(asleep(), MuteRequested(), MuteRequested())
    assert state == asleep()
    assert of_type(SetMute, effects) == [SetMute(muted=True), SetMute(muted=False)]
    assert run(asleep(), MuteRequested(muted=False)) == (asleep(), [])
    assert run(muted(asleep()), MuteRequested(muted=True)) == (muted(asleep()), [])


@pytest.mark.parametrize("call", CALLS_ON_PURPOSE)
def test_a_muted_kiosk_answers_a_call_with_a_chime_only(call: Event) -> None:
    assert run(muted(asleep()), call) == (muted(asleep()), [Chime(Cue.MUTE)])


@pytest.mark.parametrize("event", BY_ITSELF)
@pytest.mark.parametrize("policy", [HALF_DUPLEX, ALWAYS_ON])
def test_a_muted_kiosk_does_not_wake_by_itself_and_stays_silent(event: Event, policy: Policy) -> None:
    state, effects = run(muted(asleep()), event, policy=policy)
    assert (state, effects) == (muted(asleep()), [])
    assert Timer.AGAIN not in levels(state, policy).timers


def test_a_kiosk_killed_while_muted_comes_back_muted_without_a_conversation() -> None:
    state, effects = run(State(), MuteRequested(muted=True), Restored(7, HANDLE), Started())
    assert (state.turn.awake, state.link.handle) == (False, None)
    assert of_type(Dial, effects) == []
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.MUTED


def test_an_always_on_kiosk_wakes_again_once_it_is_unmuted() -> None:
    state, _ = run(muted(asleep()), MuteRequested(), policy=ALWAYS_ON)
    assert Timer.AGAIN in levels(state, ALWAYS_ON).timers


# Closed


@pytest.mark.parametrize("call", CALLS_ON_PURPOSE)
def test_a_closed_kiosk_answers_a_call_with_the_reason(call: Event) -> None:
    state, effects = run(closed(asleep(), Code.BUDGET), call, policy=FULL_DUPLEX)
    assert not state.turn.awake
    assert effects == [Prompt(Code.BUDGET)]


def test_a_closed_kiosk_tells_the_reason_to_voices_only_once() -> None:
    voice = Woken(WakeCause.VOICE)
    state, effects = run(closed(asleep()), voice, policy=FULL_DUPLEX)
    assert of_type(Prompt, effects) == [Prompt(Code.HOURS)]
    assert run(state, voice, policy=FULL_DUPLEX) == (state, [])
    assert of_type(Prompt, run(state, Pressed())[1]) == [Prompt(Code.HOURS)]


@pytest.mark.parametrize("event", BY_ITSELF)
def test_a_closed_kiosk_does_not_wake_by_itself_and_stays_silent(event: Event) -> None:
    assert run(closed(asleep()), event, policy=ALWAYS_ON) == (closed(asleep()), [])
    assert Timer.AGAIN not in levels(closed(asleep()), ALWAYS_ON).timers


@pytest.mark.parametrize("builder", AWAKE)
def test_closing_ends_the_conversation_and_tells_the_visitor_the_reason(builder: Builder) -> None:
    state, effects = run(builder(woken_by_person=True), Closing(Code.BUDGET))
    assert not state.turn.awake
    assert of_type(HangUp, effects) == [HangUp()]
    assert of_type(Flush, effects) == ([Flush(REPLY)] if builder is speaking else [])
    assert of_type(Prompt, effects) == [Prompt(Code.BUDGET)]
    assert effects[-1] == ShowStatus(KioskStatus.CLOSED, Code.BUDGET)


def test_an_opened_kiosk_is_shown_asleep_and_can_be_woken() -> None:
    state, effects = run(closed(asleep()), Closing(None))
    assert (state, effects) == (asleep(), [ShowStatus(KioskStatus.ASLEEP)])
    assert run(state, Pressed())[0].turn.awake


def test_an_always_on_kiosk_wakes_again_once_it_is_open() -> None:
    state, _ = run(closed(asleep()), Closing(None), policy=ALWAYS_ON)
    assert Timer.AGAIN in levels(state, ALWAYS_ON).timers


# The window after a reply


def test_after_an_answer_the_follow_up_time_applies() -> None:
    policy = Policy(half_duplex=False, idle_s=20.0, follow_up_s=7.0)
    assert levels(listening(), policy).timers[Timer.IDLE] == 20.0
    assert levels(listening(answered=True), policy).timers[Timer.IDLE] == 7.0


def test_without_follow_up_time_the_conversation_ends_with_the_reply() -> None:
    asked = (VoiceBegan(), VoiceEnded(), ReplyBegan(EPOCH, 5))
    state, _ = run(listening(), *asked, policy=HELD)
    assert not state.turn.answered  # with a talk button voices are ignored
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
def test_after_an_interrupted_reply_the_full_idle_time_applies(cut: Event, half_duplex: bool) -> None:
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


def test_after_a_greeting_the_full_idle_time_applies() -> None:
    policy = Policy(greeting=True, follow_up_s=0.0)
    state, _ = run(
        listening(dialing()), ConnectionUp(EPOCH, resumed=False), ReplyBegan(EPOCH, 5), policy=policy
    )
    assert (state.turn.phase, state.turn.answered) == (TurnPhase.SPEAKING, False)
    assert state.link.phase is LinkPhase.UP
