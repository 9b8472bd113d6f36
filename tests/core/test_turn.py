"""The turn's table, cell by cell, over a connection that works."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
from tests.support.core import (
    ALWAYS_ON,
    AWAKE,
    EPOCH,
    FULL_DUPLEX,
    GREETING,
    HALF_DUPLEX,
    HANDLE,
    HELD,
    REPLY,
    asleep,
    listening,
    of_type,
    reverberating,
    run,
    speaking,
    thinking,
    turn_after,
)

from kioskd.core import turn as turns
from kioskd.core.effects import Flush, UplinkGate
from kioskd.core.events import (
    EventKind,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySounded,
    Restored,
    Started,
    TalkBegan,
    TalkEnded,
    Timer,
    TimerFired,
    TurnEnded,
    TurnEvent,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State, levels
from kioskd.core.policy import Policy
from kioskd.core.turn import Turn, TurnPhase

Builder = Callable[..., State]
KINDS = (
    *get_args(TurnEvent),
    *(
        Timer.IDLE,
        Timer.THINK,
        Timer.STALLED,
        Timer.TAIL,
        Timer.GATE,
        Timer.LONGEST,
        Timer.WARN,
        Timer.IDLE_WARN,
        Timer.GRACE,
        Timer.AGAIN,
    ),
)


@pytest.mark.parametrize(("kind", "phase"), [*product(KINDS, TurnPhase)])
def test_every_pair_has_a_cell(kind: EventKind, phase: TurnPhase) -> None:
    assert callable(turns.TABLE[kind][phase.value])


def test_the_table_has_exactly_these_rows_and_columns() -> None:
    assert set(turns.TABLE) == set(KINDS)
    assert {len(row) for row in turns.TABLE.values()} == {len(TurnPhase)}


def test_phases_number_the_columns_from_zero() -> None:
    assert [phase.value for phase in TurnPhase] == list(range(len(TurnPhase)))


# Restored, Started


def test_a_killed_conversation_is_restored() -> None:
    assert turn_after(State(), Restored(7, HANDLE)) == Turn(TurnPhase.LISTENING, conversation=7, greeted=True)


def test_a_restored_conversation_keeps_its_number() -> None:
    assert turn_after(State(), Restored(7, HANDLE), Started(), Pressed(), Pressed()).conversation == 8


@pytest.mark.parametrize("policy", [HALF_DUPLEX, ALWAYS_ON, GREETING])
def test_the_start_does_not_disturb_a_restored_conversation(policy: Policy) -> None:
    restored = turn_after(State(), Restored(7, HANDLE), policy=policy)
    assert turn_after(State(), Restored(7, HANDLE), Started(), policy=policy) == restored


@pytest.mark.parametrize("builder", AWAKE)
def test_a_restoring_event_does_not_disturb_a_conversation(builder: Builder) -> None:
    assert run(builder(), Restored(7, HANDLE)) == (builder(), [])


def test_the_start_wakes_an_always_on_kiosk() -> None:
    assert turn_after(asleep(), Started(), policy=ALWAYS_ON).phase is TurnPhase.LISTENING


def test_the_start_leaves_any_other_kiosk_asleep() -> None:
    assert turn_after(asleep(), Started()).phase is TurnPhase.ASLEEP


# Pressed


def test_a_press_wakes_the_kiosk() -> None:
    assert turn_after(asleep(), Pressed()).phase is TurnPhase.LISTENING


def test_each_wake_counts_as_a_new_conversation() -> None:
    first = turn_after(asleep(conversation=7), Pressed())
    again = turn_after(asleep(conversation=7), Pressed(), Pressed(), Pressed())
    assert (first.conversation, again.conversation) == (8, 9)


def test_a_wake_keeps_only_the_numbers_of_the_last_conversation() -> None:
    before = asleep(conversation=7, voice=True, spoke=True, greeted=True, overtime=True)
    assert turn_after(before, Pressed()) == Turn(
        TurnPhase.LISTENING, conversation=8, reply=REPLY, woken_by_person=True
    )


@pytest.mark.parametrize("builder", [listening, thinking])
def test_a_press_in_a_silent_conversation_ends_it(builder: Builder) -> None:
    state, effects = run(builder(), Pressed())
    assert state.turn == Turn(conversation=2, reply=REPLY)
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize(
    ("policy", "phase"), [(HALF_DUPLEX, TurnPhase.REVERBERATING), (FULL_DUPLEX, TurnPhase.LISTENING)]
)
def test_a_press_during_a_reply_silences_it_and_listens_once_the_room_is_quiet(
    policy: Policy, phase: TurnPhase
) -> None:
    state, effects = run(speaking(reply=4), Pressed(), policy=policy)
    assert state.turn.phase is phase
    assert of_type(Flush, effects) == [Flush(4)]


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_a_press_during_a_reply_in_overtime_ends_the_conversation(policy: Policy) -> None:
    state, effects = run(speaking(reply=4, overtime=True), Pressed(), policy=policy)
    assert state.turn.phase is TurnPhase.ASLEEP
    assert of_type(Flush, effects) == [Flush(4)]


def test_a_press_during_reverberation_begins_the_visitors_turn() -> None:
    state, effects = run(reverberating(), Pressed())
    assert state.turn.phase is TurnPhase.LISTENING
    assert of_type(Flush, effects) == []


# VoiceBegan, VoiceEnded


@pytest.mark.parametrize("builder", [listening, thinking])
def test_a_voice_begins_the_visitors_turn(builder: Builder) -> None:
    after = turn_after(builder(), VoiceBegan())
    assert (after.phase, after.voice, after.spoke) == (TurnPhase.LISTENING, True, True)


def test_half_duplex_hears_no_voice_in_its_own_reply() -> None:
    assert run(speaking(), VoiceBegan(), policy=HALF_DUPLEX) == (speaking(), [])


def test_a_voice_into_a_reply_is_noted_and_the_reply_goes_on() -> None:
    state, effects = run(speaking(), VoiceBegan(), policy=FULL_DUPLEX)
    assert (state.turn.phase, state.turn.voice, state.turn.spoke) == (TurnPhase.SPEAKING, True, True)
    assert effects == []


@pytest.mark.parametrize("builder", [asleep, reverberating])
def test_a_voice_does_nothing_while_asleep_or_during_reverberation(builder: Builder) -> None:
    assert turn_after(builder(), VoiceBegan()) == builder().turn


def test_the_end_of_a_voice_begins_the_models_turn() -> None:
    after = turn_after(listening(voice=True, spoke=True), VoiceEnded())
    assert (after.phase, after.voice, after.spoke) == (TurnPhase.THINKING, False, True)


def test_the_end_of_a_voice_during_a_reply_leaves_the_reply_alone() -> None:
    after = turn_after(speaking(voice=True), VoiceEnded(), policy=FULL_DUPLEX)
    assert (after.phase, after.voice) == (TurnPhase.SPEAKING, False)


@pytest.mark.parametrize("builder", [asleep, thinking, reverberating])
def test_the_end_of_a_voice_that_did_not_count_does_nothing(builder: Builder) -> None:
    assert turn_after(builder(), VoiceEnded()) == builder().turn


# ReplyBegan, ReplyInterrupted, ReplySounded, ReplyPlayed, TurnEnded


@pytest.mark.parametrize("builder", AWAKE)
def test_a_reply_makes_the_kiosk_speak(builder: Builder) -> None:
    state, effects = run(builder(), ReplyBegan(EPOCH, 5))
    assert (state.turn.phase, state.turn.reply) == (TurnPhase.SPEAKING, 5)
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize("voice", [False, True])
def test_in_full_duplex_a_reply_does_not_end_the_visitors_voice(voice: bool) -> None:
    assert turn_after(listening(voice=voice), ReplyBegan(EPOCH, 5), policy=FULL_DUPLEX).voice is voice


def test_a_reply_that_comes_after_the_hang_up_is_silenced() -> None:
    state, effects = run(asleep(), ReplyBegan(EPOCH, 5))
    assert (state.turn.phase, state.turn.reply) == (TurnPhase.ASLEEP, 5)
    assert effects == [Flush(5)]


def test_an_interrupted_reply_begins_the_visitors_turn() -> None:
    state, effects = run(speaking(reply=4, voice=True), ReplyInterrupted(EPOCH, 4), policy=FULL_DUPLEX)
    assert (state.turn.phase, state.turn.voice) == (TurnPhase.LISTENING, True)
    assert of_type(Flush, effects) == [Flush(4)]


def test_a_reply_interrupted_by_a_finished_voice_leaves_the_turn_to_the_model() -> None:
    state, effects = run(
        speaking(reply=4), VoiceBegan(), VoiceEnded(), ReplyInterrupted(EPOCH, 4), policy=FULL_DUPLEX
    )
    assert state.turn.phase is TurnPhase.THINKING
    assert of_type(Flush, effects) == [Flush(4)]


def test_a_reply_interrupted_before_a_voice_was_heard_leaves_the_turn_to_the_model() -> None:
    # The service hears more than the local detector, so the voice may still go on.
    state, _ = run(speaking(reply=4), ReplyInterrupted(EPOCH, 4), policy=FULL_DUPLEX)
    assert state.turn == thinking(reply=4).turn
    assert turn_after(state, VoiceBegan(), policy=FULL_DUPLEX).phase is TurnPhase.LISTENING


def test_a_reply_interrupted_in_half_duplex_is_followed_by_reverberation() -> None:
    state, effects = run(speaking(reply=4), ReplyInterrupted(EPOCH, 4), policy=HALF_DUPLEX)
    assert state.turn.phase is TurnPhase.REVERBERATING
    assert of_type(Flush, effects) == [Flush(4)]


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_a_reply_interrupted_in_overtime_ends_the_conversation(policy: Policy) -> None:
    state, effects = run(speaking(reply=4, overtime=True), ReplyInterrupted(EPOCH, 4), policy=policy)
    assert state.turn.phase is TurnPhase.ASLEEP
    assert of_type(Flush, effects) == [Flush(4)]


def test_the_interruption_of_an_older_reply_only_flushes_it() -> None:
    state, effects = run(speaking(reply=4), ReplyInterrupted(EPOCH, 3))
    assert state.turn == speaking(reply=4).turn
    assert effects == [Flush(3)]


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_an_interruption_without_a_reply_does_nothing(builder: Builder) -> None:
    assert run(builder(), ReplyInterrupted(EPOCH, REPLY)) == (builder(), [])


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_the_first_sound_of_a_reply_does_not_change_the_turn(builder: Builder) -> None:
    assert run(builder(), ReplySounded(REPLY)) == (builder(), [])


def test_a_reply_is_over_when_it_was_heard() -> None:
    after = turn_after(speaking(reply=4), TurnEnded(EPOCH), policy=FULL_DUPLEX)
    assert after.phase is TurnPhase.SPEAKING
    assert turn_after(speaking(reply=4), ReplyPlayed(4), policy=FULL_DUPLEX).phase is TurnPhase.LISTENING


def test_a_voice_that_outlasts_a_reply_goes_on() -> None:
    after = turn_after(speaking(voice=True), ReplyPlayed(REPLY), policy=FULL_DUPLEX)
    assert (after.phase, after.voice) == (TurnPhase.LISTENING, True)


def test_in_half_duplex_a_heard_reply_is_followed_by_reverberation_and_clears_the_voice() -> None:
    after = turn_after(speaking(voice=True), ReplyPlayed(REPLY), policy=HALF_DUPLEX)
    assert (after.phase, after.voice) == (TurnPhase.REVERBERATING, False)


def test_a_reply_that_begins_while_the_talk_button_is_held_is_silenced() -> None:
    for policy in (HELD, replace(HELD, half_duplex=False)):
        again, _ = run(thinking(), TalkBegan(), policy=policy)
        state, effects = run(again, ReplyBegan(EPOCH, 5), policy=policy)
        assert effects == [Flush(5)]
        assert (state.turn.phase, state.turn.voice, state.turn.reply) == (TurnPhase.LISTENING, True, 5)
        assert levels(state, policy).uplink is UplinkGate.SEND
        answer = turn_after(state, TalkEnded(), ReplyBegan(EPOCH, 6), policy=policy)
        assert (answer.phase, answer.reply) == (TurnPhase.SPEAKING, 6)


def test_in_half_duplex_a_reply_ends_the_visitors_voice() -> None:
    # The uplink was shut during the voice, so no VoiceEnded will come.
    events = (VoiceBegan(), ReplyBegan(EPOCH, 5), Pressed(), TimerFired(Timer.TAIL))
    after = turn_after(listening(), *events, policy=HALF_DUPLEX)
    assert (after.phase, after.voice) == (TurnPhase.LISTENING, False)


def test_the_end_of_an_older_reply_does_not_end_the_newer() -> None:
    assert run(speaking(reply=4), ReplyPlayed(3)) == (speaking(reply=4), [])


def test_two_replies_in_a_row_are_over_with_the_second() -> None:
    both = turn_after(speaking(reply=4), ReplyBegan(EPOCH, 5), ReplyPlayed(4))
    assert (both.phase, both.reply) == (TurnPhase.SPEAKING, 5)
    assert (
        turn_after(speaking(reply=4), ReplyBegan(EPOCH, 5), ReplyPlayed(4), ReplyPlayed(5)).phase
        is TurnPhase.REVERBERATING
    )


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_the_end_of_a_flushed_reply_does_nothing(builder: Builder) -> None:
    assert run(builder(), ReplyPlayed(REPLY)) == (builder(), [])


def test_a_silent_turn_of_the_model_gives_the_turn_to_the_visitor() -> None:
    assert turn_after(thinking(), TurnEnded(EPOCH)).phase is TurnPhase.LISTENING


@pytest.mark.parametrize("builder", [asleep, listening, speaking, reverberating])
def test_the_end_of_the_models_turn_counts_only_while_thinking(builder: Builder) -> None:
    assert turn_after(builder(), TurnEnded(EPOCH)) == builder().turn


# Properties of a turn


def test_every_phase_but_asleep_is_awake() -> None:
    assert not asleep().turn.awake
    assert all(builder().turn.awake for builder in AWAKE)


def test_only_silent_listening_is_a_quiet_moment() -> None:
    quiet = [builder(voice=voice).turn.quiet for builder, voice in product((asleep, *AWAKE), (False, True))]
    assert quiet == [False, False, True, *[False] * 7]
