"""What became of the functions that the model called, and whether the sound went on meanwhile. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.simulator.records import SessionRecord


@dataclass(frozen=True, slots=True)
class CalledFunctions:
    """The calls of a whole rehearsal."""

    made: int = 0
    answered: int = 0
    cancelled: int = 0
    faults: int = 0
    """Answers that were missing, or too many, or for nothing that was called there."""


NONE: Final = CalledFunctions()


def called(sessions: Sequence[SessionRecord]) -> CalledFunctions:
    """Return what the service says of its calls."""
    calls = [call for session in sessions for call in session.calls]
    return CalledFunctions(
        made=len(calls),
        answered=sum(call.state == "answered" for call in calls),
        cancelled=sum(call.state == "cancelled" for call in calls),
        faults=sum(len(session.complaints) for session in sessions),
    )


def at_once(notes: Sequence[LoggedEvent]) -> int:
    """Return how many calls were open at the same time at most."""
    open_calls: set[object] = set()
    most = 0
    for note in notes:
        match note.by, note.what:
            case "service", "tool_call":
                open_calls.add(note.data["id"])
            case "service", "tool_response" | "tool_call_unanswered":
                open_calls.discard(note.data["id"])
            case "service", "tool_call_cancelled":
                ids = note.data["ids"]
                open_calls.difference_update(ids if isinstance(ids, list) else [])
            case "daemon", "Lost" | "Dial":
                open_calls.clear()  # an id means nothing on the next connection
        most = max(most, len(open_calls))
    return most


def reply_gaps_s(notes: Sequence[LoggedEvent]) -> Iterator[float]:
    """Yield for each reply that was heard to its end how much longer that took than its sound lasts: gaps in it."""
    sent = [(note.t, float(str(note.data["sent_s"]))) for note in notes if note.what == "reply_sent"]
    came: dict[object, float] = {}
    began: dict[object, float] = {}
    for note in notes:
        match note.by, note.what:
            case "daemon", "ReplyBegan":
                came[note.data["reply"]] = note.t
            case "kiosk", "reply began":
                began[note.data["reply"]] = note.t
            case "kiosk", "reply heard" if (reply := note.data["reply"]) in came and reply in began:
                lasts = next((seconds for t, seconds in sent if came[reply] <= t <= note.t), None)
                if lasts is not None:
                    yield max(0.0, note.t - began[reply] - lasts)
