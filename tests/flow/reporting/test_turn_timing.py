"""Turn timing: the wait runs from the visitor's last word to the first sound of the reply."""

import pytest

from kioskd.core.events import (
    ConnectionUp,
    Event,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    ReplySounded,
    SleepRequested,
    Started,
    TalkBegan,
    TalkEnded,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy, UplinkMode
from kioskd.flow.reporting.turn_timing import TurnTimes, TurnTiming

FULL_DUPLEX = Policy(half_duplex=False)
HALF_DUPLEX = Policy(half_duplex=True)
HELD = Policy(half_duplex=True, uplink_mode=UplinkMode.HELD)

Story = tuple[tuple[float, Event], ...]

AWAKE: Story = ((0.0, Started()), (10.0, Pressed()), (10.4, ConnectionUp(1, resumed=False)))
REPLY: Story = ((14.0, ReplyBegan(1, 1)), (14.25, ReplySounded(1)), (17.25, ReplyPlayed(1)))


def times(*story: tuple[float, Event], policy: Policy = FULL_DUPLEX) -> list[TurnTimes]:
    """Return the times of each turn in a series of events."""
    state, timing, found = State(), TurnTiming(), []
    for now, event in story:
        before = state
        state, _ = step(before, event, policy)
        if (turn := timing.observe(now, event, before, state)) is not None:
            found.append(turn)
    return found


def heard(spoke: float | None, first_byte: float | None, waited: float | None) -> list[TurnTimes]:
    return [TurnTimes(spoke, first_byte, waited, reply=3.0, ended="heard")]


@pytest.mark.parametrize("policy", [FULL_DUPLEX, HALF_DUPLEX])
def test_a_wait_begins_with_the_visitors_last_word(policy: Policy) -> None:
    said = ((11.0, VoiceBegan()), (13.5, VoiceEnded(late_s=0.5)))
    assert times(*AWAKE, *said, *REPLY, policy=policy) == heard(2.0, 1.0, 1.25)


@pytest.mark.parametrize("policy", [FULL_DUPLEX, HALF_DUPLEX])
def test_a_reply_that_begins_before_the_end_of_speech_is_sure_has_a_wait_too(policy: Policy) -> None:
    began, sounded, played = REPLY
    told = (14.5, VoiceEnded(late_s=1.5))
    assert times(*AWAKE, (11.0, VoiceBegan()), began, sounded, told, played, policy=policy) == heard(
        2.0, 1.0, 1.25
    )


def test_a_reply_that_begins_while_the_visitor_speaks_has_no_wait() -> None:
    began, sounded, played = REPLY
    told = (14.5, VoiceEnded(late_s=0.25))
    assert times(*AWAKE, (11.0, VoiceBegan()), began, sounded, told, played) == heard(None, None, None)


def test_with_push_to_talk_the_wait_begins_when_the_button_is_released() -> None:
    talk = ((11.0, TalkBegan()), (11.5, VoiceBegan()), (12.5, VoiceEnded(0.5)), (13.0, TalkEnded()))
    began, sounded, played = REPLY
    late = (14.5, VoiceEnded(late_s=0.5))
    assert times(*AWAKE, *talk, began, sounded, late, played, policy=HELD) == heard(2.0, 1.0, 1.25)


def test_a_reply_that_the_held_button_silences_unheard_leaves_no_time() -> None:
    stray = ((11.0, TalkBegan()), (11.5, ReplyBegan(1, 1)), (11.6, ReplySounded(1)), (13.0, TalkEnded()))
    (began, sounded, played) = ((14.0, ReplyBegan(1, 2)), (14.25, ReplySounded(2)), (17.25, ReplyPlayed(2)))
    assert times(*AWAKE, *stray, began, sounded, played, policy=HELD) == heard(2.0, 1.0, 1.25)


def test_speech_during_a_reply_does_not_change_the_wait_for_it() -> None:
    began, sounded, played = REPLY
    into = ((15.0, VoiceBegan()), (16.0, VoiceEnded(late_s=0.6)))
    said = ((11.0, VoiceBegan()), (13.5, VoiceEnded(late_s=0.5)))
    assert times(*AWAKE, *said, began, sounded, *into, played) == heard(2.0, 1.0, 1.25)


def test_an_unasked_reply_has_no_wait() -> None:
    said = ((11.0, VoiceBegan()), (13.5, VoiceEnded(late_s=0.5)))
    again = ((20.0, ReplyBegan(1, 2)), (20.0, ReplySounded(2)), (23.0, ReplyPlayed(2)))
    assert times(*AWAKE, *said, *REPLY, *again)[1:] == heard(None, None, None)


@pytest.mark.parametrize(
    ("event", "ended"),
    [
        (ReplyPlayed(1), "heard"),
        (ReplyInterrupted(1, 1), "interrupted"),
        (TalkBegan(), "interrupted"),
        (Pressed(), "silenced"),
        (ReplySilenced(), "silenced"),
        (SleepRequested(), "asleep"),
    ],
)
def test_a_turn_records_how_its_reply_ended(event: Event, ended: str) -> None:
    assert [turn.ended for turn in times(*AWAKE, *REPLY[:-1], (15.0, event))] == [ended]


def test_an_interruption_begins_the_next_turn() -> None:
    into = ((15.0, VoiceBegan()), (15.5, ReplyInterrupted(1, 1)), (17.5, VoiceEnded(late_s=0.5)))
    answer = ((18.0, ReplyBegan(1, 2)), (18.0, ReplySounded(2)), (21.0, ReplyPlayed(2)))
    assert times(*AWAKE, *REPLY[:-1], *into, *answer)[1:] == heard(2.0, 1.0, 1.0)
