"""The journal: a line for each turn and each end, with the times that matter, and without the words."""

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
    """A journal that gets a series of events."""

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
        (
            "turn 1: the visitor spoke 2.5 s, waited 1.0 s for the answer, "
            "the answer lasted 3.0 s and was heard to its end"
        ),
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
def test_the_line_of_a_reply_that_was_cut_short_gives_the_cause(
    caplog: pytest.LogCaptureFixture, event: Event, ended: str
) -> None:
    Told().tell(*AWAKE, *TURN[:-1], (15.0, event))

    assert (
        f"turn 1: the visitor spoke 2.5 s, waited 1.0 s for the answer, the answer lasted 0.5 s until {ended}"
    ) in info(caplog)


def test_after_an_interruption_the_next_turn_knows_when_the_voice_began(
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


def test_an_unasked_reply_has_no_waiting_time(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (11.0, ReplyBegan(1, 1)), (11.2, ReplySounded(1)), (13.2, ReplyPlayed(1)))

    assert info(caplog)[-1] == "turn 1: the answer lasted 2.0 s and was heard to its end"
    assert fields(caplog)[-1] == {"conversation": 1, "turn": 1, "cause": "heard", "reply_ms": 2000}


def test_times_of_one_turn_do_not_leak_into_the_next(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN)

    told.tell((20.0, ReplyBegan(1, 2)), (20.0, ReplySounded(2)), (21.0, ReplyPlayed(2)))

    assert info(caplog)[-1] == "turn 2: the answer lasted 1.0 s and was heard to its end"


def test_conversations_are_numbered_and_their_turns_start_from_one(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, *TURN, (20.0, Pressed()))
    told.tell((30.0, Pressed()), (31.0, ConnectionUp(2, resumed=False)), (40.0, Pressed()))

    assert info(caplog)[-3:] == [
        "conversation began: number=2 cause=pressed",
        "uplink open: waited=1.00s",
        "conversation ended: number=2 turns=0 lasted=10.0s cause=pressed",
    ]


def test_a_cause_of_several_words_is_readable(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (20.0, SleepRequested()))

    assert fields(caplog)[-1]["cause"] == "sleep_asked"


def test_a_redial_during_a_conversation_is_not_logged_as_a_wait(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, (11.0, TimerFired(Timer.AGE)), (11.0, ConnectionUp(2, resumed=True)))

    assert told.state.link.open
    assert sum("uplink open" in message for message in info(caplog)) == 1


def test_the_journal_holds_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, (10.5, HandleIssued(1, SecretStr("a-handle"))), *TURN)

    assert "a-handle" not in caplog.text


