"""What the two machines do to each other, what holds in each state, and in which order it is said."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
from tests.support.core import (
    AWAKE,
    EPOCH,
    EVERY_POLICY,
    EVERY_STATE,
    FULL_DUPLEX,
    GREETING,
    HALF_DUPLEX,
    HANDLE,
    REACHED_FOR,
    REPLY,
    asleep,
    dialing,
    down,
    draining,
    every_event,
    listening,
    of_type,
    ringing,
    run,
    speaking,
    thinking,
    up,
    waiting,
)

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import (
    CancelTimer,
    Dial,
    Flush,
    Greet,
    HangUp,
    SetTimer,
    SetUplink,
    Show,
    Shown,
    Uplink,
)
from kioskd.core.events import (
    Event,
    GoingAway,
    HandleIssued,
    Lost,
    Pressed,
    Refused,
    ReplyPlayed,
    Timer,
    TimerFired,
    TurnEnded,
    Up,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.link import Link
from kioskd.core.machine import State, levels, step
from kioskd.core.policy import Policy

Builder = Callable[..., State]
LinkBuilder = Callable[..., Link]


# The epoch door


@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH + 1])
def test_what_another_connection_reports_is_dropped_at_the_door(epoch: int) -> None:
    reports = [event for event in every_event(epoch) if hasattr(event, "epoch")]
    states = [state for state in EVERY_STATE if state.link.epoch == EPOCH]
    assert len(reports) == 8
    for state, event, policy in product(states, reports, EVERY_POLICY):
        assert step(state, event, policy) == (state, ())


def test_a_loss_reported_after_the_next_dial_does_not_end_the_new_connection() -> None:
    state, effects = run(listening(), Lost(EPOCH, jitter=0.5), Lost(EPOCH, jitter=0.5))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]
    assert (state.link.phase, state.link.tries) == (links.Phase.DIALING, 1)


# The joint rules


def test_waking_dials_a_fresh_session() -> None:
    state, effects = run(asleep(), Pressed())
    assert state.link == dialing(epoch=EPOCH + 1)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_falling_asleep_hangs_up_and_forgets_the_session(builder: LinkBuilder) -> None:
    state, effects = run(listening(builder(handle=HANDLE, tries=3)), Pressed())
    assert state.link == down()
    assert of_type(HangUp, effects) == [HangUp()]


def test_a_new_visitor_does_not_inherit_the_last_ones_session() -> None:
    _, effects = run(listening(up(handle=HANDLE)), TimerFired(Timer.IDLE), Pressed())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("link", [dialing(), up(), draining()])
def test_refused_settings_end_the_conversation_and_show_a_fault(builder: Builder, link: Link) -> None:
    state, effects = run(builder(link), Refused(EPOCH))
    assert (state.turn.phase, state.link) == (turns.Phase.ASLEEP, down(refused=True))
    assert of_type(HangUp, effects) == [HangUp()]
    assert levels(state, HALF_DUPLEX).shown is Shown.FAULT


def test_refused_settings_silence_the_reply_that_sounds() -> None:
    assert of_type(Flush, run(speaking(reply=4), Refused(EPOCH))[1]) == [Flush(4)]


def test_settings_refused_again_end_the_next_conversation_too() -> None:
    state, _ = run(listening(dialing()), Refused(EPOCH), Pressed(), Refused(EPOCH + 1))
    assert (state.turn.phase, state.link.phase) == (turns.Phase.ASLEEP, links.Phase.DOWN)
    assert levels(state, HALF_DUPLEX).shown is Shown.FAULT


def test_a_wake_after_a_refusal_is_the_next_try_and_no_fault_until_it_fails() -> None:
    state, effects = run(replace(asleep(), link=down(refused=True)), Pressed())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]
    assert levels(state, HALF_DUPLEX).shown is Shown.WAKING


def test_a_fault_is_over_once_the_service_was_reached() -> None:
    state, _ = run(
        replace(asleep(), link=down(refused=True)), Pressed(), Up(EPOCH + 1, resumed=False), Pressed()
    )
    assert levels(state, HALF_DUPLEX).shown is Shown.ASLEEP


# Moving to a new connection


def test_an_announced_end_in_a_quiet_moment_renews_the_connection_at_once() -> None:
    state, effects = run(listening(up(handle=HANDLE)), GoingAway(EPOCH, left_s=50.0))
    assert state.link.phase is links.Phase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


def test_an_aged_connection_is_renewed_in_a_quiet_moment() -> None:
    _, effects = run(listening(up(handle=HANDLE)), TimerFired(Timer.AGE))
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("state", [thinking(), speaking(), ringing(), listening(voice=True)])
@pytest.mark.parametrize("news", [GoingAway(EPOCH, left_s=50.0), TimerFired(Timer.AGE)])
def test_a_renewal_waits_while_anything_is_said_or_awaited(state: State, news: Event) -> None:
    after, effects = run(state, news)
    assert after.link.phase is links.Phase.DRAINING
    assert of_type(Dial, effects) == []


@pytest.mark.parametrize(
    ("state", "event", "policy"),
    [
        (thinking(draining()), TurnEnded(EPOCH), HALF_DUPLEX),
        (thinking(draining()), TimerFired(Timer.THINK), HALF_DUPLEX),
        (speaking(draining()), ReplyPlayed(REPLY), FULL_DUPLEX),
        (speaking(draining()), Pressed(), HALF_DUPLEX),
        (ringing(draining()), TimerFired(Timer.TAIL), HALF_DUPLEX),
    ],
)
def test_the_first_quiet_moment_is_taken(state: State, event: Event, policy: Policy) -> None:
    after, effects = run(state, event, policy=policy)
    assert after.link.phase is links.Phase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


@pytest.mark.parametrize("builder", [thinking, speaking, ringing])
def test_no_quiet_moment_means_a_forced_one(builder: Builder) -> None:
    state, effects = run(builder(draining(handle=HANDLE)), TimerFired(Timer.ROLLOVER))
    assert state.turn == builder().turn
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("builder", AWAKE)
def test_a_lost_connection_leaves_the_turn_as_it_is(builder: Builder) -> None:
    assert run(builder(), Lost(EPOCH, jitter=0.5))[0].turn == builder().turn


def test_a_conversation_that_ends_while_draining_is_not_dialed_again() -> None:
    _, effects = run(speaking(draining(), overtime=True), ReplyPlayed(REPLY))
    assert of_type(Dial, effects) == []
    assert of_type(HangUp, effects) == [HangUp()]


# The greeting


def test_the_greeting_is_asked_for_when_the_service_is_reached() -> None:
    state, effects = run(listening(dialing()), Up(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]
    assert (state.turn.phase, state.turn.greeted) == (turns.Phase.THINKING, True)


def test_nobody_is_greeted_unless_the_owner_asked() -> None:
    state, effects = run(listening(dialing()), Up(EPOCH, resumed=False))
    assert of_type(Greet, effects) == []
    assert state.turn.phase is turns.Phase.LISTENING


@pytest.mark.parametrize("words", [(VoiceBegan(),), (VoiceBegan(), VoiceEnded())])
def test_a_visitor_who_has_spoken_is_not_greeted_any_more(words: tuple[Event, ...]) -> None:
    before, _ = run(listening(dialing()), *words, policy=GREETING)
    after, effects = run(before, Up(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == []
    assert after.turn.phase is before.turn.phase


def test_a_visitor_too_quick_for_the_greeting_does_not_get_it_later() -> None:
    spoken = (VoiceBegan(), Up(EPOCH, resumed=False), Lost(EPOCH, jitter=0.5), Up(EPOCH + 1, resumed=True))
    assert of_type(Greet, run(listening(dialing()), *spoken, policy=GREETING)[1]) == []


@pytest.mark.parametrize("resumed", [False, True])
def test_nobody_is_greeted_twice_not_even_in_a_fresh_session(resumed: bool) -> None:
    reached_twice = (Up(EPOCH, resumed=False), Lost(EPOCH, jitter=0.5), Up(EPOCH + 1, resumed))
    assert of_type(Greet, run(listening(dialing()), *reached_twice, policy=GREETING)[1]) == [Greet()]


def test_a_failed_dial_does_not_use_the_greeting_up() -> None:
    second_try = (Lost(EPOCH, jitter=0.5), Up(EPOCH + 1, resumed=False))
    assert of_type(Greet, run(listening(dialing()), *second_try, policy=GREETING)[1]) == [Greet()]


def test_each_conversation_has_its_own_greeting() -> None:
    state, _ = run(listening(dialing()), Up(EPOCH, resumed=False), Pressed(), policy=GREETING)
    _, effects = run(state, Pressed(), Up(EPOCH + 1, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == [Greet()]


def test_a_reply_that_sounds_is_not_greeted_over() -> None:
    state, effects = run(speaking(dialing()), Up(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Greet, effects) == []
    assert state.turn.phase is turns.Phase.SPEAKING


def test_an_answer_that_came_after_the_loss_greets_nobody() -> None:
    assert of_type(Greet, run(listening(waiting()), Up(EPOCH, resumed=False), policy=GREETING)[1]) == []


# Order


def test_what_was_said_is_silenced_before_the_next_thing_is_done() -> None:
    state, effects = run(speaking(reply=4), Pressed())
    assert state.turn.phase is turns.Phase.LISTENING
    assert effects == [
        Flush(4), SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s), SetUplink(Uplink.SEND), Show(Shown.LISTENING),
    ]  # fmt: skip


def test_waking_dials_before_it_opens_the_gate_and_shows_last() -> None:
    assert run(asleep(), Pressed())[1] == [
        Dial(EPOCH + 1, None),
        SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s),
        SetTimer(Timer.LONGEST, HALF_DUPLEX.longest_s),
        SetUplink(Uplink.HOLD),
        Show(Shown.WAKING),
    ]


def test_the_greeting_goes_out_before_the_visitors_own_words() -> None:
    assert run(listening(dialing()), Up(EPOCH, resumed=False), policy=GREETING)[1] == [
        Greet(),
        CancelTimer(Timer.IDLE),
        SetTimer(Timer.THINK, GREETING.think_s),
        SetTimer(Timer.AGE, GREETING.age_s),
        SetUplink(Uplink.SEND),
        Show(Shown.THINKING),
    ]


ORDER: tuple[tuple[type, ...], ...] = (
    (Flush,),
    (Dial, HangUp),
    (Greet,),
    (CancelTimer,),
    (SetTimer,),
    (SetUplink,),
    (Show,),
)


def test_effects_come_in_one_order_everywhere() -> None:
    for state, event, policy in product(EVERY_STATE, every_event(), EVERY_POLICY):
        _, effects = step(state, event, policy)
        ranks = [
            next(rank for rank, kinds in enumerate(ORDER) if isinstance(effect, kinds)) for effect in effects
        ]
        assert ranks == sorted(ranks)


# Secrets


def test_no_text_of_a_state_or_an_effect_holds_the_handle() -> None:
    state, effects = run(listening(), HandleIssued(EPOCH, HANDLE), Lost(EPOCH, jitter=0.5))
    assert state.link.handle == HANDLE
    assert HANDLE.get_secret_value() not in f"{state!r} {state} {effects!r} {HandleIssued(EPOCH, HANDLE)!r}"
