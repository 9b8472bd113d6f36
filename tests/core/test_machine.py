"""The joined machines: their effect on each other, the levels, and the order of effects."""

from collections.abc import Callable
from dataclasses import fields
from itertools import product
from typing import get_args

import pytest
from tests.support.core import (
    ALWAYS_ON,
    AWAKE,
    EPOCH,
    EVERY_POLICY,
    EVERY_STATE,
    FULL_DUPLEX,
    GREETING,
    HALF_DUPLEX,
    HANDLE,
    REACHED_FOR,
    asleep,
    dialing,
    down,
    draining,
    every_event,
    listening,
    lost,
    of_type,
    probing,
    refused,
    run,
    speaking,
    up,
)
from tests.support.core_walks import REFUSALS

from kioskd.core import link as links
from kioskd.core import turn as turns
from kioskd.core.effects import (
    Announce,
    AskConfirmation,
    CancelTimer,
    Chime,
    Confirm,
    Cue,
    Dial,
    Duck,
    Flush,
    ForgetHandle,
    Greet,
    HangUp,
    KeepHandle,
    KioskStatus,
    Prompt,
    SetCamera,
    SetMute,
    SetSpeaker,
    SetTimer,
    SetUplink,
    ShowStatus,
    StopPrompt,
    TakeSnapshot,
    UplinkGate,
)
from kioskd.core.events import ConnectionUp, Event, HandleIssued, Pressed, Restored, Timer, TimerFired
from kioskd.core.link_state import Link, LinkPhase, LinkTrouble
from kioskd.core.machine import State, effects_of_policy, levels, step
from kioskd.core.policy import Policy
from kioskd.errors import Remedy

Builder = Callable[..., State]
LinkBuilder = Callable[..., Link]


def fields_of(kind: type) -> set[str]:
    """Return the names of the event's fields."""
    return {field.name for field in fields(kind)}


# Events of other epochs


@pytest.mark.parametrize("epoch", [EPOCH - 1, EPOCH + 1])
def test_events_of_another_epoch_are_dropped(epoch: int) -> None:
    reports = [event for event in every_event(epoch) if hasattr(event, "epoch")]
    states = [state for state in EVERY_STATE if state.link.epoch == EPOCH]
    assert {type(report) for report in reports} == {
        kind for kind in get_args(Event) if "epoch" in fields_of(kind)
    }
    for state, event, policy in product(states, reports, EVERY_POLICY):
        assert step(state, event, policy) == (state, ())


def test_a_late_report_of_a_loss_does_not_end_the_new_connection() -> None:
    state, effects = run(listening(up(handle=HANDLE)), lost(), lost())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]
    assert (state.link.phase, state.link.tries) == (LinkPhase.DIALING, 1)


# Rules that join both machines


def test_waking_dials_a_fresh_session() -> None:
    state, effects = run(asleep(), Pressed())
    assert state.link == dialing(epoch=EPOCH + 1)
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


@pytest.mark.parametrize("builder", REACHED_FOR)
def test_falling_asleep_hangs_up_and_forgets_the_session(builder: LinkBuilder) -> None:
    state, effects = run(
        listening(builder(handle=HANDLE, tries=0, rollovers_in_a_row=2, renewed=True)), Pressed()
    )
    assert state.link == down()
    assert of_type(HangUp, effects) == [HangUp()]


def test_a_new_visitor_gets_a_fresh_session() -> None:
    _, effects = run(listening(up(handle=HANDLE)), TimerFired(Timer.IDLE), Pressed())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]


@pytest.mark.parametrize("remedy", REFUSALS)
@pytest.mark.parametrize("builder", AWAKE)
@pytest.mark.parametrize("link", [dialing(), up(), draining()])
def test_refused_settings_end_the_conversation_and_show_a_fault(
    remedy: Remedy, builder: Builder, link: Link
) -> None:
    state, effects = run(builder(link), lost(remedy))
    assert (state.turn.phase, state.link) == (turns.TurnPhase.ASLEEP, down(trouble=LinkTrouble.REFUSED))
    assert of_type(HangUp, effects) == [HangUp()]
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.FAULT


def test_refused_settings_silence_the_present_reply() -> None:
    assert of_type(Flush, run(speaking(reply=4), lost(Remedy.SETTINGS))[1]) == [Flush(4)]


def test_settings_refused_again_end_the_next_conversation_too() -> None:
    state, _ = run(listening(dialing()), lost(Remedy.SETTINGS), Pressed(), lost(Remedy.SETTINGS, EPOCH + 1))
    assert (state.turn.phase, state.link.phase) == (turns.TurnPhase.ASLEEP, LinkPhase.DOWN)
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.FAULT


def test_a_wake_after_a_refusal_dials_and_hides_the_fault() -> None:
    state, effects = run(refused(), Pressed())
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, None)]
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.WAKING


def test_a_connection_ends_the_fault() -> None:
    state, _ = run(refused(), Pressed(), ConnectionUp(EPOCH + 1, resumed=False), Pressed())
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.ASLEEP


# Probes


@pytest.mark.parametrize("remedy", Remedy)
def test_a_failed_probe_hangs_up_and_sets_the_timer_for_the_next(remedy: Remedy) -> None:
    state, effects = run(probing(), lost(remedy))
    fails = remedy not in (Remedy.SETTINGS, Remedy.STOP, Remedy.CREDENTIALS)
    assert state == (refused(wrong=frozenset({links.CODES[remedy]})) if fails else refused())
    assert effects[:2] == [HangUp(), SetTimer(Timer.PROBE, HALF_DUPLEX.refused_s)]


