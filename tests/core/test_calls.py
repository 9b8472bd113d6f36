"""Calls of the model, its farewell, and a visitor who speaks into either."""

from collections.abc import Callable

import pytest
from tests.support.core import (
    AWAKE,
    BARGING_IN,
    CONNECTED,
    EPOCH,
    FULL_DUPLEX,
    HALF_DUPLEX,
    HANDLE,
    HELD,
    REPLY,
    asleep,
    draining,
    listening,
    of_type,
    reverberating,
    run,
    speaking,
    thinking,
    turn_after,
    up,
    waiting,
)

from kioskd.core.effects import Dial, Duck, Flush, SetTimer, SetUplink, UplinkGate
from kioskd.core.events import (
    CallsChanged,
    EndRequested,
    Event,
    GoingAway,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    TalkBegan,
    TextSubmitted,
    Timer,
    TimerFired,
    TurnEnded,
    VoiceBegan,
    VoiceEnded,
    VoiceSuspected,
)
from kioskd.core.link_state import Link, LinkPhase
from kioskd.core.machine import State, levels
from kioskd.core.policy import Policy
from kioskd.core.turn import TurnPhase

Builder = Callable[..., State]
LinkBuilder = Callable[..., Link]


def calls(pending: int, blocking: int = 0, epoch: int = EPOCH) -> CallsChanged:
    """Return the report of how many calls are in progress."""
    return CallsChanged(epoch, pending, blocking)


# Calls


def test_a_model_that_waits_for_a_tool_does_not_count_as_silent() -> None:
    state, _ = run(thinking(), calls(1))
    assert Timer.THINK not in levels(state, HALF_DUPLEX).timers
    _, effects = run(state, calls(0))
    assert of_type(SetTimer, effects) == [SetTimer(Timer.THINK, HALF_DUPLEX.think_s)]


def test_a_visitor_who_waits_for_a_tool_does_not_count_as_idle() -> None:
    state, _ = run(listening(), calls(1))
    assert Timer.IDLE not in levels(state, HALF_DUPLEX).timers
    _, effects = run(state, calls(0))
    assert of_type(SetTimer, effects) == [SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s)]


def test_a_connection_is_not_replaced_while_its_calls_are_in_progress() -> None:
    state, effects = run(listening(up(handle=HANDLE)), calls(2), GoingAway(EPOCH, left_s=50.0), calls(1))
    assert (state.link.phase, of_type(Dial, effects)) == (LinkPhase.DRAINING, [])
    assert of_type(Dial, run(state, calls(0))[1]) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("link", CONNECTED)
def test_a_blocking_tool_holds_back_speech_which_would_void_the_call(
    link: LinkBuilder,
) -> None:
    held = levels(thinking(link(), calls=1, gated=True), FULL_DUPLEX)
    assert held.uplink is UplinkGate.HOLD
    assert held.timers[Timer.GATE] == FULL_DUPLEX.gate_s
    assert levels(thinking(link(), calls=1), FULL_DUPLEX).uplink is UplinkGate.SEND


def test_a_tool_holds_back_speech_only_until_the_gate_timer() -> None:
    state, _ = run(thinking(), calls(1, blocking=1))
    state, effects = run(state, TimerFired(Timer.GATE))
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND)]
    assert (state.turn.calls, state.turn.gated) == (1, False)


def test_the_gate_opens_with_the_last_blocking_answer() -> None:
    state, effects = run(thinking(), calls(2, blocking=1), calls(1, blocking=0))
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD), SetUplink(UplinkGate.SEND)]
    assert state.turn.calls == 1


@pytest.mark.parametrize("builder", AWAKE)
def test_a_new_connections_report_clears_the_calls_of_the_old_one(builder: Builder) -> None:
    state, _ = run(builder(), calls(2, blocking=1), calls(1, epoch=EPOCH - 1))
    assert (state.turn.calls, state.turn.gated) == (2, True)
    after = turn_after(State(state.turn, up(epoch=EPOCH + 1), started=True), calls(0, epoch=EPOCH + 1))
    assert (after.calls, after.gated) == (0, False)


