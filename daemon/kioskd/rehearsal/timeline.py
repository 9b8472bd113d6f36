"""Draws a rehearsal as one picture: who spoke when, what the kiosk showed, which connections carried it.

Colours are Okabe and Ito's, which colour-blind people tell apart; each band also says in words what it means.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kioskd.media import pcm
from kioskd.rehearsal.alignment import Gate
from kioskd.rehearsal.measure import Record
from kioskd.rehearsal.notes import Note
from kioskd.rehearsal.summary import Summary

WIDTH_PX: Final = 1600
HEIGHT_PX: Final = 900
DPI: Final = 100
COLUMNS: Final = 1500
"""Points of an envelope: about one a pixel."""
LETTER: Final = 0.0056
"""The width of a letter of the labels, as part of the time axis."""
LINE_PX: Final = 21

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
    "offline": RED,
    "fault": RED,
}
GATE_COLOURS: Final = {Gate.PREROLL: "#DDDDDD", Gate.HOLD: YELLOW, Gate.SEND: SKY, Gate.SHUT: "#777777"}
LEGEND: Final = {
    "asleep, pre-roll": "#DDDDDD",
    "waking, dialing, hold": YELLOW,
    "listening, send": SKY,
    "thinking": PURPLE,
    "speaking": ORANGE,
    "offline, fault": RED,
    "uplink shut": "#777777",
    "connected": GREEN,
}
GATE_WORDS: Final = {Gate.PREROLL: "pre-roll", Gate.HOLD: "hold", Gate.SEND: "send", Gate.SHUT: "shut"}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a band, in seconds from the start."""

    began: float
    ended: float
    words: str
    colour: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, in seconds from the start."""

    t: float
    words: str
    colour: str = INK


def draw(
    path: Path,
    record: Record,
    summary: Summary,
    visitor: npt.NDArray[np.int16],
    kiosk: npt.NDArray[np.int16],
) -> None:
    """Write the picture to `path` (PNG). The two tracks are at 24 kHz and begin at the record's start."""
    length = record.end - record.start
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, layout=None)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        5,
        1,
        height_ratios=(3.2, 3.2, 0.8, 0.6, 1.6),
        hspace=0.12,
        left=0.075,
        right=0.985,
        top=0.89,
        bottom=0.085,
    )
    voices, speaker, states, gates, links = axes = [figure.add_subplot(grid[row]) for row in range(5)]
    for axis in axes:
        axis.set_xlim(0, length)
        axis.set_yticks([])
        axis.tick_params(labelbottom=axis is links, bottom=axis is links)
        for side in ("top", "right", "left", "bottom"):
            axis.spines[side].set_visible(axis is links and side == "bottom")
    links.set_xlabel("seconds", loc="left")
    for axis, name in zip(axes, ("visitor", "kiosk", "shows", "uplink", "connections"), strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)

    deeds = [_deed(note, record.start) for note in record.notes if note.by == "visitor"]
    _envelope(voices, visitor, length, BLUE)
    _labels(voices, [deed for deed in deeds if deed is not None], length)
    _envelope(speaker, kiosk, length, RED)
    _labels(speaker, list(_replies(record)), length)
    for deed in filter(None, deeds):
        for axis in axes:
            axis.axvline(deed.t, color=PALE, linewidth=0.8, zorder=0)
    _band(states, _states(record), length)
    _band(gates, _gates(record), length)
    _band(links, _connections(record), length, top=0.48)
    _labels(links, list(_trouble(record)), length, from_y=0.5)
    _headline(figure, summary)
    _legend(figure)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _headline(figure: Figure, summary: Summary) -> None:
    verdict, colour = ("all expectations met", GREEN) if summary.met else ("NOT as expected", RED)
    figure.text(0.075, 0.957, summary.name, fontsize=17, color=INK, weight="bold")
    figure.text(0.985, 0.957, verdict, fontsize=15, color=colour, weight="bold", ha="right")
    numbers = [
        (summary.wake_to_uplink_ms, "wake to uplink {:.0f} ms"),
        (summary.end_of_speech_to_sound_ms, "end of speech to sound {:.0f} ms"),
        (summary.barge_in_to_silence_ms, "barge-in to silence {:.0f} ms"),
        (summary.press_to_silence_ms, "press to silence {:.0f} ms"),
        (float(summary.uplink_lost_ms), "uplink lost {:.0f} ms"),
        (float(summary.uplink_duplicated_ms), "twice {:.0f} ms"),
        (float(summary.replies_heard), "replies heard {:.0f}"),
        (float(summary.connections), "connections {:.0f}"),
    ]
    told = "  ·  ".join(words.format(value) for value, words in numbers if value is not None)
    unmet = [expectation.text for expectation in summary.expectations if not expectation.met]
    figure.text(0.075, 0.928, told, fontsize=11.5, color=INK)
    if unmet:
        figure.text(0.075, 0.902, "not met: " + "; ".join(unmet)[:170], fontsize=11, color=RED)


def _legend(figure: Figure) -> None:
    """Say once more what the colours mean: many a state is too short for its word."""
    patches = [Patch(color=colour, label=label) for label, colour in LEGEND.items()]
    figure.legend(handles=patches, loc="lower right", ncols=len(patches), frameon=False, fontsize=10.5)


