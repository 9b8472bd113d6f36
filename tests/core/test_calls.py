"""What the model has done: calls that hold it up, a leave it takes; and a visitor who speaks into all of it."""

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
    """Return the news that so many calls are being worked on."""
    return CallsChanged(epoch, pending, blocking)


# Calls


def test_a_model_that_waits_for_a_tool_is_not_taken_for_silent() -> None:
    state, _ = run(thinking(), calls(1))
    assert Timer.THINK not in levels(state, HALF_DUPLEX).timers
    _, effects = run(state, calls(0))
    assert of_type(SetTimer, effects) == [SetTimer(Timer.THINK, HALF_DUPLEX.think_s)]


def test_a_visitor_who_waits_for_a_tool_is_not_taken_for_gone() -> None:
    state, _ = run(listening(), calls(1))
    assert Timer.IDLE not in levels(state, HALF_DUPLEX).timers
    _, effects = run(state, calls(0))
    assert of_type(SetTimer, effects) == [SetTimer(Timer.IDLE, HALF_DUPLEX.idle_s)]


def test_no_connection_is_renewed_while_its_calls_are_worked_on() -> None:
    state, effects = run(listening(up(handle=HANDLE)), calls(2), GoingAway(EPOCH, left_s=50.0), calls(1))
    assert (state.link.phase, of_type(Dial, effects)) == (LinkPhase.DRAINING, [])
    assert of_type(Dial, run(state, calls(0))[1]) == [Dial(EPOCH + 1, HANDLE)]


@pytest.mark.parametrize("link", CONNECTED)
def test_what_is_said_while_a_tool_holds_the_model_up_is_held_back_as_it_would_void_the_call(
    link: LinkBuilder,
) -> None:
    held = levels(thinking(link(), calls=1, gated=True), FULL_DUPLEX)
    assert held.uplink is UplinkGate.HOLD
    assert held.timers[Timer.GATE] == FULL_DUPLEX.gate_s
    assert levels(thinking(link(), calls=1), FULL_DUPLEX).uplink is UplinkGate.SEND


def test_a_tool_keeps_the_visitor_waiting_only_so_long() -> None:
    state, _ = run(thinking(), calls(1, blocking=1))
    state, effects = run(state, TimerFired(Timer.GATE))
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.SEND)]
    assert (state.turn.calls, state.turn.gated) == (1, False)


def test_the_gate_opens_with_the_last_answer_that_was_waited_for() -> None:
    state, effects = run(thinking(), calls(2, blocking=1), calls(1, blocking=0))
    assert of_type(SetUplink, effects) == [SetUplink(UplinkGate.HOLD), SetUplink(UplinkGate.SEND)]
    assert state.turn.calls == 1


@pytest.mark.parametrize("builder", AWAKE)
def test_calls_of_a_connection_that_is_gone_are_forgotten_when_the_new_one_says_so(builder: Builder) -> None:
    state, _ = run(builder(), calls(2, blocking=1), calls(1, epoch=EPOCH - 1))
    assert (state.turn.calls, state.turn.gated) == (2, True)
    after = turn_after(State(state.turn, up(epoch=EPOCH + 1), started=True), calls(0, epoch=EPOCH + 1))
    assert (after.calls, after.gated) == (0, False)


def test_a_conversation_whose_calls_never_end_does() -> None:
    for builder in (listening, thinking):
        timers = levels(builder(calls=1, gated=True), HALF_DUPLEX).timers
        assert timers[Timer.LONGEST] == HALF_DUPLEX.longest_s


def test_calls_mean_nothing_to_one_asleep() -> None:
    assert run(asleep(), calls(1, blocking=1)) == (asleep(), [])


# Taking leave


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_the_conversation_ends_when_the_goodbye_was_heard(policy: Policy) -> None:
    state, effects = run(speaking(reply=4), EndRequested(EPOCH), TurnEnded(EPOCH), policy=policy)
    assert state.turn.awake
    state, effects = run(state, ReplyPlayed(4), policy=policy)
    assert not state.turn.awake
    assert of_type(Flush, effects) == []


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_a_goodbye_that_is_still_to_come_is_waited_for_and_heard(policy: Policy) -> None:
    state, _ = run(thinking(), EndRequested(EPOCH), policy=policy)
    assert levels(state, policy).timers[Timer.GRACE] == policy.farewell_s
    state, _ = run(state, ReplyBegan(EPOCH, 5), policy=policy)
    assert Timer.GRACE not in levels(state, policy).timers
    assert not turn_after(state, ReplyPlayed(5), policy=policy).awake


@pytest.mark.parametrize("builder", [listening, thinking])
def test_a_goodbye_that_does_not_come_is_waited_for_only_so_long(builder: Builder) -> None:
    assert not turn_after(builder(), EndRequested(EPOCH), TimerFired(Timer.GRACE)).awake


def test_a_leave_taken_while_the_room_rings_ends_soon_after() -> None:
    state, _ = run(reverberating(), EndRequested(EPOCH), TimerFired(Timer.TAIL))
    assert levels(state, HALF_DUPLEX).timers[Timer.GRACE] == HALF_DUPLEX.farewell_s


