"""The figures of the bench: their names, their sums and their table."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.bench.client import Kind

Samples = Mapping[Kind, Mapping[str, Sequence[float]]]
"""One number a session, by client and figure: the median of the session's trials."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    key: str
    title: str
    unit: str
    goal: float
    goal_is: Literal["of kioskd", "over the floor"] = "of kioskd"

    def show(self, value: float) -> str:
        """Return a value in as many digits as have a meaning."""
        return f"{value:.0f}" if self.unit == "ms" and abs(value) >= 100 else f"{value:.1f}"


FIGURES: Final = (
    Figure("start_ms", "start to first uplink byte", "ms", 500),
    Figure("mic_to_wire_ms", "microphone to wire", "ms", 2, "over the floor"),
    Figure("wire_to_speaker_ms", "wire to speaker", "ms", 25),
    Figure("interrupt_ms", "`interrupted` to silence", "ms", 26),
    Figure("cpu_asleep_s", "CPU a minute, asleep", "s", 2.0),
    Figure("cpu_reply_s", "CPU a minute, playing a reply", "s", 3.0),
    Figure("rss_mb", "RSS in conversation", "MB", 80),
    Figure("exit_ms", "SIGTERM to exit", "ms", 300),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A figure of both clients: the medians of the sessions, and the least and the greatest of kioskd's."""

    figure: Figure
    kioskd: float
    floor: float
    least: float
    most: float
    sessions: int

    @property
    def over(self) -> float:
        """Return kioskd's value without the floor's."""
        return self.kioskd - self.floor

    @property
    def met(self) -> bool:
        """Return whether kioskd reaches the goal."""
        return (self.kioskd if self.figure.goal_is == "of kioskd" else self.over) <= self.figure.goal

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "title": self.figure.title,
            "unit": self.figure.unit,
            "kioskd": self.kioskd,
            "floor": self.floor,
            "over": self.over,
            "ratio": self.kioskd / self.floor,
            "least": self.least,
            "most": self.most,
            "sessions": self.sessions,
            "goal": self.figure.goal,
            "goal_is": self.figure.goal_is,
            "met": self.met,
        }


def results(samples: Samples) -> dict[str, Result]:
    """Sum up the sessions. Each figure must have been measured for both clients."""
    return {
        figure.key: Result(
            figure,
            statistics.median(samples["kioskd"][figure.key]),
            statistics.median(samples["floor"][figure.key]),
            min(samples["kioskd"][figure.key]),
            max(samples["kioskd"][figure.key]),
            len(samples["kioskd"][figure.key]),
        )
        for figure in FIGURES
    }


def machine() -> str:
    """Return a description of this machine."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{system}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def table(found: Mapping[str, Result]) -> str:
    """Return the results as a Markdown table that is readable as plain text, too."""
    rows: list[tuple[str, ...]] = [("figure", "kioskd", "spread", "floor", "difference", "ratio", "goal", "")]
    rows += [_row(result) for result in found.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _row(result: Result) -> tuple[str, ...]:
    figure, show = result.figure, result.figure.show
    goal = show(figure.goal) if figure.goal_is == "of kioskd" else f"floor + {show(figure.goal)}"
    return (
        f"{figure.title}, {figure.unit}",
        show(result.kioskd),
        f"{show(result.least)} to {show(result.most)}",
        show(result.floor),
        f"{'+' if result.over >= 0 else ''}{show(result.over)}",
        f"{result.kioskd / result.floor:.1f}x",
        goal,
        "met" if result.met else "missed",
    )