def _envelope(axis: Axes, samples: npt.NDArray[np.int16], length: float, colour: str) -> None:
    """Draw the loudest excursions of each stretch, both ways."""
    per_column = max(1, len(samples) // COLUMNS)
    whole = samples[: len(samples) // per_column * per_column].reshape(-1, per_column)
    times = np.arange(len(whole)) * per_column / pcm.DOWNLINK_HZ
    peak = max(1, int(np.abs(samples.astype(np.int32)).max(initial=0)), 3000)
    axis.fill_between(times, whole.min(axis=1) / peak, whole.max(axis=1) / peak, color=colour, linewidth=0.4)
    axis.set_ylim(-1.05, 2.0)
    axis.axhline(0, 0, 1, color=colour, linewidth=0.5)
    axis.set_xlim(0, length)


def _labels(axis: Axes, marks: Sequence[Mark], length: float, from_y: float = 0.7) -> None:
    """Write each mark's words at its time, on the first line that has room."""
    height = axis.get_window_extent().height
    lines = max(1, int((1 - from_y) * height / LINE_PX))
    free_from = [0.0] * lines
    for mark in marks:
        wide = len(mark.words) * length * LETTER + length * 0.008
        left = min(mark.t, length - wide)
        line = next((line for line, free in enumerate(free_from) if free <= left), lines - 1)
        free_from[line] = left + wide
        y = from_y + line * LINE_PX / height
        where = axis.get_xaxis_transform()
        axis.plot(
            [mark.t, mark.t], [0, y + LINE_PX / height], transform=where, color=mark.colour, linewidth=0.9
        )
        axis.text(
            left + length * 0.002,
            y,
            mark.words,
            transform=where,
            fontsize=11,
            color=mark.colour,
            va="bottom",
            zorder=3,
        )


def _band(axis: Axes, spans: Iterator[Span], length: float, top: float = 1.0) -> None:
    axis.set_ylim(0, 1)
    for span in spans:
        axis.broken_barh(
            [(span.began, span.ended - span.began)],
            (0.06, top - 0.12),
            facecolors=span.colour,
            edgecolor="white",
        )
        if span.ended - span.began > len(span.words) * length * LETTER:
            axis.text(
                (span.began + span.ended) / 2, 0.06 + (top - 0.12) / 2, span.words,
                ha="center", va="center", fontsize=11, color="white" if span.colour in (RED, "#777777") else INK,
            )  # fmt: skip


def _deed(note: Note, start: float) -> Mark | None:
    match note.what:
        case "presses the button":
            return Mark(note.t - start, "press", GREEN)
        case "says":
            return Mark(note.t - start, f"“{note.data['words']}”", BLUE)
        case "interrupts with":
            return Mark(note.t - start, f"interrupts: “{note.data['words']}”", RED)
    return None


def _replies(record: Record) -> Iterator[Mark]:
    number = 0
    for note in record.notes:
        if note.by != "kiosk":
            continue
        t = note.t - record.start
        if note.what == "reply began":
            number += 1
            yield Mark(t, f"{number}: greeting" if note.data["greeting"] else f"{number}", RED)
        elif note.what == "reply silenced":
            yield Mark(t, "silenced", INK)


def _states(record: Record) -> Iterator[Span]:
    shown = [(record.start, "starting")]
    shown += [(note.t, str(note.data["state"])) for note in record.find("kiosk", "shows")]
    for (began, state), (ended, _) in itertools.pairwise([*shown, (record.end, "")]):
        yield Span(began - record.start, ended - record.start, state, STATE_COLOURS[state])


def _gates(record: Record) -> Iterator[Span]:
    if not record.track.frames:
        return
    changes = [(record.track.taken_at[0], Gate.PREROLL)]
    changes += [
        (record.track.taken_at[min(change.at_frame, len(record.track.taken_at) - 1)], change.gate)
        for change in record.gates
    ]
    for (began, gate), (ended, _) in itertools.pairwise([*changes, (record.end, Gate.PREROLL)]):
        yield Span(began - record.start, ended - record.start, GATE_WORDS[gate], GATE_COLOURS[gate])


def _connections(record: Record) -> Iterator[Span]:
    """Yield the dialing and the life of each connection, by epoch."""
    dialed: tuple[float, object] | None = None
    up: tuple[float, str] | None = None
    for note in [*record.notes, Note(record.end, "daemon", "HangUp")]:
        if note.by != "daemon" or note.what not in {"Dial", "Up", "Lost", "Refused", "HangUp"}:
            continue
        t = note.t - record.start
        if up is not None:
            yield Span(up[0], t, up[1], GREEN)
            up = None
        elif dialed is not None:
            yield Span(dialed[0], t, "dial", YELLOW)
            dialed = None
        if note.what == "Dial":
            dialed = (t, note.data["epoch"])
        elif note.what == "Up":
            resumed = ", resumed" if note.data["resumed"] else ""
            up, dialed = (t, f"connection {note.data['epoch']}{resumed}"), None


def _trouble(record: Record) -> Iterator[Mark]:
    """Yield what the service did wrong, and what the daemon noticed of it."""
    for note in record.notes:
        t = note.t - record.start
        match note.by, note.what:
            case "service", "fault":
                yield Mark(t, f"fault: {note.data.get('do', '')}", RED)
            case "daemon", "Lost":
                yield Mark(t, "link lost", RED)
            case "daemon", "Refused":
                yield Mark(t, "refused", RED)
            case "daemon", "GoingAway":
                yield Mark(t, f"going away in {note.data['left_s']:.0f} s", RED)
