"""The result of a check: one line, and under it the remedy."""

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
    """The check did not run, or there is nothing to check."""


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
    """The measured values; their names carry the units."""
    check: str = ""
    """The check's name; `checks.examine` fills it in."""


def ok(said: str, **figures: float | str) -> Finding:
    """Return a finding that something works."""
    return Finding(Verdict.OK, said, figures=figures)


def note(said: str, remedy: str | None = None, **figures: float | str) -> Finding:
    """Return a finding that something works, with a remark for the owner."""
    return Finding(Verdict.NOTE, said, remedy=remedy, figures=figures)


def fault(name: str, said: str, remedy: str, **figures: float | str) -> Finding:
    """Return a finding that something does not work, with its remedy."""
    return Finding(Verdict.FAULT, said, name, remedy, figures)


def skipped(why: str, remedy: str | None = None) -> Finding:
    """Return a finding that a check did not run, with the reason."""
    return Finding(Verdict.SKIPPED, why, remedy=remedy)


def split_remedy(message: str) -> tuple[str, str | None]:
    """Split a message at its last semicolon into fault and remedy; the remedy is None without a semicolon."""
    said, _, remedy = message.rpartition("; ")
    return (said, remedy) if said else (message, None)


def of_error(name: str, error: KioskError, remedy: str) -> Finding:
    """Return the fault that `error` reports. `remedy` is used if the error's message ends in none."""
    said, own_remedy = split_remedy(str(error))
    return fault(name, said, own_remedy or remedy)
