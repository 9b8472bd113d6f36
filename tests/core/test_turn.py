"""The conversation, over a link that serves; cell by cell, a row of the table at a time."""

from collections.abc import Callable
from itertools import product

import pytest
from tests.support.core import (
    ALWAYS_ON,
    AWAKE,
    EPOCH,
    FULL_DUPLEX,
    HALF_DUPLEX,
    REPLY,
    asleep,
    listening,
    of_type,
    ringing,
    run,
    speaking,
    thinking,
    turn_after,
)

from kioskd.core import turn as turns
from kioskd.core.effects import Flush
from kioskd.core.events import (
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySounded,
    Started,
    Timer,
    TimerFired,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State
from kioskd.core.policy import Policy
from kioskd.core.turn import Phase, Turn

Builder = Callable[..., State]
KINDS = (
    Started, Pressed, VoiceBegan, VoiceEnded, ReplyBegan, ReplyInterrupted, ReplySounded, ReplyPlayed, TurnEnded,
    Timer.IDLE, Timer.THINK, Timer.TAIL, Timer.LONGEST, Timer.GRACE, Timer.AGAIN,
)  # fmt: skip


@pytest.mark.parametrize(("kind", "phase"), [*product(KINDS, Phase)])
def test_every_pair_has_a_cell(kind: turns.Kind, phase: Phase) -> None:
    assert callable(turns.TABLE[kind][phase.value])


def test_the_table_has_no_other_rows_and_no_longer_ones() -> None:
    assert set(turns.TABLE) == set(KINDS)
    assert {len(row) for row in turns.TABLE.values()} == {len(Phase)}


def test_phases_number_the_columns_from_nought() -> None:
    assert [phase.value for phase in Phase] == list(range(len(Phase)))


# Started


def test_a_start_wakes_an_always_on_kiosk() -> None:
    assert turn_after(asleep(), Started(), policy=ALWAYS_ON).phase is Phase.LISTENING


def test_a_start_leaves_any_other_kiosk_asleep() -> None:
    assert turn_after(asleep(), Started()).phase is Phase.ASLEEP


# Pressed


def test_a_press_wakes() -> None:
    assert turn_after(asleep(), Pressed()).phase is Phase.LISTENING


def test_each_wake_counts_as_a_new_conversation() -> None:
    first = turn_after(asleep(conversation=7), Pressed())
    again = turn_after(asleep(conversation=7), Pressed(), Pressed(), Pressed())
    assert (first.conversation, again.conversation) == (8, 9)


def test_a_wake_forgets_everything_of_the_last_conversation_but_the_numbers() -> None:
    before = asleep(conversation=7, voice=True, spoke=True, greeted=True, overtime=True)
    assert turn_after(before, Pressed()) == Turn(Phase.LISTENING, conversation=8, reply=REPLY)


@pytest.mark.parametrize("builder", [listening, thinking])
def test_a_press_in_a_silent_conversation_ends_it(builder: Builder) -> None:
    state, effects = run(builder(), Pressed())
    assert state.turn == Turn(conversation=2, reply=REPLY)
    assert of_type(Flush, effects) == []


def test_a_press_during_a_reply_silences_it_and_listens() -> None:
    state, effects = run(speaking(reply=4), Pressed())
    assert state.turn.phase is Phase.LISTENING
    assert of_type(Flush, effects) == [Flush(4)]


def test_a_press_while_the_room_rings_gives_the_visitor_the_word() -> None:
    state, effects = run(ringing(), Pressed())
    assert state.turn.phase is Phase.LISTENING
    assert of_type(Flush, effects) == []


# VoiceBegan, VoiceEnded


@pytest.mark.parametrize("builder", [listening, thinking])
def test_a_voice_takes_the_word(builder: Builder) -> None:
    after = turn_after(builder(), VoiceBegan())
    assert (after.phase, after.voice, after.spoke) == (Phase.LISTENING, True, True)


def test_a_voice_into_a_reply_is_noted_and_the_reply_goes_on() -> None:
    state, effects = run(speaking(), VoiceBegan(), policy=FULL_DUPLEX)
    assert (state.turn.phase, state.turn.voice, state.turn.spoke) == (Phase.SPEAKING, True, True)
    assert effects == []


@pytest.mark.parametrize("builder", [asleep, ringing])
def test_a_voice_means_nothing_to_one_asleep_or_hearing_itself(builder: Builder) -> None:
    assert turn_after(builder(), VoiceBegan()) == builder().turn


def test_the_end_of_a_voice_makes_it_the_models_turn() -> None:
    after = turn_after(listening(voice=True, spoke=True), VoiceEnded())
    assert (after.phase, after.voice, after.spoke) == (Phase.THINKING, False, True)


def test_the_end_of_a_voice_during_a_reply_leaves_the_reply_alone() -> None:
    after = turn_after(speaking(voice=True), VoiceEnded(), policy=FULL_DUPLEX)
    assert (after.phase, after.voice) == (Phase.SPEAKING, False)


@pytest.mark.parametrize("builder", [asleep, thinking, ringing])
def test_the_end_of_a_voice_nobody_minded_means_nothing(builder: Builder) -> None:
    assert turn_after(builder(), VoiceEnded()) == builder().turn


# ReplyBegan, ReplyInterrupted, ReplySounded, ReplyPlayed, TurnEnded


@pytest.mark.parametrize("builder", AWAKE)
def test_a_reply_makes_the_kiosk_speak(builder: Builder) -> None:
    state, effects = run(builder(), ReplyBegan(EPOCH, 5))
    assert (state.turn.phase, state.turn.reply) == (Phase.SPEAKING, 5)
    assert of_type(Flush, effects) == []


def test_a_reply_that_crossed_the_hanging_up_is_silenced() -> None:
    state, effects = run(asleep(), ReplyBegan(EPOCH, 5))
    assert (state.turn.phase, state.turn.reply) == (Phase.ASLEEP, 5)
    assert effects == [Flush(5)]


def test_an_interrupted_reply_gives_way_to_the_visitor() -> None:
    state, effects = run(speaking(reply=4, voice=True), ReplyInterrupted(EPOCH, 4), policy=FULL_DUPLEX)
    assert (state.turn.phase, state.turn.voice) == (Phase.LISTENING, True)
    assert of_type(Flush, effects) == [Flush(4)]


def test_a_reply_interrupted_by_a_word_already_over_leaves_the_turn_with_the_model() -> None:
    state, effects = run(
        speaking(reply=4), VoiceBegan(), VoiceEnded(), ReplyInterrupted(EPOCH, 4), policy=FULL_DUPLEX
    )
    assert state.turn.phase is Phase.THINKING
    assert of_type(Flush, effects) == [Flush(4)]


def test_the_end_of_an_interrupted_turn_is_not_the_answer_to_the_interruption() -> None:
    # The service sends `interrupted`, then the turnComplete of what it broke off, then the answer.
    before = speaking(reply=4)
    interruption = (VoiceBegan(), VoiceEnded(), ReplyInterrupted(EPOCH, 4))
    assert turn_after(before, *interruption, TurnEnded(EPOCH), policy=FULL_DUPLEX).phase is Phase.THINKING


def test_the_interruption_of_an_older_reply_only_drops_what_is_left_of_it() -> None:
    state, effects = run(speaking(reply=4), ReplyInterrupted(EPOCH, 3))
    assert state.turn == speaking(reply=4).turn
    assert effects == [Flush(3)]


@pytest.mark.parametrize("builder", [asleep, listening, thinking, ringing])
def test_an_interruption_of_nothing_means_nothing(builder: Builder) -> None:
    assert run(builder(), ReplyInterrupted(EPOCH, REPLY)) == (builder(), [])


@pytest.mark.parametrize("builder", [asleep, *AWAKE])
def test_the_first_sound_of_a_reply_means_nothing_here(builder: Builder) -> None:
    assert run(builder(), ReplySounded(REPLY)) == (builder(), [])


def test_a_reply_is_over_when_it_was_heard() -> None:
    after = turn_after(speaking(reply=4), TurnEnded(EPOCH), policy=FULL_DUPLEX)
    assert after.phase is Phase.SPEAKING
    assert turn_after(speaking(reply=4), ReplyPlayed(4), policy=FULL_DUPLEX).phase is Phase.LISTENING


def test_a_visitor_still_speaking_after_a_reply_is_still_speaking() -> None:
    after = turn_after(speaking(voice=True), ReplyPlayed(REPLY), policy=FULL_DUPLEX)
    assert (after.phase, after.voice) == (Phase.LISTENING, True)


def test_half_duplex_lets_the_room_ring_out_and_forgets_the_voice_it_took_for_a_visitors() -> None:
    after = turn_after(speaking(voice=True), ReplyPlayed(REPLY), policy=HALF_DUPLEX)
    assert (after.phase, after.voice) == (Phase.RINGING, False)


def test_half_duplex_does_not_wait_for_the_end_of_a_voice_that_a_reply_drowned() -> None:
    # The uplink was shut in mid-word: no VoiceEnded will come.
    after = turn_after(listening(), VoiceBegan(), ReplyBegan(EPOCH, 5), Pressed(), policy=HALF_DUPLEX)
    assert (after.phase, after.voice) == (Phase.LISTENING, False)


def test_the_end_of_an_older_reply_does_not_end_the_newer() -> None:
    assert run(speaking(reply=4), ReplyPlayed(3)) == (speaking(reply=4), [])


def test_two_replies_in_a_row_are_over_with_the_second() -> None:
    both = turn_after(speaking(reply=4), ReplyBegan(EPOCH, 5), ReplyPlayed(4))
    assert (both.phase, both.reply) == (Phase.SPEAKING, 5)
    assert (
        turn_after(speaking(reply=4), ReplyBegan(EPOCH, 5), ReplyPlayed(4), ReplyPlayed(5)).phase
        is Phase.RINGING
    )


@pytest.mark.parametrize("builder", [asleep, listening, thinking, ringing])
def test_the_end_of_a_flushed_reply_means_nothing(builder: Builder) -> None:
    assert run(builder(), ReplyPlayed(REPLY)) == (builder(), [])


def test_a_model_that_ends_its_turn_in_silence_gives_the_word_back() -> None:
    assert turn_after(thinking(), TurnEnded(EPOCH)).phase is Phase.LISTENING


@pytest.mark.parametrize("builder", [asleep, listening, speaking, ringing])
def test_the_end_of_the_models_turn_means_nothing_where_none_is_awaited(builder: Builder) -> None:
    assert turn_after(builder(), TurnEnded(EPOCH)) == builder().turn


# Timers


def test_a_visitor_who_left_ends_the_conversation() -> None:
    assert turn_after(listening(), TimerFired(Timer.IDLE)).phase is Phase.ASLEEP


def test_a_model_that_stays_silent_gives_the_word_back() -> None:
    assert turn_after(thinking(), TimerFired(Timer.THINK)).phase is Phase.LISTENING


def test_a_room_that_has_rung_out_gives_the_visitor_the_word() -> None:
    assert turn_after(ringing(), TimerFired(Timer.TAIL)).phase is Phase.LISTENING


@pytest.mark.parametrize("builder", [listening, thinking, ringing])
def test_the_longest_conversation_ends(builder: Builder) -> None:
    assert turn_after(builder(), TimerFired(Timer.LONGEST)).phase is Phase.ASLEEP


def test_overtime_lets_the_reply_finish() -> None:
    state, effects = run(speaking(reply=4), TimerFired(Timer.LONGEST))
    assert (state.turn.phase, state.turn.overtime) == (Phase.SPEAKING, True)
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_overtime_ends_with_the_reply(policy: Policy) -> None:
    state, effects = run(speaking(reply=4), TimerFired(Timer.LONGEST), ReplyPlayed(4), policy=policy)
    assert state.turn.phase is Phase.ASLEEP
    assert of_type(Flush, effects) == []


def test_a_reply_that_will_not_end_is_cut_short_at_last() -> None:
    state, effects = run(speaking(reply=4, overtime=True), TimerFired(Timer.GRACE))
    assert state.turn.phase is Phase.ASLEEP
    assert of_type(Flush, effects) == [Flush(4)]


def test_an_always_on_kiosk_that_has_slept_enough_wakes() -> None:
    assert turn_after(asleep(), TimerFired(Timer.AGAIN), policy=ALWAYS_ON).phase is Phase.LISTENING


@pytest.mark.parametrize(
    ("builder", "timer"),
    [
        *product([asleep, thinking, speaking, ringing], [Timer.IDLE]),
        *product([asleep, listening, speaking, ringing], [Timer.THINK]),
        *product([asleep, listening, thinking, speaking], [Timer.TAIL]),
        (asleep, Timer.LONGEST),
        *product([asleep, listening, thinking, ringing], [Timer.GRACE]),
        *product(AWAKE, [Timer.AGAIN]),
    ],
)
def test_a_timer_that_came_too_late_means_nothing(builder: Builder, timer: Timer) -> None:
    assert run(builder(), TimerFired(timer)) == (builder(), [])


# What others ask of a turn


def test_only_one_asleep_is_not_awake() -> None:
    assert not asleep().turn.awake
    assert all(builder().turn.awake for builder in AWAKE)


def test_only_a_silent_visitor_with_the_word_makes_a_quiet_moment() -> None:
    quiet = [builder(voice=voice).turn.quiet for builder, voice in product((asleep, *AWAKE), (False, True))]
    assert quiet == [False, False, True, *[False] * 7]
