"""All that is known of a rehearsal when it is over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kioskd.rehearsal.alignment import GateChange
from kioskd.rehearsal.arrivals import Arrivals
from kioskd.rehearsal.calls import NONE, CalledFunctions
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.fake_microphone import CapturedTrack, Utterance
from kioskd.rehearsal.fake_speaker import PlayedSound
from kioskd.rehearsal.pictures import ServicePicture


@dataclass(frozen=True, slots=True)
class RehearsalRecord:
    """All that is known of a rehearsal when it is over."""

    name: str
    start: float
    end: float
    notes: Sequence[LoggedEvent]
    track: CapturedTrack
    heard: PlayedSound
    gates: Sequence[GateChange]
    utterances: Sequence[tuple[str, Utterance]]
    """What the visitor said: `say` or `interrupt`, and where it is in the track."""
    received: Sequence[bytes | bytearray]
    """For each session, the sound that the service received."""
    arrivals: Arrivals
    shots: Sequence[ServicePicture]
    slow: Sequence[tuple[float, float]]
    """When the service read slowly, as the script had it."""
    preroll_frames: int
    after_frames: int
    """What is still sent when a talk button is let go."""
    stopped_in_s: float
    exit_code: int
    trouble: str | None
    called: CalledFunctions = NONE

    def find(self, by: str, what: str) -> list[LoggedEvent]:
        """Return the notes of one kind, in order."""
        return [note for note in self.notes if note.by == by and note.what == what]


def spans(record: RehearsalRecord, effect: str, field: str, value: object) -> Iterator[tuple[float, float]]:
    """Yield from when to when what an effect sets was so."""
    began: float | None = None
    for note in [*record.find("daemon", effect), LoggedEvent(record.end, "daemon", effect, {field: None})]:
        if note.data[field] == value:
            began = note.t if began is None else began
        elif began is not None:
            yield began, note.t
            began = None
