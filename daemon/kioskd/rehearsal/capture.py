"""The record of a rehearsal: its events, its sounds, the data at the service, and the daemon's log lines."""

import bisect
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kioskd.media import pcm
from kioskd.ports import Clock
from kioskd.rehearsal.alignment import GateChange
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_microphone import CapturedTrack, Utterance
from kioskd.rehearsal.fake_speaker import PlayedSound
from kioskd.simulator.records import SessionRecord
from kioskd.simulator.script import ScriptedFault

CATCH_UP_S: Final = 1.0
"""Seconds for which the service reads its backlog after it read slowly."""

Span = tuple[float, float]
"""Start and end of a span of time, in the clock's seconds."""


class Arrivals:
    """Times of arrival of the visitor's sound at the simulator.

    As `poll` finds them, they are exact to some 10 ms.
    """

    def __init__(self, clock: Clock, received: Callable[[], int]) -> None:
        """`received` returns the number of bytes received so far."""
        self.times: list[float] = []
        self._totals: list[int] = []
        self._clock = clock
        self._received = received

    def poll(self) -> None:
        """Record the arrivals since the last poll."""
        total = self._received()
        if total > (self._totals[-1] if self._totals else 0):
            self.times.append(self._clock.now())
            self._totals.append(total)

    def time_of(self, frame: int) -> float | None:
        """Return the time of arrival of a frame, counted in order of arrival; None if no poll saw it."""
        at = bisect.bisect_left(self._totals, (frame + 1) * pcm.FRAME_BYTES)
        return self.times[at] if at < len(self.times) else None

    def longest_gap_s(self, spans: Iterable[Span]) -> float | None:
        """Return the longest time between two arrivals within one of `spans`; None if there are no two."""
        gaps = []
        for began, ended in spans:
            first, last = bisect.bisect_left(self.times, began), bisect.bisect_right(self.times, ended)
            gaps += [after - before for before, after in itertools.pairwise(self.times[first:last])]
        return max(gaps, default=None)


@dataclass(frozen=True, slots=True)
class ServicePicture:
    """A picture that the service received."""

    at: float
    """Seconds of the clock."""
    byte_count: int
    px: int | None
    """The longer side."""
    by_itself: bool
    """Whether it was sent without a request, as a frame of video."""
    seen: bool
    """Whether it was part of the model's context for an answer."""
    same_turn: bool
    """Whether that answer was due already when the picture came."""


def service_pictures(sessions: Iterable[SessionRecord]) -> list[ServicePicture]:
    """Return all pictures that the service received, in order of time."""
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
    return sorted(found, key=lambda picture: picture.at)


def slow_spans(notes: Sequence[LoggedEvent], faults: Sequence[ScriptedFault], end: float) -> Iterator[Span]:
    """Yield the spans in which the service, as scripted, read slowly and then read its backlog."""
    begun = [
        note.t
        for note in notes
        if note.by == "service" and note.what == "fault" and note.data["do"] == "read_slowly"
    ]
    lasting = [fault.lasts_s for fault in faults if fault.do == "read_slowly"]
    for began, lasts_s in itertools.zip_longest(begun, lasting[: len(begun)]):
        yield began, end if lasts_s is None else began + lasts_s + CATCH_UP_S


def called_functions(sessions: Sequence[SessionRecord]) -> dict[str, int]:
    """Return counts of the service's calls, by their names in the summary."""
    states = [call.state for session in sessions for call in session.calls]
    return {
        "tool_calls": len(states),
        "tools_answered": states.count("answered"),
        "tools_cancelled": states.count("cancelled"),
        "tool_faults": sum(len(session.complaints) for session in sessions),
    }


@dataclass(frozen=True, slots=True)
class RehearsalRecord:
    """All data of a rehearsal that is over."""

    name: str
    start: float
    end: float
    notes: Sequence[LoggedEvent]
    track: CapturedTrack
    heard: PlayedSound
    gates: Sequence[GateChange]
    utterances: Sequence[tuple[str, Utterance]]
    """Utterances of the visitor: `say` or `interrupt`, and the place in the track."""
    received: Sequence[bytes | bytearray]
    """Sound that the service received, for each session."""
    arrivals: Arrivals
    shots: Sequence[ServicePicture]
    slow: Sequence[Span]
    """Spans in which the service read slowly, as scripted."""
    preroll_frames: int
    after_frames: int
    """Frames that are still sent after a talk button is released."""
    stopped_in_s: float
    exit_code: int
    trouble: str | None
    called: Mapping[str, Any]
    """The counts of the service's calls, by their names in the summary."""

    def find(self, by: str, *what: str) -> list[LoggedEvent]:
        """Return the events of some kinds, in order."""
        return [note for note in self.notes if note.by == by and note.what in what]

    def spans(self, effect: str, field: str, value: object) -> Iterator[Span]:
        """Yield the spans in which `field` of the latest such effect was `value`."""
        began: float | None = None
        for note in [*self.find("daemon", effect), LoggedEvent(self.end, "daemon", effect, {field: None})]:
            if note.data[field] == value:
                began = note.t if began is None else began
            elif began is not None:
                yield began, note.t
                began = None

    def holds(self) -> Iterator[Span]:
        """Yield the spans in which a button was held."""
        ends = [note.t for note in self.find("visitor", "lets the button go")]
        for note in self.find("visitor", "holds the button"):
            yield note.t, min((t for t in ends if t >= note.t), default=self.end)

    def spoken(self, how: str | None = None) -> list[Span]:
        """Return the audible span of each utterance that was captured to its end; `how` selects one kind."""
        captured = sum(map(len, self.track.frames)) // pcm.SAMPLE_BYTES
        return [
            (self.track.time_of(utterance.onset), self.track.time_of(utterance.end))
            for kind, utterance in self.utterances
            if how in (None, kind) and utterance.end < captured
        ]


class _JournalKeeper(logging.Handler):
    """Log handler that keeps the text of each line. It passes on lines of the level that is logged anyway."""

    def __init__(self, lines: list[str], written_from: int) -> None:
        super().__init__(logging.INFO)
        self._lines = lines
        self._written_from = written_from

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())
        if record.levelno >= self._written_from:
            logging.getLogger().handle(record)


@contextlib.contextmanager
def kept_journal(lines: list[str]) -> Iterator[None]:
    """Append to `lines` each line that the daemon logs from INFO up during the block, whatever the log level.

    Run one rehearsal in a process at a time: the lines do not say to which rehearsal they belong.
    """
    logger = logging.getLogger("kioskd")
    level, propagate = logger.level, logger.propagate
    keeper = _JournalKeeper(lines, logger.getEffectiveLevel())
    logger.addHandler(keeper)
    logger.propagate = False
    logger.setLevel(min(logging.INFO, logger.getEffectiveLevel()))
    try:
        yield
    finally:
        logger.removeHandler(keeper)
        logger.propagate = propagate
        logger.setLevel(level)
