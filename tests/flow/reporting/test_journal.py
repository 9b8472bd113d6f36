"""One line for each turn and each end, with the times an owner would ask for, and nothing of what was said."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from kioskd import journal_ids
from kioskd.core.effects import KioskStatus, ShowStatus
from kioskd.core.events import (
    Closing,
    ConnectionLost,
    ConnectionUp,
    Device,
    DeviceCame,
    DeviceGone,
    Event,
    HandleIssued,
    Heartbeat,
    Pressed,
    ReplyBegan,
    ReplyInterrupted,
    ReplyPlayed,
    ReplySilenced,
    ReplySounded,
    SleepRequested,
    Started,
    StorageFailed,
    TalkBegan,
    TextSubmitted,
    Timer,
    TimerFired,
    VoiceBegan,
    VoiceEnded,
    WakeCause,
    Woken,
)
from kioskd.core.machine import State, step
from kioskd.core.policy import Policy
from kioskd.errors import Code, Remedy
from kioskd.flow.reporting.journal import STATUS, WRONG, Journal, status

POLICY = Policy(half_duplex=False)


class Told:
    """A journal that is told a story, event by event."""

    def __init__(self) -> None:
        self.state = State()
        self.surroundings: list[Mapping[str, object]] = []
        self.journal = Journal(self.surroundings.append)

    def tell(self, *story: tuple[float, Event]) -> None:
        for now, event in story:
            before = self.state
            self.state, effects = step(before, event, POLICY)
            self.journal.observe(now, event, before, self.state, effects)


AWAKE = ((0.0, Started()), (10.0, Pressed()), (10.4, ConnectionUp(1, resumed=False)))
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
        "turn 1: the visitor spoke 2.5 s, waited 1.0 s for the answer, the answer lasted 3.0 s and was heard to its end",
    ]
    assert fields(caplog) == [
        {"conversation": 1, "cause": "pressed"},
        {"waited_ms": 400},
        {
            "conversation": 1,
            "turn": 1,
            "cause": "heard",
            "spoke_ms": 2500,
            "first_byte_ms": 750,
            "waited_ms": 1000,
            "reply_ms": 3000,
        },
    ]


def test_the_end_of_a_conversation_is_one_line_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, *TURN, (37.5, TimerFired(Timer.IDLE)))

    assert info(caplog)[-1] == "conversation ended: number=1 turns=1 lasted=27.5s cause=idle"
    assert fields(caplog)[-1] == {"conversation": 1, "turns": 1, "lasted_ms": 27500, "cause": "idle"}


@pytest.mark.parametrize(
    ("event", "ended"),
    [
        (Pressed(), "a press or a command silenced it"),
        (ReplySilenced(), "a press or a command silenced it"),
        (TalkBegan(), "the visitor interrupted it"),
        (ReplyInterrupted(1, 1), "the visitor interrupted it"),
        (SleepRequested(), "the conversation ended"),
    ],
)
def test_a_reply_that_was_cut_short_says_by_whom(
    caplog: pytest.LogCaptureFixture, event: Event, ended: str
) -> None:
    Told().tell(*AWAKE, *TURN[:-1], (15.0, event))

    assert (
        f"turn 1: the visitor spoke 2.5 s, waited 1.0 s for the answer, the answer lasted 0.5 s until {ended}"
    ) in info(caplog)


def test_an_interrupted_reply_says_so_and_the_next_turn_knows_when_the_voice_began(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN[:-1], (15.0, VoiceBegan()), (15.5, ReplyInterrupted(1, 1)))
    assert info(caplog)[-1].endswith("until the visitor interrupted it")

    told.tell((17.0, VoiceEnded()), (18.0, ReplyBegan(1, 2)), (18.0, ReplySounded(2)), (19.0, ReplyPlayed(2)))

    assert info(caplog)[-1] == (
        "turn 2: the visitor spoke 2.0 s, waited 1.0 s for the answer, "
        "the answer lasted 1.0 s and was heard to its end"
    )


def test_a_reply_that_nobody_asked_for_has_waited_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (11.0, ReplyBegan(1, 1)), (11.2, ReplySounded(1)), (13.2, ReplyPlayed(1)))

    assert info(caplog)[-1] == "turn 1: the answer lasted 2.0 s and was heard to its end"
    assert fields(caplog)[-1] == {"conversation": 1, "turn": 1, "cause": "heard", "reply_ms": 2000}


def test_times_of_one_turn_do_not_leak_into_the_next(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN)

    told.tell((20.0, ReplyBegan(1, 2)), (20.0, ReplySounded(2)), (21.0, ReplyPlayed(2)))

    assert info(caplog)[-1] == "turn 2: the answer lasted 1.0 s and was heard to its end"


def test_conversations_are_counted_and_their_turns_anew(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN, (20.0, Pressed()))
    told.tell((30.0, Pressed()), (31.0, ConnectionUp(2, resumed=False)), (40.0, Pressed()))

    assert info(caplog)[-3:] == [
        "conversation began: number=2 cause=pressed",
        "uplink open: waited=1.00s",
        "conversation ended: number=2 turns=0 lasted=10.0s cause=pressed",
    ]


def test_a_cause_of_several_words_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (20.0, SleepRequested()))

    assert fields(caplog)[-1]["cause"] == "sleep_asked"


def test_a_redial_in_mid_conversation_is_not_told_as_a_wait(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, (11.0, TimerFired(Timer.AGE)), (11.0, ConnectionUp(2, resumed=True)))

    assert told.state.link.open
    assert sum("uplink open" in message for message in info(caplog)) == 1


def test_nothing_secret_is_in_the_journal(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (10.5, HandleIssued(1, SecretStr("a-handle"))), *TURN)

    assert "a-handle" not in caplog.text


def test_a_part_that_comes_is_no_line_of_this_journal(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell((0.0, DeviceCame(Device.MICROPHONE)))

    assert info(caplog) == []


def test_a_visitor_who_got_no_answer_has_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, *TURN[:2], (25.5, TimerFired(Timer.THINK)))

    assert info(caplog)[-1] == "turn 1: the visitor spoke 2.5 s and got no answer"
    assert fields(caplog)[-1]["cause"] == "unanswered"


# More than three turns in a minute


def turns(count: int, *, at: float, every: float = 5.0) -> list[tuple[float, Event]]:
    """Return so many turns; the visitor waits 1 s for the first answer, and 0.1 s longer for each one after it."""
    story: list[tuple[float, Event]] = []
    for number in range(count):
        began, waits = at + number * every, 1.0 + number / 10
        story += [
            (began, VoiceBegan()),
            (began + 1.0, VoiceEnded()),
            (began + 1.5, ReplyBegan(1, number + 1)),
            (began + 1.0 + waits, ReplySounded(number + 1)),
            (began + 2.0 + waits, ReplyPlayed(number + 1)),
        ]
    return story


def turn_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in info(caplog) if "turn" in line and "conversation" not in line]


def test_more_than_three_turns_in_a_minute_are_summed_up_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    told.tell(*AWAKE, *turns(10, at=20.0))
    assert [line.split(":")[0] for line in turn_lines(caplog)] == ["turn 1", "turn 2", "turn 3"]

    told.tell((82.9, Heartbeat(1)))
    assert len(turn_lines(caplog)) == 3
    told.tell((83.1, Heartbeat(2)))

    assert turn_lines(caplog)[3:] == [
        "7 more turns in the last minute: the visitor waited 1.6 s in the median, 1.9 s at most"
    ]
    assert fields(caplog)[-1] == {"turns": 7, "median_ms": 1600, "longest_ms": 1900}


def test_the_next_minute_has_three_lines_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, *turns(4, at=20.0), *turns(3, at=100.0))

    assert [line.split(":")[0] for line in turn_lines(caplog)] == [
        *("turn 1", "turn 2", "turn 3", "1 more turn in the last minute", "turn 5", "turn 6", "turn 7")
    ]


def test_turns_that_have_no_line_yet_have_one_when_the_conversation_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Told().tell(*AWAKE, *turns(5, at=20.0), (50.0, Pressed()))

    assert info(caplog)[-2:] == [
        "2 more turns in the last minute: the visitor waited 1.3 s in the median, 1.4 s at most",
        "conversation ended: number=1 turns=5 lasted=40.0s cause=pressed",
    ]


def test_no_turn_of_a_person_is_held_back_with_what_repeats_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    typed: list[tuple[float, Event]] = [
        (20.0, TextSubmitted()),
        (21.0, ReplyBegan(1, 1)),
        (21.0, ReplySounded(1)),
        (22.0, ReplyPlayed(1)),
    ]
    Told().tell(*AWAKE, *typed)

    assert vars(caplog.records[-1])["visitor"] is True


# What holds for everybody's lines


def test_all_lines_are_told_their_state_conversation_turn_and_epoch() -> None:
    told = Told()
    told.tell(*AWAKE, *TURN, (37.5, TimerFired(Timer.IDLE)))

    assert told.surroundings == [
        {"state": "asleep"},
        {"state": "waking", "conversation": 1, "turn": 1, "epoch": 1},
        {"state": "listening", "conversation": 1, "turn": 1, "epoch": 1},
        {"state": "thinking", "conversation": 1, "turn": 1, "epoch": 1},
        {"state": "speaking", "conversation": 1, "turn": 1, "epoch": 1},
        {"state": "listening", "conversation": 1, "turn": 1, "epoch": 1},
        {"state": "listening", "conversation": 1, "turn": 2, "epoch": 1},
        {"state": "asleep"},
    ]


def test_only_lines_of_somebody_who_is_there_say_so(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, (11.0, ReplyBegan(1, 1)), (11.2, ReplySounded(1)), (13.2, ReplyPlayed(1)), *TURN)
    told.tell((20.0, Pressed()), (30.0, Woken(WakeCause.VOICE)), (40.0, Pressed()))

    there = {
        record.getMessage().partition(":")[0]: getattr(record, "visitor", False)
        for record in caplog.records
        if record.levelno >= logging.INFO and ("began" in record.msg or "turn" in record.msg)
    }
    assert there == {
        "conversation began": False,  # the last of two: a voice that may be any noise
        "turn 1": False,
        "turn 2": True,
        "conversation ended": False,
    }
    assert vars(next(record for record in caplog.records if "began" in record.msg))["visitor"] is True


# Trouble


def lost(epoch: int, remedy: Remedy = Remedy.RESUME) -> ConnectionLost:
    return ConnectionLost(epoch, remedy, jitter=1.0)


OUTAGE = (
    (0.0, Started()),
    (10.0, Pressed()),
    (10.1, lost(1)),
    (10.2, lost(2)),
    (10.7, TimerFired(Timer.RETRY)),
    (10.8, lost(3)),
)


def troubles(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    numbers = {number: f"{code}" for code, number in journal_ids.BY_CODE.items()} | {
        journal_ids.MENDED: "mended"
    }
    return [
        (numbers[vars(record)["message_id"]], record.getMessage())
        for record in caplog.records
        if vars(record).get("message_id") in numbers
    ]


def test_trouble_is_one_line_with_its_number_until_it_is_mended(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*OUTAGE, (12.0, TimerFired(Timer.RETRY)), (12.1, lost(4)), (15.0, TimerFired(Timer.RETRY)))
    assert troubles(caplog) == [
        ("W1", "out of order: code=W1 the service cannot be reached; check the network")
    ]

    told.tell((15.5, ConnectionUp(5, resumed=False)))
    assert troubles(caplog)[1:] == [("mended", "in order again: code=W1 after=5s")]


def test_an_outage_is_told_once_however_many_conversations_it_outlives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    told.tell(*OUTAGE, (30.0, Pressed()), (40.0, Pressed()))
    epoch = told.state.link.epoch
    told.tell((40.1, lost(epoch)), (40.2, lost(epoch + 1)), (41.0, TimerFired(Timer.RETRY)))

    assert [code for code, _ in troubles(caplog)] == ["W1"]


def test_another_trouble_is_another_line(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*OUTAGE, (12.0, TimerFired(Timer.RETRY)), (12.1, lost(4, Remedy.RESUME_LATER)))
    told.tell((13.0, DeviceGone(Device.MICROPHONE, "USB")), (14.0, DeviceCame(Device.MICROPHONE)))

    assert [code for code, _ in troubles(caplog)] == ["W1", "mended", "W2", "D1", "mended"]


def test_a_fault_of_the_settings_has_its_number(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell((0.0, Started()), (10.0, Pressed()), (10.1, lost(1, Remedy.SETTINGS)))

    assert [code for code, _ in troubles(caplog)] == ["K1"]


def test_a_kiosk_that_closes_and_opens_says_why_and_until_when(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell((0.0, Started()), (1.0, Closing(Code.HOURS, "07:00")), (3.0, Closing(None)))

    assert info(caplog) == [
        "closed: code=B2 quiet hours; it opens at 07:00",
        "open again: code=B2 after=2s",
    ]


def test_a_kiosk_that_stays_closed_for_another_reason_is_not_called_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    told.tell((0.0, Started()), (1.0, Closing(Code.BUDGET, "00:00")), (3.0, Closing(Code.HOURS, "07:00")))

    assert [code for code, _ in troubles(caplog)] == ["B1", "B2"]
    assert "open again" not in caplog.text


def test_what_cannot_be_kept_is_one_line_with_its_place_until_it_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = StorageFailed("No space left on device", "/state")
    Told().tell((0.0, Started()), (1.0, full), (2.0, Pressed()), (3.0, StorageFailed()))

    assert troubles(caplog) == [
        ("S1", f"out of order: code=S1 {WRONG[Code.STORAGE]}: /state: No space left on device"),
        ("mended", "in order again: code=S1 after=2s"),
    ]


# The status line


def test_every_state_has_its_words() -> None:
    assert STATUS.keys() == set(KioskStatus)
    assert len(set(STATUS.values())) == len(KioskStatus)


def test_every_code_has_its_words() -> None:
    assert WRONG.keys() == set(Code)


def test_the_status_says_what_is_wrong_and_what_is_kept() -> None:
    gone = ShowStatus(KioskStatus.FAULT, Code.MICROPHONE, what="USB PnP")
    assert status(gone) == f"Out of order: {WRONG[Code.MICROPHONE]}: USB PnP (code D1)"
    assert status(ShowStatus(KioskStatus.ASLEEP)) == STATUS[KioskStatus.ASLEEP]
    full = ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="No space left on device")
    assert status(full) == (
        "Asleep, ready for the next visitor; but volume, mute and the day's budget cannot be stored and would be "
        "lost at the next restart; check the disk: No space left on device (code S1)"
    )
    assert (
        status(ShowStatus(KioskStatus.ASLEEP), kept="transcripts")
        == f"{STATUS[KioskStatus.ASLEEP]}; stored: transcripts"
    )


def test_the_status_of_a_muted_kiosk_sends_nobody_to_a_button_that_does_not_unmute_it() -> None:
    muted = status(ShowStatus(KioskStatus.MUTED))
    assert "kioskd unmute" in muted
    assert "press" not in muted, (
        "a press unmutes only where the button does mute; else it is held, or there is none"
    )
