"""One line for each turn and each end, with the times an owner would ask for, and nothing of what was said."""

import logging
from typing import Any

import pytest
from pydantic import SecretStr

from kioskd.core.effects import Shown
from kioskd.core.events import (
    Device,
    DeviceCame,
    Event,
    HandleIssued,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySounded,
    Started,
    Timer,
    TimerFired,
    Up,
    VoiceBegan,
    VoiceEnded,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.flow.journal import STATUS, Journal

POLICY = Policy(half_duplex=False)


class Told:
    """A journal that is told a story, event by event."""

    def __init__(self) -> None:
        self.state = State()
        self.journal = Journal()

    def tell(self, *story: tuple[float, Event]) -> None:
        for now, event in story:
            before = self.state
            self.state, effects = step(before, event, POLICY)
            self.journal.observe(now, event, before, self.state, effects)


AWAKE = ((0.0, Started()), (10.0, Pressed()), (10.4, Up(1, resumed=False)))
TURN = (
    (11.0, VoiceBegan()),
    (13.5, VoiceEnded()),
    (14.25, ReplyBegan(1, 1)),
    (14.5, ReplySounded(1)),
    (17.5, ReplyPlayed(1)),
)


def info(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


def fields(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record)["fields"] for record in caplog.records if "fields" in vars(record)]


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_a_turn_is_one_line_with_its_times(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, *TURN)

    assert info(caplog) == [
        "conversation began: number=1 cause=pressed",
        "uplink open: waited=0.40s",
        "turn 1: spoke=2.50s first_byte=0.75s waited=1.00s reply=3.00s ended=heard",
    ]
    assert fields(caplog) == [{"conversation": 1, "turn": 1, "waited_ms": 1000, "reply_ms": 3000}]


def test_the_end_of_a_conversation_is_one_line_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, *TURN, (37.5, TimerFired(Timer.IDLE)))

    assert info(caplog)[-1] == "conversation ended: number=1 turns=1 lasted=27.5s cause=idle"
    assert fields(caplog)[-1] == {"conversation": 1, "cause": "idle"}


def test_a_silenced_reply_says_so(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, *TURN[:-1], (15.0, Pressed()))

    assert info(caplog)[-1] == "turn 1: spoke=2.50s first_byte=0.75s waited=1.00s reply=0.50s ended=silenced"


def test_an_interrupted_reply_says_so_and_the_next_turn_knows_when_the_voice_began(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN[:-1], (15.0, VoiceBegan()), (15.5, ReplyInterrupted(1, 1)))
    assert info(caplog)[-1].endswith("ended=interrupted")

    told.tell((17.0, VoiceEnded()), (18.0, ReplyBegan(1, 2)), (18.0, ReplySounded(2)), (19.0, ReplyPlayed(2)))

    assert info(caplog)[-1] == "turn 2: spoke=2.00s first_byte=1.00s waited=1.00s reply=1.00s ended=heard"


def test_a_reply_that_nobody_asked_for_has_waited_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (11.0, ReplyBegan(1, 1)), (11.2, ReplySounded(1)), (13.2, ReplyPlayed(1)))

    assert info(caplog)[-1] == "turn 1: spoke=- first_byte=- waited=- reply=2.00s ended=heard"
    assert fields(caplog) == [{"conversation": 1, "turn": 1, "reply_ms": 2000}]


def test_times_of_one_turn_do_not_leak_into_the_next(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN)

    told.tell((20.0, ReplyBegan(1, 2)), (20.0, ReplySounded(2)), (21.0, ReplyPlayed(2)))

    assert info(caplog)[-1] == "turn 2: spoke=- first_byte=- waited=- reply=1.00s ended=heard"


def test_conversations_are_counted_and_their_turns_anew(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN, (20.0, Pressed()))
    told.tell((30.0, Pressed()), (31.0, Up(2, resumed=False)), (40.0, Pressed()))

    assert info(caplog)[-3:] == [
        "conversation began: number=2 cause=pressed",
        "uplink open: waited=1.00s",
        "conversation ended: number=2 turns=0 lasted=10.0s cause=pressed",
    ]


def test_a_redial_in_mid_conversation_is_not_told_as_a_wait(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, (11.0, TimerFired(Timer.AGE)), (11.0, Up(2, resumed=True)))

    assert told.state.link.open
    assert sum("uplink open" in message for message in info(caplog)) == 1


def test_nothing_secret_is_in_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (10.5, HandleIssued(1, SecretStr("a-handle"))), *TURN)

    assert "a-handle" not in caplog.text


def test_a_part_that_comes_is_no_line_of_this_journal(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell((0.0, DeviceCame(Device.MICROPHONE)))

    assert info(caplog) == []


def test_every_state_has_its_words() -> None:
    assert STATUS.keys() == set(Shown)
    assert len(set(STATUS.values())) == len(Shown)
