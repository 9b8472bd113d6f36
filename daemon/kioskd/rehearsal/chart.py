"""Draws a rehearsal as one picture: speech of visitor and kiosk, states of the kiosk, connections.

The first half turns the record into marks and spans, the second half draws them. The colours are Okabe and
Ito's, which colour-blind people can distinguish; each band also has words.
"""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kioskd.media import pcm
from kioskd.rehearsal import sound_detection
from kioskd.rehearsal.alignment import Gate
from kioskd.rehearsal.capture import RehearsalRecord
from kioskd.rehearsal.event_log import LoggedEvent
from kioskd.rehearsal.summary import Summary

BLUE, ORANGE, GREEN, RED, SKY, YELLOW, PURPLE = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#F0E442", "#CC79A7",
)  # fmt: skip
INK, PALE, IDLE, DARK = "#222222", "#BBBBBB", "#DDDDDD", "#777777"

GATES: Final = {
    Gate.PREROLL: "pre-roll",
    Gate.PAUSED: "pause",
    Gate.HOLD: "hold",
    Gate.SEND: "send",
    Gate.SHUT: "uplink shut",
}
LEGEND: Final = {
    "asleep, pre-roll, pause": IDLE,
    "waking, dialing, hold": YELLOW,
    "listening, send": SKY,
    "thinking": PURPLE,
    "speaking": ORANGE,
    "offline, fault": RED,
    "muted, closed, uplink shut": DARK,
    "connected, button held": GREEN,
}
COLOURS: Final = {"starting": "#EEEEEE"} | {
    word: colour for words, colour in LEGEND.items() for word in words.split(", ")
}

WIDTH_PX: Final = 1600
HEIGHT_PX: Final = 900
DPI: Final = 100
COLUMNS: Final = 1500
"""Points of an envelope: about one for each pixel."""
LETTER: Final = 0.0056
"""Width of a letter of the labels, as a share of the time axis."""
LINE_PX: Final = 21
MOST_SIZES: Final = 12
"""Largest number of pictures whose sizes are written."""

ROWS: Final = {"visitor": 3.0, "kiosk": 3.0, "shows": 0.8, "uplink": 0.6, "pictures": 0.9, "connections": 1.6}
"""Rows of the picture from top to bottom, with their heights.

The row `pictures` is drawn only if there are some.
"""


class ChartSpan(NamedTuple):
    """A coloured part of a band, in the clock's seconds."""

    began: float
    ended: float
    words: str
    colour: str


class ChartMark(NamedTuple):
    """A labelled moment, in the clock's seconds."""

    t: float
    words: str
    colour: str = INK


def own_sounds(record: RehearsalRecord) -> Iterator[ChartMark]:
    """Yield the chimes and prompts that were heard."""
    for note in sound_detection.chimes(record.notes, record.heard):
        yield ChartMark(note.t, f"♪ {note.data['cue']}", PURPLE)
    for began, _, code in sound_detection.prompts(record.notes, record.heard, record.end):
        yield ChartMark(began, f"prompt {code}", PURPLE)


def action(note: LoggedEvent) -> ChartMark | None:
    """Return a mark for an act of the visitor; None for any other event."""
    if note.by != "visitor":
        return None
    data = note.data
    which = "" if data.get("button", 1) == 1 else f" {data['button']}"
    words, colour = {
        "presses the button": (f"press{which}", GREEN),
        "holds the button": (f"hold{which}", GREEN),
        "lets the button go": (f"let go{which}", GREEN),
        "scans": ("scan", GREEN),
        "commands": (f"kioskd {data.get('command')}", GREEN),
        "says": (f"“{data.get('words')}”", BLUE),
        "interrupts with": (f"interrupts: “{data.get('words')}”", RED),
    }.get(note.what, ("", INK))
    return ChartMark(note.t, words, colour) if words else None


def replies(record: RehearsalRecord) -> Iterator[ChartMark]:
    """Yield a mark for each begin of a reply, and for each reply that was silenced."""
    number = 0
    for note in record.find("kiosk", "reply began", "reply silenced"):
        if note.what == "reply silenced":
            yield ChartMark(note.t, "silenced", INK)
        else:
            number += 1
            yield ChartMark(note.t, f"{number}: greeting" if note.data["greeting"] else f"{number}", RED)


def states(record: RehearsalRecord) -> Iterator[ChartSpan]:
    """Yield the states that the kiosk showed, with the codes of faults."""
    shown = [(record.start, "starting")]
    shown += [
        (note.t, f"{note.data['state']} {note.data.get('code', '')}".rstrip())
        for note in record.find("kiosk", "shows")
    ]
    for (began, words), (ended, _) in itertools.pairwise([*shown, (record.end, "")]):
        yield ChartSpan(began, ended, words, COLOURS[words.split()[0]])