def test_a_device_that_comes_gets_no_line_from_this_journal(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell((0.0, DeviceCame(Device.MICROPHONE)))

    assert info(caplog) == []


def test_an_unanswered_visitor_has_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell(*AWAKE, *TURN[:2], (25.5, TimerFired(Timer.THINK)))

    assert info(caplog)[-1] == "turn 1: the visitor spoke 2.5 s and got no answer"
    assert fields(caplog)[-1]["cause"] == "unanswered"


# More than three turns in a minute


def turns(count: int, *, at: float, every: float = 5.0) -> list[tuple[float, Event]]:
    """Return `count` turns. The visitor waits 1 s for the first answer, and 0.1 s more for each next one."""
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


def test_turns_without_a_line_are_summed_up_when_the_conversation_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Told().tell(*AWAKE, *turns(5, at=20.0), (50.0, Pressed()))

    assert info(caplog)[-2:] == [
        "2 more turns in the last minute: the visitor waited 1.3 s in the median, 1.4 s at most",
        "conversation ended: number=1 turns=5 lasted=40.0s cause=pressed",
    ]


def test_the_throttle_holds_back_no_turn_of_a_person(
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


# Fields that all lines have


def test_all_lines_have_state_conversation_turn_and_epoch() -> None:
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


def test_only_lines_about_a_present_person_are_marked_as_a_visitors(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*AWAKE, (11.0, ReplyBegan(1, 1)), (11.2, ReplySounded(1)), (13.2, ReplyPlayed(1)), *TURN)
    told.tell((20.0, Pressed()), (30.0, Woken(WakeCause.VOICE)), (40.0, Pressed()))

    there = {
        record.getMessage().partition(":")[0]: getattr(record, "visitor", False)
        for record in caplog.records
        if record.levelno >= logging.INFO and ("began" in record.msg or "turn" in record.msg)
    }
    assert there == {
        "conversation began": False,  # the last of two; a noise can count as a voice
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


def test_a_trouble_is_one_line_with_its_id_until_it_is_mended(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell(*OUTAGE, (12.0, TimerFired(Timer.RETRY)), (12.1, lost(4)), (15.0, TimerFired(Timer.RETRY)))
    assert troubles(caplog) == [
        ("W1", "out of order: code=W1 the service cannot be reached; check the network")
    ]

    told.tell((15.5, ConnectionUp(5, resumed=False)))
    assert troubles(caplog)[1:] == [("mended", "in order again: code=W1 after=5s")]


def test_an_outage_over_several_conversations_is_logged_once(
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


def test_a_fault_of_the_settings_has_its_id(caplog: pytest.LogCaptureFixture) -> None:
    Told().tell((0.0, Started()), (10.0, Pressed()), (10.1, lost(1, Remedy.SETTINGS)))

    assert [code for code, _ in troubles(caplog)] == ["K1"]


def test_a_kiosk_that_closes_and_opens_says_why_and_until_when(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.tell((0.0, Started()), (1.0, Closing(Code.HOURS, "07:00")), (3.0, Closing(None)))

    assert info(caplog) == [
        "closed: code=B2 quiet hours; it opens at 07:00",
        "the kiosk is open again: code=B2 after=2s",
    ]


def test_a_kiosk_that_stays_closed_for_another_reason_is_not_called_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()
    told.tell((0.0, Started()), (1.0, Closing(Code.BUDGET, "00:00")), (3.0, Closing(Code.HOURS, "07:00")))

    assert [code for code, _ in troubles(caplog)] == ["B1", "B2"]
    assert "open again" not in caplog.text


def test_failing_storage_is_one_line_with_its_place_until_it_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = StorageFailed("No space left on device", "/state")
    Told().tell((0.0, Started()), (1.0, full), (2.0, Pressed()), (3.0, StorageFailed()))

    assert troubles(caplog) == [
        ("S1", f"out of order: code=S1 {WRONG[Code.STORAGE]}: /state: No space left on device"),
        ("mended", "in order again: code=S1 after=2s"),
    ]


# The status line


def test_every_state_has_a_text() -> None:
    assert STATUS.keys() == set(KioskStatus)
    assert len(set(STATUS.values())) == len(KioskStatus)


def test_every_code_has_a_text() -> None:
    assert WRONG.keys() == set(Code)


def test_the_status_names_faults_and_kept_records() -> None:
    gone = ShowStatus(KioskStatus.FAULT, Code.MICROPHONE, what="USB PnP")
    assert status(gone) == f"Out of order: {WRONG[Code.MICROPHONE]}: USB PnP (code D1)"
    assert status(ShowStatus(KioskStatus.ASLEEP)) == STATUS[KioskStatus.ASLEEP]
    full = ShowStatus(KioskStatus.ASLEEP, Code.STORAGE, what="No space left on device")
    assert status(full) == (
        "Asleep, ready for the next visitor; but volume, mute and the day's budget cannot be stored "
        "and would be lost at the next restart; check the disk: No space left on device (code S1)"
    )
    assert (
        status(ShowStatus(KioskStatus.ASLEEP), kept="transcripts")
        == f"{STATUS[KioskStatus.ASLEEP]}; stored: transcripts"
    )


def test_the_status_of_a_muted_kiosk_names_only_buttons_that_unmute_it() -> None:
    muted = status(ShowStatus(KioskStatus.MUTED))
    assert "kioskd unmute" in muted
    assert "press" not in muted, (
        "a press unmutes only with a button that does mute; others are held, or missing"
    )
