"""A conversation outlives its connections: rollovers, transcripts for new sessions, a kill, and
one greeting.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.core import (
    AWAKE,
    EPOCH,
    FULL_DUPLEX,
    GREETING,
    HALF_DUPLEX,
    HANDLE,
    LATER_HANDLE,
    REACHED_FOR,
    REPLY,
    asleep,
    dialing,
    draining,
    listening,
    lost,
    of_type,
    reverberating,
    run,
    speaking,
    thinking,
    up,
    waiting,
)
from tests.support.core_walks import PASSING

from kioskd.core import turn as turns
from kioskd.core.effects import Dial, ForgetHandle, Greet, HangUp, KeepHandle, KioskStatus, SetTimer
from kioskd.core.events import (
    ConnectionUp,
    Event,
    GoingAway,
    HandleIssued,
    NetworkChanged,
    Pressed,
    ReplyBegan,
    ReplyPlayed,
    Restored,
    SettingsChanged,
    Started,
    Timer,
    TimerFired,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.link_state import MOST_ROLLOVERS, Link, LinkPhase
from kioskd.core.machine import State, levels
from kioskd.core.policy import Policy
from kioskd.errors import Remedy

Builder = Callable[..., State]
LinkBuilder = Callable[..., Link]


# Moving to a new connection


def test_an_end_announced_in_a_quiet_moment_replaces_the_connection_at_once() -> None:
    state, effects = run(listening(up(handle=HANDLE)), GoingAway(EPOCH, left_s=50.0))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_an_aged_connection_is_replaced_in_a_quiet_moment() -> None:
    _, effects = run(listening(up(handle=HANDLE)), TimerFired(Timer.AGE))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("state", [thinking(), speaking(), reverberating(), listening(voice=True)])
@pytest.mark.parametrize("news", [GoingAway(EPOCH, left_s=50.0), TimerFired(Timer.AGE)])
def test_a_rollover_waits_during_speech_replies_and_thinking(state: State, news: Event) -> None:
    after, effects = run(state, news)
    assert after.link.phase is LinkPhase.DRAINING
    assert of_type(Dial, effects) == []


@pytest.mark.parametrize(
    ("state", "event", "policy"),
    [
        (thinking(draining(handle=HANDLE)), TurnEnded(EPOCH), HALF_DUPLEX),
        (thinking(draining(handle=HANDLE)), TimerFired(Timer.THINK), HALF_DUPLEX),
        (speaking(draining(handle=HANDLE)), ReplyPlayed(REPLY), FULL_DUPLEX),
        (speaking(draining(handle=HANDLE)), Pressed(), FULL_DUPLEX),
        (reverberating(draining(handle=HANDLE)), TimerFired(Timer.TAIL), HALF_DUPLEX),
    ],
)
def test_a_rollover_uses_the_first_quiet_moment(state: State, event: Event, policy: Policy) -> None:
    after, effects = run(state, event, policy=policy)
    assert after.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("builder", [thinking, speaking, reverberating])
def test_the_rollover_timer_replaces_the_connection_without_a_quiet_moment(builder: Builder) -> None:
    state, effects = run(builder(draining(handle=HANDLE)), TimerFired(Timer.ROLLOVER))
    assert state.turn == builder().turn
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("remedy", PASSING)
def test_a_lost_connection_does_not_change_the_turn(builder: Builder, remedy: Remedy) -> None:
    assert run(builder(), lost(remedy))[0].turn == builder().turn


def test_a_lost_connection_does_not_restart_the_idle_timer() -> None:
    _, effects = run(listening(), lost(), ConnectionUp(EPOCH + 1, resumed=True))
    assert Timer.IDLE not in {effect.timer for effect in of_type(SetTimer, effects)}


def test_a_conversation_that_ends_while_draining_is_not_dialed_again() -> None:
    _, effects = run(speaking(draining(), overtime=True), ReplyPlayed(REPLY))
    assert of_type(Dial, effects) == []
    assert of_type(HangUp, effects) == [HangUp()]


def test_quiet_moments_are_used_for_at_most_three_rollovers_in_a_row() -> None:
    state, dials = listening(up(handle=HANDLE)), 0
    for _ in range(MOST_ROLLOVERS + 3):
        epoch = state.link.epoch
        state, effects = run(state, GoingAway(epoch, left_s=60.0), ConnectionUp(epoch + 1, resumed=True))
        dials += len(of_type(Dial, effects))
    assert dials == MOST_ROLLOVERS == 3
    assert state == listening(
        draining(
            epoch=EPOCH + MOST_ROLLOVERS, handle=HANDLE, rollovers_in_a_row=MOST_ROLLOVERS, rollover_s=50.0
        )
    )


@pytest.mark.parametrize("proof", [TurnEnded(EPOCH), TimerFired(Timer.STEADY)])
def test_a_proof_of_a_good_connection_causes_no_rollover(proof: Event) -> None:
    state = listening(draining(handle=HANDLE, rollovers_in_a_row=MOST_ROLLOVERS, rollover_s=290.0))
    assert of_type(Dial, run(state, proof)[1]) == []


def test_a_service_that_ends_connections_at_once_is_dialed_with_delays() -> None:
    state, waits = listening(up(handle=HANDLE)), []
    for _ in range(20):
        epoch = state.link.epoch
        state, _ = run(state, GoingAway(epoch, left_s=HALF_DUPLEX.margin_s))
        if state.link.phase is LinkPhase.DRAINING:
            waits.append(levels(state, HALF_DUPLEX).timers[Timer.ROLLOVER])
            state, _ = run(state, TimerFired(Timer.ROLLOVER))
        state, _ = run(state, ConnectionUp(state.link.epoch, resumed=True))
    assert waits
    assert min(waits) > 0.0


@pytest.mark.parametrize("change", [NetworkChanged(), SettingsChanged()])
def test_a_change_in_a_quiet_moment_replaces_the_connection_at_once(change: Event) -> None:
    _, effects = run(listening(up(handle=HANDLE)), change)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_a_rollover_waits_for_the_handle_after_a_reply() -> None:
    state, effects = run(
        listening(draining(handle=HANDLE)),
        ReplyBegan(EPOCH, REPLY + 1),
        ReplyPlayed(REPLY + 1),
        policy=FULL_DUPLEX,
    )
    assert of_type(Dial, effects) == []
    _, effects = run(state, HandleIssued(EPOCH, LATER_HANDLE), policy=FULL_DUPLEX)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, LATER_HANDLE)]


def test_a_rollover_waits_for_a_handle_only_until_the_settle_timer() -> None:
    state = listening(draining(handle=HANDLE, handle_pending=True))
    assert levels(state, FULL_DUPLEX).timers[Timer.SETTLE] == FULL_DUPLEX.settle_s
    _, effects = run(state, TimerFired(Timer.SETTLE), policy=FULL_DUPLEX)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_settings_that_void_the_session_begin_a_new_one_with_the_transcript() -> None:
    _, effects = run(listening(up(handle=HANDLE)), SettingsChanged(session_void=True))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=True)]


@pytest.mark.parametrize("state", [thinking(), speaking(), reverberating(), listening(voice=True)])
@pytest.mark.parametrize("change", [NetworkChanged(), SettingsChanged()])
def test_a_change_during_speech_replies_and_thinking_waits_for_a_quiet_moment(
    state: State, change: Event
) -> None:
    after, effects = run(state, change)
    assert after.link.phase is LinkPhase.DRAINING
    assert of_type(Dial, effects) == []


# The transcript for a new session, and the handle for a new process


def test_the_first_session_of_a_conversation_gets_no_transcript() -> None:
    _, effects = run(asleep(), Pressed(), lost(epoch=EPOCH + 1), lost(Remedy.FRESH, EPOCH + 2))
    assert [dial.recall for dial in of_type(Dial, effects)] == [False, False]


def test_a_new_session_in_mid_conversation_gets_the_transcript() -> None:
    _, effects = run(listening(up(handle=HANDLE)), lost(Remedy.FRESH))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=True)]


def test_a_session_lost_before_its_first_handle_gets_the_transcript() -> None:
    _, effects = run(listening(up()), lost())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=True)]


def test_a_resumed_session_gets_no_transcript() -> None:
    _, effects = run(listening(up(handle=HANDLE)), lost())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE, recall=False)]


def test_the_next_visitors_session_gets_no_transcript() -> None:
    _, effects = run(listening(up()), Pressed(), Pressed())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=False)]


def test_each_new_handle_is_stored_with_its_conversation() -> None:
    issued = (HandleIssued(EPOCH, HANDLE), HandleIssued(EPOCH, HANDLE), HandleIssued(EPOCH, LATER_HANDLE))
    _, effects = run(listening(conversation=7), *issued)
    assert effects == [KeepHandle(7, HANDLE), KeepHandle(7, LATER_HANDLE)]


def test_the_stored_handle_outlives_losses_of_the_connection() -> None:
    news = (lost(), lost(epoch=EPOCH + 1), TimerFired(Timer.RETRY), ConnectionUp(EPOCH + 2, resumed=True))
    _, effects = run(listening(up(handle=HANDLE)), *news)
    assert of_type(KeepHandle, effects) + of_type(ForgetHandle, effects) == []


@pytest.mark.parametrize(
    "end", [Pressed(), TimerFired(Timer.IDLE), lost(Remedy.SETTINGS), lost(Remedy.FRESH)]
)
def test_the_stored_handle_is_deleted_at_the_end_of_the_session(end: Event) -> None:
    _, effects = run(listening(up(handle=HANDLE)), end)
    assert of_type(ForgetHandle, effects) == [ForgetHandle()]


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_without_a_stored_handle_none_is_deleted(builder: LinkBuilder) -> None:
    assert of_type(ForgetHandle, run(listening(builder()), Pressed())[1]) == []


# Restoring after a kill


def test_a_restored_conversation_is_not_greeted_and_is_stored_again() -> None:
    events = (Restored(7, HANDLE), Started(), ConnectionUp(1, resumed=True))
    state, effects = run(State(), *events, policy=GREETING)
    assert of_type(Greet, effects) == []
    assert of_type(KeepHandle, effects) == [KeepHandle(7, HANDLE)]
    assert (state.turn.phase, state.turn.conversation) == (turns.TurnPhase.LISTENING, 7)
    assert levels(state, GREETING).shown is KioskStatus.LISTENING


def test_a_restored_conversation_without_its_session_goes_on_in_a_new_one() -> None:
    events = (Restored(7, HANDLE), Started(), lost(Remedy.FRESH, 1), ConnectionUp(2, resumed=False))
    state, effects = run(State(), *events, policy=GREETING)
    assert of_type(Dial, effects) == [Dial(1, HANDLE), Dial(2, None, recall=True)]
    assert of_type(Greet, effects) == []
    assert of_type(ForgetHandle, effects) == [ForgetHandle()]
    assert state.turn.awake


def test_the_next_visitor_after_a_restored_conversation_is_greeted() -> None:
    events = (Restored(7, HANDLE), Started(), ConnectionUp(1, resumed=True), TimerFired(Timer.IDLE))
    _, effects = run(State(), *events, Pressed(), ConnectionUp(2, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]


# The greeting


def test_the_greeting_is_requested_when_the_connection_is_up() -> None:
    state, effects = run(listening(dialing()), ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]
    assert (state.turn.phase, state.turn.greeted) == (turns.TurnPhase.THINKING, True)


def test_a_visitor_is_not_greeted_without_the_owners_setting() -> None:
    state, effects = run(listening(dialing()), ConnectionUp(EPOCH, resumed=False))
    assert of_type(Greet, effects) == []
    assert state.turn.phase is turns.TurnPhase.LISTENING


@pytest.mark.parametrize("words", [(VoiceBegan(),), (VoiceBegan(), VoiceEnded())])
def test_a_visitor_who_has_spoken_is_not_greeted(words: tuple[Event, ...]) -> None:
    before, _ = run(listening(dialing()), *words, policy=GREETING)
    after, effects = run(before, ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == []
    assert after.turn.phase is before.turn.phase


def test_a_visitor_who_speaks_before_the_greeting_does_not_get_it_later() -> None:
    spoken = (VoiceBegan(), ConnectionUp(EPOCH, resumed=False), lost(), ConnectionUp(EPOCH + 1, resumed=True))
    assert of_type(Greet, run(listening(dialing()), *spoken, policy=GREETING)[1]) == []


@pytest.mark.parametrize("resumed", [False, True])
def test_a_visitor_is_not_greeted_again_in_a_fresh_session(resumed: bool) -> None:
    reached_twice = (ConnectionUp(EPOCH, resumed=False), lost(), ConnectionUp(EPOCH + 1, resumed))
    assert of_type(Greet, run(listening(dialing()), *reached_twice, policy=GREETING)[1]) == [Greet()]


def test_a_failed_dial_does_not_use_up_the_greeting() -> None:
    second_try = (lost(), ConnectionUp(EPOCH + 1, resumed=False))
    assert of_type(Greet, run(listening(dialing()), *second_try, policy=GREETING)[1]) == [Greet()]


def test_each_conversation_has_its_own_greeting() -> None:
    state, _ = run(listening(dialing()), ConnectionUp(EPOCH, resumed=False), Pressed(), policy=GREETING)
    _, effects = run(state, Pressed(), ConnectionUp(EPOCH + 1, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]


GREETING_BY_ITSELF = replace(GREETING, always_on=True)


def greetings(*events: Event) -> int:
    """Return the number of greetings of an always-on kiosk that greets at its start and then gets
    `events`.
    """
    story = (Started(), ConnectionUp(1, resumed=False), TurnEnded(1), *events)
    return len(of_type(Greet, run(State(), *story, policy=GREETING_BY_ITSELF)[1]))


def alone(epoch: int) -> tuple[Event, ...]:
    """Return the events by which a kiosk falls asleep in an empty room and wakes by its timer."""
    return (
        TimerFired(Timer.IDLE),
        TimerFired(Timer.AGAIN),
        ConnectionUp(epoch, resumed=False),
        TurnEnded(epoch),
    )


def test_a_kiosk_that_wakes_by_itself_greets_an_empty_room_only_once() -> None:
    assert greetings(*alone(2), *alone(3), *alone(4)) == 1


def test_a_kiosk_that_wakes_by_itself_greets_again_after_a_voice_was_heard() -> None:
    heard = (VoiceBegan(), VoiceEnded(), TurnEnded(3))
    assert greetings(*alone(2), *alone(3), *heard, *alone(4), *alone(5)) == 2


def test_a_kiosk_that_wakes_by_itself_greets_a_person_who_wakes_it() -> None:
    pressed = (TimerFired(Timer.IDLE), Pressed(), ConnectionUp(3, resumed=False), TurnEnded(3))
    assert greetings(*alone(2), *pressed, *alone(4)) == 2


def test_a_wake_without_a_connection_does_not_count_as_a_greeting() -> None:
    story = (Started(), TimerFired(Timer.LONGEST), TimerFired(Timer.AGAIN), ConnectionUp(2, resumed=False))
    assert of_type(Greet, run(State(), *story, policy=GREETING_BY_ITSELF)[1]) == [Greet()]


def test_the_greeting_does_not_interrupt_a_reply() -> None:
    state, effects = run(speaking(dialing()), ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == []
    assert state.turn.phase is turns.TurnPhase.SPEAKING


def test_a_late_answer_of_a_lost_dial_causes_no_greeting() -> None:
    assert (
        of_type(Greet, run(listening(waiting()), ConnectionUp(EPOCH, resumed=False), policy=GREETING)[1])
        == []
    )