def gates(record: RehearsalRecord) -> Iterator[ChartSpan]:
    """Yield the states of the gate, or that the microphone was closed."""
    if not record.track.frames:
        return
    gate, muted = Gate.PREROLL, False
    changes = [(record.track.taken_at[0], gate, muted)]
    for note in record.find("daemon", "SetUplink", "SetMute"):
        if note.what == "SetUplink":
            gate = Gate[str(note.data["uplink"]).upper()]
        else:
            muted = note.data["muted"] is True
        changes.append((note.t, gate, muted))
    for (began, was, closed), (ended, _, _) in itertools.pairwise([*changes, (record.end, gate, muted)]):
        if ended > began:
            words, colour = ("closed", "white") if closed else (GATES[was], COLOURS[GATES[was]])
            yield ChartSpan(began, ended, words.removeprefix("uplink "), colour)


def connections(record: RehearsalRecord) -> Iterator[ChartSpan]:
    """Yield the dialing and the duration of each connection, by epoch."""
    open_: tuple[float, str, str] | None = None
    steps = record.find("daemon", "Dial", "Up", "Lost", "Refused", "HangUp")
    for note in [*steps, LoggedEvent(record.end, "daemon", "HangUp")]:
        if open_ is not None:
            began, words, colour = open_
            yield ChartSpan(began, note.t, words, colour)
            open_ = None
        if note.what == "Dial":
            open_ = (note.t, "dial", YELLOW)
        elif note.what == "Up":
            resumed = ", resumed" if note.data["resumed"] else ""
            open_ = (note.t, f"connection {note.data['epoch']}{resumed}", GREEN)


def trouble(record: RehearsalRecord) -> Iterator[ChartMark]:
    """Yield the faults of the service, and the losses that the daemon noticed."""
    for note in record.notes:
        match note.by, note.what:
            case "service", "fault":
                yield ChartMark(note.t, f"fault: {note.data.get('do', '')}", RED)
            case "daemon", "Lost":
                yield ChartMark(note.t, "link lost", RED)
            case "daemon", "Refused":
                yield ChartMark(note.t, "refused", RED)
            case "daemon", "GoingAway":
                yield ChartMark(note.t, f"going away in {note.data['left_s']:.0f} s", RED)


def pictures(record: RehearsalRecord) -> Iterator[ChartMark]:
    """Yield marks about the pictures that the service received."""
    for began, _ in record.slow:
        yield ChartMark(began, "reads slowly", RED)
    for shot in record.shots:
        if not shot.by_itself:
            yield ChartMark(shot.at, "seen in the same turn" if shot.same_turn else "shown")
    sizes = [f"{shot.byte_count / 1000:.0f}" for shot in record.shots]
    if sizes:
        words = f"kB each: {', '.join(dict.fromkeys(sizes))}" if len(sizes) < MOST_SIZES else ""
        yield ChartMark(record.start, f"black: seen by the model   {words}".rstrip())


def draw(
    path: Path,
    record: RehearsalRecord,
    summary: Summary,
    visitor: npt.NDArray[np.int16],
    kiosk: npt.NDArray[np.int16],
) -> None:
    """Write the picture to `path` (PNG). The two tracks are at 24 kHz and begin at the record's start."""
    length = record.end - record.start
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, layout=None)
    FigureCanvasAgg(figure)
    rows = {name: height for name, height in ROWS.items() if name != "pictures" or record.shots}
    spacing = {"hspace": 0.12, "left": 0.075, "right": 0.985, "top": 0.89, "bottom": 0.085}
    grid = figure.add_gridspec(len(rows), 1, height_ratios=tuple(rows.values()), **spacing)
    axes = {name: figure.add_subplot(grid[row]) for row, name in enumerate(rows)}
    bands = {name: _Band(axis, record.start, length) for name, axis in axes.items()}
    for name, axis in axes.items():
        last = name == "connections"
        axis.set_xlim(0, length)
        axis.set_yticks([])
        axis.tick_params(labelbottom=last, bottom=last)
        for side in ("top", "right", "left", "bottom"):
            axis.spines[side].set_visible(last and side == "bottom")
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
    axes["connections"].set_xlabel("seconds", loc="left")

    actions = [mark for note in record.notes if (mark := action(note))]
    bands["visitor"].envelope(visitor, BLUE)
    bands["visitor"].labels(actions)
    bands["kiosk"].envelope(kiosk, RED)
    bands["kiosk"].labels([*replies(record), *own_sounds(record)])
    for began, ended in record.holds():
        axes["visitor"].axvspan(began - record.start, ended - record.start, ymax=0.03, color=GREEN)
    for mark in actions:
        for axis in axes.values():
            axis.axvline(mark.t - record.start, color=PALE, linewidth=0.8, zorder=0)
    bands["shows"].spans(states(record))
    bands["uplink"].spans(gates(record))
    if "pictures" in bands:
        _draw_pictures(axes["pictures"], record)
        bands["pictures"].labels(pictures(record), from_y=0.55)
    bands["connections"].spans(connections(record), top=0.48)
    bands["connections"].labels(trouble(record), from_y=0.5)
    _headline(figure, summary)
    # Many states are too short for their words, so a legend explains the colours.
    patches = [Patch(color=colour, label=label) for label, colour in LEGEND.items()]
    figure.legend(handles=patches, loc="lower right", ncols=len(patches), frameon=False, fontsize=10.5)
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
        (float(summary.pictures) or None, "pictures {:.0f}"),
    ]
    measured = "  ·  ".join(words.format(value) for value, words in numbers if value is not None)
    unmet = [expectation.text for expectation in summary.expectations if not expectation.met]
    figure.text(0.075, 0.928, measured, fontsize=11.5, color=INK)
    if unmet:
        figure.text(0.075, 0.902, "not met: " + "; ".join(unmet)[:170], fontsize=11, color=RED)


