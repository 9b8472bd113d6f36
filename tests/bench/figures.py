"""The figures of the bench: their names, their sums and their table."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.bench.client import KINDS, Kind

Samples = Mapping[Kind, Mapping[str, Sequence[float]]]
"""One number a session, by client and figure: the median of the session's trials."""


Goal = Literal["at most", "over the floor of 10 ms", "times the floor of 20 ms"]
"""A goal limits kioskd's value, its difference from a floor, or its ratio to a floor.

Longer periods cost less, so costs are compared with the floor of 20 ms. Shorter ones are heard sooner, so the
microphone is compared with the floor of 10 ms.
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    key: str
    title: str
    unit: str
    goal: float | None
    """None: there is no goal."""
    goal_is: Goal = "at most"

    def show(self, value: float) -> str:
        """Return a value in as many digits as have a meaning."""
        return f"{value:.0f}" if self.unit == "ms" and abs(value) >= 100 else f"{value:.1f}"

    def show_goal(self) -> str:
        """Return the goal in words."""
        if self.goal is None:
            return "-"
        match self.goal_is:
            case "at most":
                return self.show(self.goal)
            case "over the floor of 10 ms":
                return f"floor 10 + {self.show(self.goal)}"
            case "times the floor of 20 ms":
                return f"{self.goal:.1f}x"


_RATIO: Final[Goal] = "times the floor of 20 ms"

FIGURES: Final = (
    Figure("start_ms", "start to first uplink byte", "ms", 2.5, _RATIO),
    Figure("cold_start_ms", "the same, files not in memory", "ms", None),
    Figure("mic_to_wire_ms", "microphone to wire", "ms", 2, "over the floor of 10 ms"),
    Figure("wire_to_speaker_ms", "wire to speaker", "ms", 25),
    Figure("interrupt_ms", "`interrupted` to silence", "ms", 26),
    Figure("cpu_asleep_s", "CPU a minute, asleep", "s", 0.5, _RATIO),
    Figure("cpu_silent_s", "CPU a minute, in a silent conversation", "s", 1.3, _RATIO),
    Figure("cpu_reply_s", "CPU a minute, playing a reply", "s", 1.3, _RATIO),
    Figure("rss_mb", "RSS in conversation", "MB", 80),
    Figure("exit_ms", "SIGTERM to exit", "ms", 300),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A figure of all clients: the medians of the sessions, and the least and the greatest of kioskd's."""

    figure: Figure
    medians: Mapping[Kind, float]
    least: float
    most: float
    sessions: int

    @property
    def kioskd(self) -> float:
        """Return kioskd's value."""
        return self.medians["kioskd"]

    @property
    def ratio(self) -> float:
        """Return kioskd's value in units of the floor of 20 ms."""
        return self.kioskd / self.medians["floor 20"]

    @property
    def met(self) -> bool | None:
        """Return whether kioskd reaches the goal; None if there is no goal."""
        if self.figure.goal is None:
            return None
        reached = {
            "at most": self.kioskd,
            "over the floor of 10 ms": self.kioskd - self.medians["floor 10"],
            "times the floor of 20 ms": self.ratio,
        }
        return reached[self.figure.goal_is] <= self.figure.goal

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "title": self.figure.title,
            "unit": self.figure.unit,
            **{str(kind): value for kind, value in self.medians.items()},
            "ratio": self.ratio,
            "least": self.least,
            "most": self.most,
            "sessions": self.sessions,
            "goal": self.figure.goal,
            "goal_is": self.figure.goal_is,
            "met": self.met,
        }


def results(samples: Samples) -> dict[str, Result]:
    """Sum up the sessions. Each figure must have been measured for all clients."""
    return {
        figure.key: Result(
            figure,
            {kind: statistics.median(samples[kind][figure.key]) for kind in KINDS},
            min(samples["kioskd"][figure.key]),
            max(samples["kioskd"][figure.key]),
            len(samples["kioskd"][figure.key]),
        )
        for figure in FIGURES
    }


@dataclass(frozen=True, slots=True)
class Report:
    """A measurement as people and programs read it."""

    name: str
    """Name of its block in the manual."""
    block: str
    """Its part of the manual."""
    text: str
    values: dict[str, Any]


def machine() -> str:
    """Return a description of this machine."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{system}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def table(found: Mapping[str, Result]) -> str:
    """Return the results as a Markdown table."""
    head = ("figure", "kioskd", "spread", "floor 20", "floor 10", "ratio", "goal", "")
    return grid([head, *map(_row, found.values())])


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that is readable as plain text, too; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _row(result: Result) -> tuple[str, ...]:
    figure, show = result.figure, result.figure.show
    return (
        f"{figure.title}, {figure.unit}",
        show(result.kioskd),
        f"{show(result.least)} to {show(result.most)}",
        show(result.medians["floor 20"]),
        show(result.medians["floor 10"]),
        f"{result.ratio:.1f}x" if figure.goal_is != _RATIO else f"{result.ratio:.2f}x",
        figure.show_goal(),
        {True: "met", False: "missed", None: ""}[result.met],
    )
