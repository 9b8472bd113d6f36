"""Checks a call's arguments against the tool's JSON Schema, before anything runs.

The check blocks the event loop for a few milliseconds at most. The library is quick, its patterns always end,
and it looks only for the first fault. The work for schema and arguments together is limited beforehand.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kioskd.tools.contract import inside
from kioskd.tools.json_schema import parts, validator

LARGEST: Final = 16_384
"""Characters and values of all arguments together. The words of a visitor need far less."""
DEEPEST: Final = 8
MOST_BITS: Final = 1023
"""Most bits of a whole number. A longer one does not fit into a float, so it is of no use."""
MOST_WORK: Final = 400_000
"""Most comparisons: parts of the schema times values of the arguments. Each takes about 30 ns on a desk."""
LONGEST_FAULT: Final = 200
_WORD_BITS: Final = 64
_FRACTION_PARTS: Final = 500
"""Parts that a `multipleOf` with a fraction counts as: its exact arithmetic takes up to 20 us for each
number."""

_CIRCLES: Final = "the tool's schema refers to itself or to nothing"


class Arguments:
    """The check of one tool's arguments, prepared once."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        """Prepare the check of `schema`, which must be valid and must refer to nothing outside itself."""
        self._parts = _count(schema)
        self._validator: Any = None
        self._unusable = ""
        """The reason why no call can be checked; empty if calls can be."""
        if any("$ref" in part or "$dynamicRef" in part for _, part in parts(schema)):
            self._unusable = _CIRCLES  # references of servers are resolved, and the owner's rejected
            return
        try:
            self._validator = validator(schema)
        except ValueError as err:  # unexpected: both kinds of schemas were validated before
            place = _place(getattr(err, "instance_path", []))
            self._unusable = f"the tool's schema cannot be used at {place}"

    def fault(self, arguments: Mapping[str, object]) -> str | None:
        """Return the fault of `arguments`, in words for the model; None if they fit."""
        excess, values = _excess(arguments)
        if excess is not None:
            return excess
        if self._unusable:
            return self._unusable
        if self._parts * values > MOST_WORK:
            return "the arguments hold too many values to be checked against the schema"
        try:
            self._validator.validate(arguments)
        except ValueError as err:
            return f"{_place(getattr(err, 'instance_path', []))}: {_words(err)}"[:LONGEST_FAULT]
        return None


def _words(error: Any) -> str:
    """Return the fault in words, without a long value."""
    match getattr(error, "schema_path", [""])[-1]:
        case "pattern":
            return f"does not match {error.kind.pattern!r}"
        case "uniqueItems":
            return "holds the same value twice"
    return str(getattr(error, "message", "does not fit")).replace('"', "'")


def _place(path: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _count(schema: object) -> int:
    """Return the number of parts of `schema`, data included, as each can be compared."""
    waiting, found = [schema], 0
    while waiting:
        found += 1
        part = waiting.pop()
        step = part.get("multipleOf") if isinstance(part, Mapping) else None
        if isinstance(step, float) and not step.is_integer():
            found += _FRACTION_PARTS
        waiting.extend(inside(part))
    return found


def _excess(arguments: Mapping[str, object]) -> tuple[str | None, int]:
    """Return why the arguments are rejected unseen (or None), and the number of their values.

    It stops at the first limit that they exceed.
    """
    total = values = 0
    level: list[Iterable[object]] = [arguments.values(), arguments.keys()]
    for _ in range(DEEPEST):
        inside: list[Iterable[object]] = []
        for value in (value for group in level for value in group):
            total, values = total + 1, values + 1
            match value:
                case str():
                    total += len(value)
                    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
                        return "a text holds half characters", values
                case float() if not math.isfinite(value):
                    return "a number is infinite or not a number", values
                case int():
                    if value.bit_length() > MOST_BITS:
                        return "a number is too large", values
                    total += value.bit_length() // 2 if value.bit_length() > _WORD_BITS else 0
                case Mapping():
                    inside += [value.values(), value.keys()]
                case list() | tuple():
                    inside.append(value)
            if total > LARGEST:
                return f"the arguments are larger than {LARGEST} characters", values
        if not inside:
            return None, values
        level = inside
    return f"the arguments are nested deeper than {DEEPEST} levels", values
