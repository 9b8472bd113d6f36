"""How a conversation outlives its connections: renewals, recollections, a kill, and one greeting in all of it."""

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


def test_an_announced_end_in_a_quiet_moment_renews_the_connection_at_once() -> None:
    state, effects = run(listening(up(handle=HANDLE)), GoingAway(EPOCH, left_s=50.0))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_an_aged_connection_is_renewed_in_a_quiet_moment() -> None:
    _, effects = run(listening(up(handle=HANDLE)), TimerFired(Timer.AGE))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("state", [thinking(), speaking(), reverberating(), listening(voice=True)])
@pytest.mark.parametrize("news", [GoingAway(EPOCH, left_s=50.0), TimerFired(Timer.AGE)])
def test_a_renewal_waits_while_anything_is_said_or_awaited(state: State, news: Event) -> None:
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
def test_the_first_quiet_moment_is_taken(state: State, event: Event, policy: Policy) -> None:
    after, effects = run(state, event, policy=policy)
    assert after.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("builder", [thinking, speaking, reverberating])
def test_no_quiet_moment_means_a_forced_one(builder: Builder) -> None:
    state, effects = run(builder(draining(handle=HANDLE)), TimerFired(Timer.ROLLOVER))
    assert state.turn == builder().turn
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("remedy", PASSING)
def test_a_lost_connection_leaves_the_turn_as_it_is(builder: Builder, remedy: Remedy) -> None:
    assert run(builder(), lost(remedy))[0].turn == builder().turn


def test_a_lost_connection_does_not_begin_the_visitors_silence_anew() -> None:
    _, effects = run(listening(), lost(), ConnectionUp(EPOCH + 1, resumed=True))
    assert Timer.IDLE not in {effect.timer for effect in of_type(SetTimer, effects)}


def test_a_conversation_that_ends_while_draining_is_not_dialed_again() -> None:
    _, effects = run(speaking(draining(), overtime=True), ReplyPlayed(REPLY))
    assert of_type(Dial, effects) == []
    assert of_type(HangUp, effects) == [HangUp()]


def test_a_service_that_announces_each_end_at_once_is_left_in_a_quiet_moment_only_so_often() -> None:
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
def test_one_that_announced_its_end_as_it_began_is_not_left_for_being_proved_good(proof: Event) -> None:
    state = listening(draining(handle=HANDLE, rollovers_in_a_row=MOST_ROLLOVERS, rollover_s=290.0))
    assert of_type(Dial, run(state, proof)[1]) == []


def test_a_service_that_says_goodbye_as_it_says_hello_is_not_dialed_at_full_speed() -> None:
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
def test_a_change_in_a_quiet_moment_renews_the_connection_at_once(change: Event) -> None:
    _, effects = run(listening(up(handle=HANDLE)), change)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_nobody_leaves_between_a_reply_and_the_handle_that_follows_it() -> None:
    state, effects = run(
        listening(draining(handle=HANDLE)),
        ReplyBegan(EPOCH, REPLY + 1),
        ReplyPlayed(REPLY + 1),
        policy=FULL_DUPLEX,
    )
    assert of_type(Dial, effects) == []
    _, effects = run(state, HandleIssued(EPOCH, LATER_HANDLE), policy=FULL_DUPLEX)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, LATER_HANDLE)]


def test_a_handle_that_does_not_come_is_waited_for_only_so_long() -> None:
    state = listening(draining(handle=HANDLE, handle_pending=True))
    assert levels(state, FULL_DUPLEX).timers[Timer.SETTLE] == FULL_DUPLEX.settle_s
    _, effects = run(state, TimerFired(Timer.SETTLE), policy=FULL_DUPLEX)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_a_session_that_the_new_settings_void_is_recalled_in_a_new_one() -> None:
    _, effects = run(listening(up(handle=HANDLE)), SettingsChanged(session_void=True))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=True)]


@pytest.mark.parametrize("state", [thinking(), speaking(), reverberating(), listening(voice=True)])
@pytest.mark.parametrize("change", [NetworkChanged(), SettingsChanged()])
def test_a_change_while_anything_is_said_or_awaited_waits_for_its_end(state: State, change: Event) -> None:
    after, effects = run(state, change)
    assert after.link.phase is LinkPhase.DRAINING
    assert of_type(Dial, effects) == []