def test_a_conversation_with_endless_calls_ends_after_its_longest_time() -> None:
    for builder in (listening, thinking):
        timers = levels(builder(calls=1, gated=True), HALF_DUPLEX).timers
        assert timers[Timer.LONGEST] == HALF_DUPLEX.longest_s


def test_calls_do_nothing_while_asleep() -> None:
    assert run(asleep(), calls(1, blocking=1)) == (asleep(), [])


# The farewell


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_the_conversation_ends_when_the_farewell_was_heard(policy: Policy) -> None:
    state, effects = run(speaking(reply=4), EndRequested(EPOCH), TurnEnded(EPOCH), policy=policy)
    assert state.turn.awake
    state, effects = run(state, ReplyPlayed(4), policy=policy)
    assert not state.turn.awake
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_a_farewell_still_to_come_is_heard_before_the_end(policy: Policy) -> None:
    state, _ = run(thinking(), EndRequested(EPOCH), policy=policy)
    assert levels(state, policy).timers[Timer.GRACE] == policy.farewell_s
    state, _ = run(state, ReplyBegan(EPOCH, 5), policy=policy)
    assert Timer.GRACE not in levels(state, policy).timers
    assert not turn_after(state, ReplyPlayed(5), policy=policy).awake


@pytest.mark.parametrize("builder", [listening, thinking])
def test_the_conversation_ends_if_the_farewell_does_not_come(builder: Builder) -> None:
    assert not turn_after(builder(), EndRequested(EPOCH), TimerFired(Timer.GRACE)).awake


def test_a_farewell_requested_during_reverberation_gets_its_time() -> None:
    state, _ = run(reverberating(), EndRequested(EPOCH), TimerFired(Timer.TAIL))
    assert levels(state, HALF_DUPLEX).timers[Timer.GRACE] == HALF_DUPLEX.farewell_s


@pytest.mark.parametrize("builder", [listening, thinking])
@pytest.mark.parametrize("word", [VoiceBegan(), TalkBegan(), TextSubmitted()])
def test_new_input_cancels_the_farewell(builder: Builder, word: Event) -> None:
    assert turn_after(builder(leaving=True), word).leaving is False


@pytest.mark.parametrize("policy", [FULL_DUPLEX, BARGING_IN])
@pytest.mark.parametrize("word", [VoiceBegan(), TalkBegan(), TextSubmitted(), ReplyInterrupted(EPOCH, REPLY)])
def test_speech_into_the_farewell_keeps_the_conversation(word: Event, policy: Policy) -> None:
    state, _ = run(speaking(leaving=True), word, policy=policy)
    assert (state.turn.awake, state.turn.leaving) == (True, False)
    assert turn_after(state, ReplyPlayed(REPLY), policy=policy).awake


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_calls_are_finished_before_the_farewell_ends_the_conversation(policy: Policy) -> None:
    state, _ = run(speaking(reply=4), calls(1), EndRequested(EPOCH), ReplyPlayed(4), policy=policy)
    state, _ = run(state, TimerFired(Timer.TAIL), policy=policy)
    assert state.turn.phase is TurnPhase.LISTENING
    assert not {Timer.GRACE, Timer.IDLE} & set(levels(state, policy).timers)
    state, _ = run(state, calls(0), policy=policy)
    assert state.turn.awake, "the model may want to speak about the result"
    assert levels(state, policy).timers[Timer.GRACE] == policy.farewell_s
    assert not turn_after(state, TimerFired(Timer.GRACE), policy=policy).awake


def test_a_reply_about_the_last_call_is_heard_before_the_end() -> None:
    done = (calls(1), EndRequested(EPOCH), ReplyPlayed(4), calls(0))
    state, _ = run(speaking(reply=4), *done, ReplyBegan(EPOCH, 5), policy=FULL_DUPLEX)
    assert state.turn.phase is TurnPhase.SPEAKING
    assert not turn_after(state, ReplyPlayed(5), policy=FULL_DUPLEX).awake


