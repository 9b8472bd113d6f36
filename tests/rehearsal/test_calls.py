"""Counts of the model's calls and of gaps in replies, from handmade records and events."""

from typing import Any, Literal

import pytest

from kioskd.rehearsal.capture import called_functions
from kioskd.rehearsal.event_log import EventSource, LoggedEvent
from kioskd.rehearsal.measures import reply_gaps_s, tools_at_once
from kioskd.simulator.records import CallRecord, SessionRecord

State = Literal["open", "answered", "cancelled", "given_up", "lost"]


def note(t: float, by: EventSource, what: str, **data: object) -> LoggedEvent:
    return LoggedEvent(t, by, what, data)


def session(*calls: CallRecord, strays: int = 0) -> SessionRecord:
    made = SessionRecord("session", "gemini-3.8-live", "developer")
    made.calls += calls
    made.unknown_answers += ["a stray"] * strays
    return made


def call(state: State, *answered_at: float) -> CallRecord:
    return CallRecord("an id", "stock", 1, 0.0, blocking=False, state=state, answered_at=list(answered_at))


def test_calls_are_counted_over_all_sessions() -> None:
    sessions = [
        session(call("answered", 1.0), call("cancelled")),
        session(call("lost"), call("answered", 2.0)),
    ]
    assert called_functions(sessions) == {
        "tool_calls": 4,
        "tools_answered": 2,
        "tools_cancelled": 1,
        "tool_faults": 0,
    }


def test_a_call_without_an_answer_or_with_two_and_an_answer_to_nothing_are_faults() -> None:
    sessions = [session(call("given_up"), call("answered", 1.0, 2.0), strays=1)]
    assert called_functions(sessions)["tool_faults"] == 3


@pytest.mark.parametrize(
    "ending",
    [
        note(2.0, "service", "tool_response", id="a"),
        note(2.0, "service", "tool_call_unanswered", id="a"),
        note(2.0, "service", "tool_call_cancelled", ids=["a"]),
        note(2.0, "daemon", "Lost"),
        note(2.0, "daemon", "Dial"),
    ],
    ids=lambda ending: ending.what,
)
def test_a_call_is_open_until_its_answer_or_the_end_of_its_connection(ending: LoggedEvent) -> None:
    first, second = (note(t, "service", "tool_call", id=name) for t, name in ((1.0, "a"), (3.0, "b")))
    assert tools_at_once([first, second]) == 2
    assert tools_at_once([first, ending, second]) == 1


def reply(came: float, began: float, heard: float, sent_s: float) -> list[LoggedEvent]:
    events: list[tuple[float, EventSource, str, dict[str, Any]]] = [
        (came, "daemon", "ReplyBegan", {"reply": 1, "epoch": 1}),
        (came + 0.2, "service", "reply_sent", {"sent_s": sent_s}),
        (began, "kiosk", "reply began", {"reply": 1}),
        (heard, "kiosk", "reply heard", {"reply": 1}),
    ]
    return [
        LoggedEvent(t, by, what, data) for t, by, what, data in sorted(events, key=lambda event: event[0])
    ]


def test_a_reply_that_takes_as_long_as_its_sound_has_no_gap() -> None:
    assert list(reply_gaps_s(reply(1.0, 1.1, 3.1, 2.0))) == [pytest.approx(0.0, abs=1e-9)]


def test_the_extra_time_of_a_reply_is_its_gaps() -> None:
    assert list(reply_gaps_s(reply(1.0, 1.1, 3.6, 2.0))) == [pytest.approx(0.5)]


def test_a_reply_that_was_not_sent_completely_has_no_measured_gaps() -> None:
    notes = [note for note in reply(1.0, 1.1, 3.1, 2.0) if note.what != "reply_sent"]
    assert list(reply_gaps_s(notes)) == []