def _draw_pictures(axis: Axes, record: RehearsalRecord) -> None:
    """Draw a stroke at the arrival of each picture: dark if the model saw it."""
    axis.set_ylim(0, 1)
    for began, ended in record.slow:
        axis.axvspan(began - record.start, ended - record.start, color=PALE, alpha=0.5, zorder=0)
    for shot in record.shots:
        t, colour = shot.at - record.start, INK if shot.seen else SKY
        axis.plot([t, t], [0.06, 0.5], color=colour, linewidth=3, solid_capstyle="butt")


class _Band:
    """One row of the picture, with the rehearsal's time from left to right."""

    def __init__(self, axis: Axes, start: float, length: float) -> None:
        self._axis = axis
        self._start = start
        self._length = length

    def envelope(self, samples: npt.NDArray[np.int16], colour: str) -> None:
        """Draw the lowest and the highest sample of each column."""
        per_column = max(1, len(samples) // COLUMNS)
        whole = samples[: len(samples) // per_column * per_column].reshape(-1, per_column)
        times = np.arange(len(whole)) * per_column / pcm.DOWNLINK_HZ
        peak = max(1, int(np.abs(samples.astype(np.int32)).max(initial=0)), 3000)
        self._axis.fill_between(
            times, whole.min(axis=1) / peak, whole.max(axis=1) / peak, color=colour, linewidth=0.4
        )
        self._axis.set_ylim(-1.05, 2.0)
        self._axis.axhline(0, 0, 1, color=colour, linewidth=0.5)
        self._axis.set_xlim(0, self._length)

    def labels(self, marks: Iterable[ChartMark], from_y: float = 0.7) -> None:
        """Draw a stroke for each mark, and its words on the first line that has room, if any."""
        height = self._axis.get_window_extent().height
        free_from = [0.0] * max(1, int((1 - from_y) * height / LINE_PX))
        where = self._axis.get_xaxis_transform()
        for at, words, colour in sorted(marks, key=lambda mark: mark.t):
            t = at - self._start
            wide = len(words) * self._length * LETTER + self._length * 0.008
            left = min(t, self._length - wide)
            line = next((line for line, free in enumerate(free_from) if free <= left), None)
            y = from_y + (line or 0) * LINE_PX / height
            self._axis.plot([t, t], [0, y + LINE_PX / height], transform=where, color=colour, linewidth=0.9)
            if line is not None:
                free_from[line] = left + wide
                self._axis.text(
                    left + self._length * 0.002, y, words,
                    transform=where, fontsize=11, color=colour, va="bottom", zorder=3,
                )  # fmt: skip

    def spans(self, spans: Iterable[ChartSpan], top: float = 1.0) -> None:
        """Draw each span as a bar, with its words if they have room."""
        self._axis.set_ylim(0, 1)
        for began, ended, words, colour in spans:
            self._axis.broken_barh(
                [(began - self._start, ended - began)],
                (0.06, top - 0.12),
                facecolors=colour,
                edgecolor="white",
            )
            if ended - began > len(words) * self._length * LETTER:
                self._axis.text(
                    (began + ended) / 2 - self._start, 0.06 + (top - 0.12) / 2, words,
                    ha="center", va="center", fontsize=11, color="white" if colour in (RED, DARK) else INK,
                )  # fmt: skip
