"""What a check says: one line, and under it what to do."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from kioskd.errors import KioskError


class Verdict(enum.StrEnum):
    """How a thing is."""

    OK = "ok"
    NOTE = "note"
    """It works, and somebody should know something of it."""
    FAULT = "fault"
    SKIPPED = "skipped"
    """It was not looked at, or there is nothing to look at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has found."""

    verdict: Verdict
    said: str
    """One line: where, what, why."""
    fault: str | None = None
    """Which fault it is, for programs: stays the same whatever the words."""
    remedy: str | None = None
    figures: Mapping[str, float | str] = field(default_factory=dict)
    """What was measured, units in the names."""
    check: str = ""
    """Who found it; written by the examination."""


def ok(said: str, **figures: float | str) -> Finding:
    """Say that a thing works."""
    return Finding(Verdict.OK, said, figures=figures)


def note(said: str, remedy: str | None = None, **figures: float | str) -> Finding:
    """Say that a thing works, and what somebody should know of it."""
    return Finding(Verdict.NOTE, said, remedy=remedy, figures=figures)


def fault(name: str, said: str, remedy: str, **figures: float | str) -> Finding:
    """Say that a thing does not work, and what to do about it."""
    return Finding(Verdict.FAULT, said, name, remedy, figures)


def skipped(why: str, remedy: str | None = None) -> Finding:
    """Say why a thing was not looked at."""
    return Finding(Verdict.SKIPPED, why, remedy=remedy)


def of_error(name: str, error: KioskError, remedy: str) -> Finding:
    """Return the fault that `error` tells of. Its message ends in what to do; `remedy` is for one that does not."""
    said, _, what_to_do = str(error).rpartition("; ")
    return fault(name, said or str(error), what_to_do if said else remedy)
