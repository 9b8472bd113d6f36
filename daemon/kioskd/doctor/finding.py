"""What a check says: one line, and under it what to do."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from kioskd.errors import KioskError


class Verdict(enum.StrEnum):
    """The result of a check."""

    OK = "ok"
    NOTE = "note"
    """It works, and the owner should know something about it."""
    FAULT = "fault"
    SKIPPED = "skipped"
    """It was not examined, or there is nothing to examine."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check."""

    verdict: Verdict
    said: str
    """One line: where, what, why."""
    fault: str | None = None
    """The fault's name for programs: it stays the same when the words change."""
    remedy: str | None = None
    figures: Mapping[str, float | str] = field(default_factory=dict)
    """What was measured, units in the names."""
    check: str = ""
    """The check's name; `checks.examine` writes it."""


def ok(said: str, **figures: float | str) -> Finding:
    """Say that a thing works."""
    return Finding(Verdict.OK, said, figures=figures)


def note(said: str, remedy: str | None = None, **figures: float | str) -> Finding:
    """Say that a thing works, and what the owner should know about it."""
    return Finding(Verdict.NOTE, said, remedy=remedy, figures=figures)


def fault(name: str, said: str, remedy: str, **figures: float | str) -> Finding:
    """Say that a thing does not work, and what to do about it."""
    return Finding(Verdict.FAULT, said, name, remedy, figures)


def skipped(why: str, remedy: str | None = None) -> Finding:
    """Say why a thing was not examined."""
    return Finding(Verdict.SKIPPED, why, remedy=remedy)


def split_remedy(message: str) -> tuple[str, str | None]:
    """Return a message without its last part, and that part, which is the remedy; None where it has one part only."""
    said, _, remedy = message.rpartition("; ")
    return (said, remedy) if said else (message, None)


def of_error(name: str, error: KioskError, remedy: str) -> Finding:
    """Return the fault that `error` tells of. Its message ends in the remedy; `remedy` is for one that does not."""
    said, own_remedy = split_remedy(str(error))
    return fault(name, said, own_remedy or remedy)
