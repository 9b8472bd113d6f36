"""Draws a rehearsal as one picture: who spoke when, what the kiosk showed, which connections carried it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kioskd.media import pcm
from kioskd.rehearsal.chart_data import (
    BLUE,
    GREEN,
    INK,
    LEGEND,
    PALE,
    RED,
    SKY,
    ChartMark,
    ChartSpan,
    connections,
    deed,
    gates,
    holds,
    own_sounds,
    replies,
    states,
    trouble,
)
from kioskd.rehearsal.record import RehearsalRecord
from kioskd.rehearsal.summary import Summary

WIDTH_PX: Final = 1600
HEIGHT_PX: Final = 900
DPI: Final = 100
COLUMNS: Final = 1500
"""Points of an envelope: about one a pixel."""
LETTER: Final = 0.0056
"""The width of a letter of the labels, as part of the time axis."""
LINE_PX: Final = 21
MOST_SIZES: Final = 12
"""With more pictures than that their sizes are not written."""

ROWS: Final = {"visitor": 3.0, "kiosk": 3.0, "shows": 0.8, "uplink": 0.6, "pictures": 0.9, "connections": 1.6}
"""What is drawn below one another, and how high. `pictures` only where there are some."""


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
    grid = figure.add_gridspec(
        len(rows),
        1,
        height_ratios=tuple(rows.values()),
        hspace=0.12,
        left=0.075,
        right=0.985,
        top=0.89,
        bottom=0.085,
    )
    axes = {name: figure.add_subplot(grid[row]) for row, name in enumerate(rows)}
    for name, axis in axes.items():
        last = name == "connections"
        axis.set_xlim(0, length)
        axis.set_yticks([])
        axis.tick_params(labelbottom=last, bottom=last)
        for side in ("top", "right", "left", "bottom"):
            axis.spines[side].set_visible(last and side == "bottom")
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
    voices, speaker, links = axes["visitor"], axes["kiosk"], axes["connections"]
    links.set_xlabel("seconds", loc="left")

    deeds = [mark for note in record.notes if (mark := deed(note, record.start))]
    _envelope(voices, visitor, length, BLUE)
    _labels(voices, deeds, length)
    _envelope(speaker, kiosk, length, RED)
    said = sorted([*replies(record), *own_sounds(record)], key=lambda mark: mark.t)
    _labels(speaker, said, length)
    for hold in holds(record):
        voices.axvspan(hold.began, hold.ended, ymax=0.03, color=GREEN)
    for mark in deeds:
        for axis in axes.values():
            axis.axvline(mark.t, color=PALE, linewidth=0.8, zorder=0)
    _band(axes["shows"], states(record), length)
    _band(axes["uplink"], gates(record), length)
    if "pictures" in axes:
        _pictures(axes["pictures"], record, length)
    _band(links, connections(record), length, top=0.48)
    _labels(links, list(trouble(record)), length, from_y=0.5)
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
        (float(summary.pictures) or None, "pictures {:.0f}"),
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


def _labels(axis: Axes, marks: Sequence[ChartMark], length: float, from_y: float = 0.7) -> None:
    """Write each mark's words at its time, on the first line that has room; where none has, a stroke must do."""
    height = axis.get_window_extent().height
    lines = max(1, int((1 - from_y) * height / LINE_PX))
    free_from = [0.0] * lines
    for mark in marks:
        wide = len(mark.words) * length * LETTER + length * 0.008
        left = min(mark.t, length - wide)
        line = next((line for line, free in enumerate(free_from) if free <= left), None)
        y = from_y + (0 if line is None else line) * LINE_PX / height
        where = axis.get_xaxis_transform()
        axis.plot(
            [mark.t, mark.t], [0, y + LINE_PX / height], transform=where, color=mark.colour, linewidth=0.9
        )
        if line is None:
            continue
        free_from[line] = left + wide
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


def _band(axis: Axes, spans: Iterator[ChartSpan], length: float, top: float = 1.0) -> None:
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


def _pictures(axis: Axes, record: RehearsalRecord, length: float) -> None:
    """Put a stroke where a picture arrived: high and dark if the model had it before it, in the same turn with a word."""
    axis.set_ylim(0, 1)
    for began, ended in record.slow:
        axis.axvspan(began - record.start, ended - record.start, color=PALE, alpha=0.5, zorder=0)
    for shot in record.shots:
        t, colour = shot.at - record.start, INK if shot.seen else SKY
        axis.plot([t, t], [0.06, 0.5], color=colour, linewidth=3, solid_capstyle="butt")
    marks = [ChartMark(began - record.start, "reads slowly", RED) for began, _ in record.slow]
    marks += [
        ChartMark(shot.at - record.start, "seen in this very turn" if shot.same_turn else "shown", INK)
        for shot in record.shots
        if not shot.by_itself
    ]
    sizes = [f"{shot.byte_count / 1000:.0f}" for shot in record.shots]
    if sizes:
        words = f"kB each: {', '.join(dict.fromkeys(sizes))}" if len(sizes) < MOST_SIZES else ""
        marks.append(ChartMark(0.0, f"black: seen by the model   {words}".rstrip(), INK))
    _labels(axis, sorted(marks, key=lambda mark: mark.t), length, from_y=0.55)