# What a new session is told, and what a new process would need


def test_the_first_session_of_a_conversation_has_nothing_to_recall() -> None:
    _, effects = run(asleep(), Pressed(), lost(epoch=EPOCH + 1), lost(Remedy.FRESH, EPOCH + 2))
    assert [dial.recall for dial in of_type(Dial, effects)] == [False, False]


def test_a_new_session_in_mid_conversation_is_told_what_was_said() -> None:
    _, effects = run(listening(up(handle=HANDLE)), lost(Remedy.FRESH))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=True)]


def test_a_session_lost_before_it_had_a_handle_is_recalled_too() -> None:
    _, effects = run(listening(up()), lost())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=True)]


def test_a_session_that_goes_on_is_told_nothing_that_it_knows() -> None:
    _, effects = run(listening(up(handle=HANDLE)), lost())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE, recall=False)]


def test_what_was_said_to_one_visitor_is_not_recalled_to_the_next() -> None:
    _, effects = run(listening(up()), Pressed(), Pressed())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None, recall=False)]


def test_each_new_handle_is_kept_with_the_conversation_it_is_of() -> None:
    issued = (HandleIssued(EPOCH, HANDLE), HandleIssued(EPOCH, HANDLE), HandleIssued(EPOCH, LATER_HANDLE))
    _, effects = run(listening(conversation=7), *issued)
    assert effects == [KeepHandle(7, HANDLE), KeepHandle(7, LATER_HANDLE)]


def test_what_was_kept_stays_kept_while_the_connection_comes_and_goes() -> None:
    news = (lost(), lost(epoch=EPOCH + 1), TimerFired(Timer.RETRY), ConnectionUp(EPOCH + 2, resumed=True))
    _, effects = run(listening(up(handle=HANDLE)), *news)
    assert of_type(KeepHandle, effects) + of_type(ForgetHandle, effects) == []


@pytest.mark.parametrize(
    "end", [Pressed(), TimerFired(Timer.IDLE), lost(Remedy.SETTINGS), lost(Remedy.FRESH)]
)
def test_nothing_is_kept_of_a_session_that_is_over(end: Event) -> None:
    _, effects = run(listening(up(handle=HANDLE)), end)
    assert of_type(ForgetHandle, effects) == [ForgetHandle()]


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_where_nothing_was_kept_there_is_nothing_to_forget(builder: LinkBuilder) -> None:
    assert of_type(ForgetHandle, run(listening(builder()), Pressed())[1]) == []


# Going on after a kill


def test_a_conversation_that_goes_on_is_not_greeted_and_is_kept_again() -> None:
    events = (Restored(7, HANDLE), Started(), ConnectionUp(1, resumed=True))
    state, effects = run(State(), *events, policy=GREETING)
    assert of_type(Greet, effects) == []
    assert of_type(KeepHandle, effects) == [KeepHandle(7, HANDLE)]
    assert (state.turn.phase, state.turn.conversation) == (turns.TurnPhase.LISTENING, 7)
    assert levels(state, GREETING).shown is KioskStatus.LISTENING


def test_a_conversation_whose_session_did_not_wait_goes_on_in_a_new_one_without_a_greeting() -> None:
    events = (Restored(7, HANDLE), Started(), lost(Remedy.FRESH, 1), ConnectionUp(2, resumed=False))
    state, effects = run(State(), *events, policy=GREETING)
    assert of_type(Dial, effects) == [Dial(1, HANDLE), Dial(2, None, recall=True)]
    assert of_type(Greet, effects) == []
    assert of_type(ForgetHandle, effects) == [ForgetHandle()]
    assert state.turn.awake