def test_speech_during_the_last_call_keeps_the_conversation() -> None:
    state, _ = run(speaking(reply=4), calls(1), EndRequested(EPOCH), ReplyPlayed(4), policy=FULL_DUPLEX)
    state, _ = run(state, VoiceBegan(), calls(0), VoiceEnded(), policy=FULL_DUPLEX)
    assert (state.turn.awake, state.turn.farewell) == (True, False)


def test_a_farewell_with_an_endless_call_ends_after_the_longest_time() -> None:
    for builder in (listening, thinking):
        assert not turn_after(builder(leaving=True, calls=1), TimerFired(Timer.LONGEST)).awake


def test_a_farewell_does_nothing_while_asleep() -> None:
    assert run(asleep(), EndRequested(EPOCH)) == (asleep(), [])


# Speaking into a reply, by local detection


def test_a_suspected_voice_makes_the_reply_quieter() -> None:
    state, effects = run(speaking(), VoiceSuspected(suspected=True), policy=BARGING_IN)
    assert effects == [Duck(down=True)]
    assert run(state, VoiceSuspected(suspected=False), policy=BARGING_IN) == (
        speaking(),
        [Duck(down=False)],
    )


def test_a_certain_voice_silences_the_reply_and_begins_the_visitors_turn() -> None:
    state, effects = run(speaking(reply=4), VoiceSuspected(suspected=True), VoiceBegan(), policy=BARGING_IN)
    assert (state.turn.phase, state.turn.voice, state.turn.suspected) == (TurnPhase.LISTENING, True, False)
    assert of_type(Flush, effects) == [Flush(4)]
    assert of_type(Duck, effects) == [Duck(down=True), Duck(down=False)]
    assert levels(state, BARGING_IN).uplink is UplinkGate.SEND
    assert turn_after(state, VoiceEnded(), policy=BARGING_IN).phase is TurnPhase.THINKING


def test_a_voice_into_the_last_reply_ends_a_conversation_in_overtime() -> None:
    state, effects = run(speaking(reply=4, overtime=True), VoiceBegan(), policy=BARGING_IN)
    assert (state.turn.awake, of_type(Flush, effects)) == (False, [Flush(4)])


@pytest.mark.parametrize(
    "event",
    [
        ReplyPlayed(REPLY),
        ReplyInterrupted(EPOCH, REPLY),
        ReplyBegan(EPOCH, REPLY + 1),
        Pressed(),
        ReplySilenced(),
        TalkBegan(),
    ],
)
def test_every_end_of_a_reply_restores_the_loudness(event: Event) -> None:
    state, effects = run(speaking(suspected=True), event, policy=BARGING_IN)
    assert (state.turn.suspected, of_type(Duck, effects)) == (False, [Duck(down=False)])


@pytest.mark.parametrize(
    "policy",
    [
        HALF_DUPLEX,
        FULL_DUPLEX,
        HELD,
        Policy(half_duplex=True, barge_in=True),
        Policy(half_duplex=False, barge_in=True, uplink_mode=HELD.uplink_mode),
    ],
)
def test_without_local_barge_in_a_suspicion_does_nothing(policy: Policy) -> None:
    assert run(speaking(), VoiceSuspected(suspected=True), policy=policy) == (speaking(), [])


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_a_suspicion_outside_a_reply_does_nothing(builder: Builder) -> None:
    assert run(builder(), VoiceSuspected(suspected=True), policy=BARGING_IN) == (builder(), [])


def test_barge_in_works_during_an_outage() -> None:
    state, _ = run(speaking(waiting()), VoiceBegan(), policy=BARGING_IN)
    assert levels(state, BARGING_IN).uplink is UplinkGate.HOLD


def test_a_draining_connection_is_replaced_after_the_last_call() -> None:
    state, effects = run(listening(draining(handle=HANDLE), calls=1), calls(0))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]