@pytest.mark.parametrize("builder", [listening, thinking])
@pytest.mark.parametrize("word", [VoiceBegan(), TalkBegan(), TextSubmitted()])
def test_a_visitor_who_has_more_to_say_is_not_left(builder: Builder, word: Event) -> None:
    assert turn_after(builder(leaving=True), word).leaving is False


@pytest.mark.parametrize("policy", [FULL_DUPLEX, BARGING_IN])
@pytest.mark.parametrize("word", [VoiceBegan(), TalkBegan(), TextSubmitted(), ReplyInterrupted(EPOCH, REPLY)])
def test_a_visitor_who_speaks_into_the_goodbye_is_not_left(word: Event, policy: Policy) -> None:
    state, _ = run(speaking(leaving=True), word, policy=policy)
    assert (state.turn.awake, state.turn.leaving) == (True, False)
    assert turn_after(state, ReplyPlayed(REPLY), policy=policy).awake


@pytest.mark.parametrize("policy", [HALF_DUPLEX, FULL_DUPLEX])
def test_what_the_model_has_begun_is_done_before_its_goodbye_ends_the_conversation(policy: Policy) -> None:
    state, _ = run(speaking(reply=4), calls(1), EndRequested(EPOCH), ReplyPlayed(4), policy=policy)
    state, _ = run(state, TimerFired(Timer.TAIL), policy=policy)
    assert state.turn.phase is TurnPhase.LISTENING
    assert not {Timer.GRACE, Timer.IDLE} & set(levels(state, policy).timers)
    state, _ = run(state, calls(0), policy=policy)
    assert state.turn.awake, "the model may have a word to say of it"
    assert levels(state, policy).timers[Timer.GRACE] == policy.farewell_s
    assert not turn_after(state, TimerFired(Timer.GRACE), policy=policy).awake


def test_a_word_on_what_was_done_after_the_goodbye_is_heard_and_ends_the_conversation() -> None:
    done = (calls(1), EndRequested(EPOCH), ReplyPlayed(4), calls(0))
    state, _ = run(speaking(reply=4), *done, ReplyBegan(EPOCH, 5), policy=FULL_DUPLEX)
    assert state.turn.phase is TurnPhase.SPEAKING
    assert not turn_after(state, ReplyPlayed(5), policy=FULL_DUPLEX).awake


def test_a_visitor_who_speaks_while_the_last_thing_is_being_done_is_not_left() -> None:
    state, _ = run(speaking(reply=4), calls(1), EndRequested(EPOCH), ReplyPlayed(4), policy=FULL_DUPLEX)
    state, _ = run(state, VoiceBegan(), calls(0), VoiceEnded(), policy=FULL_DUPLEX)
    assert (state.turn.awake, state.turn.farewell) == (True, False)


def test_a_farewell_to_a_call_that_never_ends_does() -> None:
    for builder in (listening, thinking):
        assert not turn_after(builder(leaving=True, calls=1), TimerFired(Timer.LONGEST)).awake


def test_nobody_takes_leave_of_one_asleep() -> None:
    assert run(asleep(), EndRequested(EPOCH)) == (asleep(), [])


# Speaking into a reply, by our own hearing


def test_a_voice_that_is_only_suspected_makes_the_reply_quieter() -> None:
    state, effects = run(speaking(), VoiceSuspected(suspected=True), policy=BARGING_IN)
    assert effects == [Duck(down=True)]
    assert run(state, VoiceSuspected(suspected=False), policy=BARGING_IN) == (
        speaking(),
        [Duck(down=False)],
    )


def test_a_voice_that_is_sure_silences_the_reply_and_has_the_word() -> None:
    state, effects = run(speaking(reply=4), VoiceSuspected(suspected=True), VoiceBegan(), policy=BARGING_IN)
    assert (state.turn.phase, state.turn.voice, state.turn.suspected) == (TurnPhase.LISTENING, True, False)
    assert of_type(Flush, effects) == [Flush(4)]
    assert of_type(Duck, effects) == [Duck(down=True), Duck(down=False)]
    assert levels(state, BARGING_IN).uplink is UplinkGate.SEND
    assert turn_after(state, VoiceEnded(), policy=BARGING_IN).phase is TurnPhase.THINKING


def test_a_voice_into_the_last_reply_ends_a_conversation_whose_time_is_up() -> None:
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
def test_nothing_stays_quieter_than_it_should(event: Event) -> None:
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
def test_where_no_voice_ends_a_reply_none_is_suspected(policy: Policy) -> None:
    assert run(speaking(), VoiceSuspected(suspected=True), policy=policy) == (speaking(), [])


@pytest.mark.parametrize("builder", [asleep, listening, thinking, reverberating])
def test_a_suspicion_outside_a_reply_means_nothing(builder: Builder) -> None:
    assert run(builder(), VoiceSuspected(suspected=True), policy=BARGING_IN) == (builder(), [])


def test_barge_in_works_through_an_outage_too() -> None:
    state, _ = run(speaking(waiting()), VoiceBegan(), policy=BARGING_IN)
    assert levels(state, BARGING_IN).uplink is UplinkGate.HOLD


def test_a_connection_is_left_in_the_quiet_moment_after_the_last_call() -> None:
    state, effects = run(listening(draining(handle=HANDLE), calls=1), calls(0))
    assert state.link.phase is LinkPhase.DIALING
    assert of_type(Dial, effects) == [Dial(EPOCH + 1, HANDLE)]