def test_the_next_visitor_after_a_kill_is_greeted_as_ever() -> None:
    events = (Restored(7, HANDLE), Started(), ConnectionUp(1, resumed=True), TimerFired(Timer.IDLE))
    _, effects = run(State(), *events, Pressed(), ConnectionUp(2, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]


# The greeting


def test_the_greeting_is_asked_for_when_the_service_is_reached() -> None:
    state, effects = run(listening(dialing()), ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]
    assert (state.turn.phase, state.turn.greeted) == (turns.TurnPhase.THINKING, True)


def test_nobody_is_greeted_unless_the_owner_asked() -> None:
    state, effects = run(listening(dialing()), ConnectionUp(EPOCH, resumed=False))
    assert of_type(Greet, effects) == []
    assert state.turn.phase is turns.TurnPhase.LISTENING


@pytest.mark.parametrize("words", [(VoiceBegan(),), (VoiceBegan(), VoiceEnded())])
def test_a_visitor_who_has_spoken_is_not_greeted_any_more(words: tuple[Event, ...]) -> None:
    before, _ = run(listening(dialing()), *words, policy=GREETING)
    after, effects = run(before, ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == []
    assert after.turn.phase is before.turn.phase


def test_a_visitor_too_quick_for_the_greeting_does_not_get_it_later() -> None:
    spoken = (VoiceBegan(), ConnectionUp(EPOCH, resumed=False), lost(), ConnectionUp(EPOCH + 1, resumed=True))
    assert of_type(Greet, run(listening(dialing()), *spoken, policy=GREETING)[1]) == []


@pytest.mark.parametrize("resumed", [False, True])
def test_nobody_is_greeted_twice_not_even_in_a_fresh_session(resumed: bool) -> None:
    reached_twice = (ConnectionUp(EPOCH, resumed=False), lost(), ConnectionUp(EPOCH + 1, resumed))
    assert of_type(Greet, run(listening(dialing()), *reached_twice, policy=GREETING)[1]) == [Greet()]


def test_a_failed_dial_does_not_use_the_greeting_up() -> None:
    second_try = (lost(), ConnectionUp(EPOCH + 1, resumed=False))
    assert of_type(Greet, run(listening(dialing()), *second_try, policy=GREETING)[1]) == [Greet()]


def test_each_conversation_has_its_own_greeting() -> None:
    state, _ = run(listening(dialing()), ConnectionUp(EPOCH, resumed=False), Pressed(), policy=GREETING)
    _, effects = run(state, Pressed(), ConnectionUp(EPOCH + 1, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]


GREETING_BY_ITSELF = replace(GREETING, always_on=True)


def greetings(*events: Event) -> int:
    """Count the greetings of an always-on kiosk that greets as it starts, and to which this happens then."""
    story = (Started(), ConnectionUp(1, resumed=False), TurnEnded(1), *events)
    return len(of_type(Greet, run(State(), *story, policy=GREETING_BY_ITSELF)[1]))


def alone(epoch: int) -> tuple[Event, ...]:
    """Return how such a kiosk falls asleep over nothing, and wakes again."""
    return (
        TimerFired(Timer.IDLE),
        TimerFired(Timer.AGAIN),
        ConnectionUp(epoch, resumed=False),
        TurnEnded(epoch),
    )


def test_a_kiosk_that_wakes_by_itself_greets_no_empty_room_again() -> None:
    assert greetings(*alone(2), *alone(3), *alone(4)) == 1


def test_a_kiosk_that_wakes_by_itself_greets_again_when_somebody_was_heard() -> None:
    heard = (VoiceBegan(), VoiceEnded(), TurnEnded(3))
    assert greetings(*alone(2), *alone(3), *heard, *alone(4), *alone(5)) == 2


def test_a_kiosk_that_wakes_by_itself_greets_whoever_wakes_it() -> None:
    pressed = (TimerFired(Timer.IDLE), Pressed(), ConnectionUp(3, resumed=False), TurnEnded(3))
    assert greetings(*alone(2), *pressed, *alone(4)) == 2


def test_a_kiosk_that_wakes_by_itself_and_reached_nobody_has_greeted_nobody() -> None:
    story = (Started(), TimerFired(Timer.LONGEST), TimerFired(Timer.AGAIN), ConnectionUp(2, resumed=False))
    assert of_type(Greet, run(State(), *story, policy=GREETING_BY_ITSELF)[1]) == [Greet()]


def test_a_reply_that_sounds_is_not_greeted_over() -> None:
    state, effects = run(speaking(dialing()), ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == []
    assert state.turn.phase is turns.TurnPhase.SPEAKING


def test_an_answer_that_came_after_the_loss_greets_nobody() -> None:
    assert (
        of_type(Greet, run(listening(waiting()), ConnectionUp(EPOCH, resumed=False), policy=GREETING)[1])
        == []
    )
