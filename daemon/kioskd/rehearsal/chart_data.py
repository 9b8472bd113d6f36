"""What the picture of a rehearsal shows: marks and bands, from its record. How they are drawn is `timeline`'s.

Colours are Okabe and Ito's, which colour-blind people tell apart; each band also says in words what it means.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kioskd.rehearsal import sound_detection
from kioskd.rehearsal.alignment import Gate
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.record import RehearsalRecord

BLUE, ORANGE, GREEN, RED, SKY, YELLOW, PURPLE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#F0E442", "#CC79A7",
)  # fmt: skip
INK: Final = "#222222"
PALE: Final = "#BBBBBB"

STATE_COLOURS: Final = {
    "starting": "#EEEEEE",
    "asleep": "#DDDDDD",
    "waking": YELLOW,
    "listening": SKY,
    "thinking": PURPLE,
    "speaking": ORANGE,
    "muted": "#777777",
    "closed": "#777777",
    "offline": RED,
    "fault": RED,
}
GATE_COLOURS: Final = {
    Gate.PREROLL: "#DDDDDD",
    Gate.PAUSED: "#DDDDDD",
    Gate.HOLD: YELLOW,
    Gate.SEND: SKY,
    Gate.SHUT: "#777777",
}
LEGEND: Final = {
    "asleep, pre-roll, pause": "#DDDDDD",
    "waking, dialing, hold": YELLOW,
    "listening, send": SKY,
    "thinking": PURPLE,
    "speaking": ORANGE,
    "offline, fault": RED,
    "muted, closed, uplink shut": "#777777",
    "connected, button held": GREEN,
}
GATE_WORDS: Final = {
    Gate.PREROLL: "pre-roll",
    Gate.PAUSED: "pause",
    Gate.HOLD: "hold",
    Gate.SEND: "send",
    Gate.SHUT: "shut",
}


@dataclass(frozen=True, slots=True)
class ChartSpan:
    """A stretch of a band, in seconds from the start."""

    began: float
    ended: float
    words: str
    colour: str


@dataclass(frozen=True, slots=True)
class ChartMark:
    """A moment, in seconds from the start."""

    t: float
    words: str
    colour: str = INK


def own_sounds(record: RehearsalRecord) -> Iterator[ChartMark]:
    """Yield the chimes and prompts that were heard."""
    for note in sound_detection.chimes(record.notes, record.heard):
        yield ChartMark(note.t - record.start, f"♪ {note.data['cue']}", PURPLE)
    for began, _, code in sound_detection.prompts(record.notes, record.heard, record.end):
        yield ChartMark(began - record.start, f"prompt {code}", PURPLE)


def holds(record: RehearsalRecord) -> Iterator[ChartSpan]:
    """Yield when a button was held."""
    ends = [note.t for note in record.find("visitor", "lets the button go")]
    for note in record.find("visitor", "holds the button"):
        ended = min((t for t in ends if t >= note.t), default=record.end)
        yield ChartSpan(note.t - record.start, ended - record.start, "", GREEN)


def deed(note: LoggedEvent, start: float) -> ChartMark | None:
    """Return what the visitor did; None for what is no deed."""
    if note.by != "visitor":
        return None
    data = note.data
    which = "" if data.get("button", 1) == 1 else f" {data['button']}"
    words, colour = {
        "presses the button": (f"press{which}", GREEN),
        "holds the button": (f"hold{which}", GREEN),
        "lets the button go": (f"let go{which}", GREEN),
        "commands": (f"kioskd {data.get('command')}", GREEN),
        "says": (f"“{data.get('words')}”", BLUE),
        "interrupts with": (f"interrupts: “{data.get('words')}”", RED),
    }.get(note.what, ("", INK))
    return ChartMark(note.t - start, words, colour) if words else None


def replies(record: RehearsalRecord) -> Iterator[ChartMark]:
    """Yield when replies began, and were silenced."""
    number = 0
    for note in record.notes:
        if note.by != "kiosk":
            continue
        t = note.t - record.start
        if note.what == "reply began":
            number += 1
            yield ChartMark(t, f"{number}: greeting" if note.data["greeting"] else f"{number}", RED)
        elif note.what == "reply silenced":
            yield ChartMark(t, "silenced", INK)


def states(record: RehearsalRecord) -> Iterator[ChartSpan]:
    """Yield what the kiosk showed, with the code of what was wrong."""
    shown = [(record.start, "starting")]
    shown += [
        (note.t, f"{note.data['state']} {note.data.get('code', '')}".rstrip())
        for note in record.find("kiosk", "shows")
    ]
    for (began, words), (ended, _) in itertools.pairwise([*shown, (record.end, "")]):
        yield ChartSpan(began - record.start, ended - record.start, words, STATE_COLOURS[words.split()[0]])


def gates(record: RehearsalRecord) -> Iterator[ChartSpan]:
    """Yield what became of the microphone's sound, or that the device was closed."""
    if not record.track.frames:
        return
    gate, muted = Gate.PREROLL, False
    changes = [(record.track.taken_at[0], gate, muted)]
    for note in record.notes:
        match note.by, note.what:
            case "daemon", "SetUplink":
                gate = Gate[str(note.data["uplink"]).upper()]
            case "daemon", "SetMute":
                muted = note.data["muted"] is True
            case _:
                continue
        changes.append((note.t, gate, muted))
    for (began, was, closed), (ended, _, _) in itertools.pairwise([*changes, (record.end, gate, muted)]):
        words, colour = ("closed", "white") if closed else (GATE_WORDS[was], GATE_COLOURS[was])
        if ended > began:
            yield ChartSpan(began - record.start, ended - record.start, words, colour)


def connections(record: RehearsalRecord) -> Iterator[ChartSpan]:
    """Yield the dialing and the life of each connection, by epoch."""
    dialed: tuple[float, object] | None = None
    up: tuple[float, str] | None = None
    for note in [*record.notes, LoggedEvent(record.end, "daemon", "HangUp")]:
        if note.by != "daemon" or note.what not in {"Dial", "Up", "Lost", "Refused", "HangUp"}:
            continue
        t = note.t - record.start
        if up is not None:
            yield ChartSpan(up[0], t, up[1], GREEN)
            up = None
        elif dialed is not None:
            yield ChartSpan(dialed[0], t, "dial", YELLOW)
            dialed = None
        if note.what == "Dial":
            dialed = (t, note.data["epoch"])
        elif note.what == "Up":
            resumed = ", resumed" if note.data["resumed"] else ""
            up, dialed = (t, f"connection {note.data['epoch']}{resumed}"), None


def trouble(record: RehearsalRecord) -> Iterator[ChartMark]:
    """Yield what the service did wrong, and what the daemon noticed of it."""
    for note in record.notes:
        t = note.t - record.start
        match note.by, note.what:
            case "service", "fault":
                yield ChartMark(t, f"fault: {note.data.get('do', '')}", RED)
            case "daemon", "Lost":
                yield ChartMark(t, "link lost", RED)
            case "daemon", "Refused":
                yield ChartMark(t, "refused", RED)
            case "daemon", "GoingAway":
                yield ChartMark(t, f"going away in {note.data['left_s']:.0f} s", RED)