def test_an_accepted_probe_hangs_up_and_ends_the_fault() -> None:
    state, effects = run(probing(), ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert state == asleep()
    assert effects == [HangUp(), ShowStatus(KioskStatus.ASLEEP)]


def test_a_press_during_a_probe_uses_its_dial() -> None:
    state, effects = run(probing(), Pressed(), ConnectionUp(EPOCH, resumed=False), policy=GREETING)
    assert of_type(Dial, effects) + of_type(HangUp, effects) == []
    assert of_type(Greet, effects) == [Greet()]
    assert (state.turn.phase, state.link) == (turns.TurnPhase.THINKING, up())


def test_a_probe_is_neither_shown_nor_heard() -> None:
    _, effects = run(refused(), TimerFired(Timer.PROBE))
    assert effects == [Dial(EPOCH + 1, None), CancelTimer(Timer.PROBE)]


def test_a_conversation_ended_before_a_connection_leaves_the_fault() -> None:
    state, _ = run(refused(), Pressed(), Pressed())
    assert state.link == down(epoch=EPOCH + 1, trouble=LinkTrouble.REFUSED)
    assert levels(state, HALF_DUPLEX).shown is KioskStatus.FAULT


# Another policy at run time


def test_another_policy_changes_only_the_levels() -> None:
    patient = Policy(idle_s=99.0, half_duplex=False)
    assert effects_of_policy(listening(), HALF_DUPLEX, patient) == (SetTimer(Timer.IDLE, 99.0),)
    assert effects_of_policy(speaking(), HALF_DUPLEX, patient) == (SetUplink(UplinkGate.SEND),)
    assert effects_of_policy(asleep(), HALF_DUPLEX, ALWAYS_ON) == (SetTimer(Timer.AGAIN, ALWAYS_ON.again_s),)
    assert effects_of_policy(asleep(), ALWAYS_ON, HALF_DUPLEX) == (CancelTimer(Timer.AGAIN),)


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_the_same_policy_again_changes_nothing(policy: Policy) -> None:
    for state in EVERY_STATE:
        assert effects_of_policy(state, policy, policy) == ()


# Order


def test_a_press_silences_the_reply_before_it_does_anything_else() -> None:
    state, effects = run(speaking(reply=4), Pressed(), policy=FULL_DUPLEX)
    assert state.turn.phase is turns.TurnPhase.LISTENING
    assert effects == [Flush(4), SetTimer(Timer.IDLE, FULL_DUPLEX.idle_s), ShowStatus(KioskStatus.LISTENING)]


def test_a_press_in_half_duplex_silences_first_and_opens_the_gate_when_the_room_is_quiet() -> None:
    assert run(speaking(reply=4), Pressed(), TimerFired(Timer.TAIL))[1] == [
        Flush(4),
        SetTimer(Timer.TAIL, HALF_DUPLEX.tail_s),
        CancelTimer(Timer.TAIL),
        SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s),
        SetUplink(UplinkGate.SEND),
        ShowStatus(KioskStatus.LISTENING),
    ]


def test_a_wake_dials_first_and_shows_its_status_last() -> None:
    assert run(asleep(), Pressed())[1] == [
        Dial(EPOCH + 1, None),
        Chime(Cue.WAKE),
        SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s),
        SetTimer(Timer.LONGEST, HALF_DUPLEX.longest_s),
        SetUplink(UplinkGate.HOLD),
        SetSpeaker(ready=True),
        ShowStatus(KioskStatus.WAKING),
    ]


def test_the_greeting_is_requested_before_speech_is_sent() -> None:
    assert run(listening(dialing()), ConnectionUp(EPOCH, resumed=False), policy=GREETING)[1] == [
        Greet(),
        CancelTimer(Timer.IDLE),
        SetTimer(Timer.THINK, GREETING.think_s),
        SetTimer(Timer.AGE, GREETING.age_s),
        SetUplink(UplinkGate.SEND),
        ShowStatus(KioskStatus.THINKING),
    ]


ORDER: tuple[tuple[type, ...], ...] = (
    (Flush, Confirm),
    (Dial, HangUp),
    (Greet,),
    (TakeSnapshot,),
    (StopPrompt,),
    (Chime,),
    (Prompt, AskConfirmation, Announce),
    (CancelTimer,),
    (SetTimer,),
    (SetMute,),
    (SetUplink,),
    (SetCamera,),
    (SetSpeaker,),
    (Duck,),
    (KeepHandle, ForgetHandle),
    (ShowStatus,),
)


def test_effects_come_in_the_same_order_in_every_state() -> None:
    for state, event, policy in product(EVERY_STATE, every_event(), EVERY_POLICY):
        _, effects = step(state, event, policy)
        ranks = [
            next(rank for rank, kinds in enumerate(ORDER) if isinstance(effect, kinds)) for effect in effects
        ]
        assert ranks == sorted(ranks)


# Secrets


def test_no_repr_of_a_state_or_effect_holds_the_handle() -> None:
    state, effects = run(listening(), HandleIssued(EPOCH, HANDLE), lost())
    assert state.link.handle == HANDLE
    assert of_type(KeepHandle, effects)
    told = (HandleIssued(EPOCH, HANDLE), Restored(7, HANDLE))
    assert HANDLE.get_secret_value() not in f"{state!r} {state} {effects!r} {told!r}"
