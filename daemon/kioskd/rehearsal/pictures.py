"""What became of the kiosk's pictures: which the service got, when, and which of them the model had before it."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.simulator.records import SessionRecord
from kioskd.simulator.script import ScriptedFault

SILENCE_S: Final = 2.0
"""Who has not spoken for so long has finished: the longest pause within a sentence is 1.5 s."""


@dataclass(frozen=True, slots=True)
class ServicePicture:
    """A picture at the service. Times are the clock's seconds."""

    at: float
    byte_count: int
    px: int | None
    """The longer side."""
    by_itself: bool
    """It was sent as a frame of video: nobody had asked for it."""
    seen: bool
    """The model had it before it when it answered."""
    same_turn: bool
    """... in an answer that the visitor waited for already when it came."""


def shots(sessions: Iterable[SessionRecord]) -> list[ServicePicture]:
    """Return all that the service got, in order of time."""
    found = []
    for session in sessions:
        for picture in session.pictures:
            turn = None if picture.turn is None else session.turns[picture.turn]
            late = turn is not None and (turn.kind == "answer" or turn.ended_at < picture.at)
            found.append(
                ServicePicture(
                    picture.at,
                    len(picture.data),
                    max(picture.size) if picture.size else None,
                    by_itself=picture.way == "realtime",
                    seen=turn is not None,
                    same_turn=late and picture.way == "answer",
                )
            )
    return sorted(found, key=lambda shot: shot.at)


CATCH_UP_S: Final = 1.0
"""How long the service goes on reading what had piled up."""


def slow_spans(
    notes: Sequence[LoggedEvent], faults: Sequence[ScriptedFault], end: float
) -> Iterator[tuple[float, float]]:
    """Yield when the service read slowly, as the script had it, and then what had piled up."""
    begun = [
        note.t
        for note in notes
        if note.by == "service" and note.what == "fault" and note.data["do"] == "read_slowly"
    ]
    lasting = [fault.lasts_s for fault in faults if fault.do == "read_slowly"]
    for began, lasts_s in itertools.zip_longest(begun, lasting[: len(begun)]):
        yield began, end if lasts_s is None else began + lasts_s + CATCH_UP_S


def within(moment: float, spans: Iterable[tuple[float, float]]) -> bool:
    """Return whether a moment is in one of the spans."""
    return any(began <= moment <= ended for began, ended in spans)
