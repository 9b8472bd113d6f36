"""Whether a call's arguments are what the tool's JSON Schema asks for, looked at before anything runs.

The check holds the loop up for a few milliseconds at most: the library is quick, its patterns end, only the first fault is
looked for, and what a schema and the arguments together could cost is bounded before.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kioskd.tools.contract import inside
from kioskd.tools.json_schema import parts, validator

LARGEST: Final = 16_384
"""Characters and values of all arguments together; what is spoken to a kiosk is far less."""
DEEPEST: Final = 8
MOST_BITS: Final = 1023
"""Of a whole number: what is longer is no float, and cannot be reckoned with."""
MOST_WORK: Final = 400_000
"""Parts of a schema, times the values that each might be held against; about 30 ns each on a desk."""
LONGEST_FAULT: Final = 200
_WORD_BITS: Final = 64
_FRACTION_PARTS: Final = 500
"""What a `multipleOf` with a fraction counts for: it is reckoned exactly, in up to 20 us for each number."""

_CIRCLES: Final = "its own description of them goes in circles or nowhere"


class Arguments:
    """The check of one tool's arguments, made ready once."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        """Make the check of `schema`, which has been found valid and refers to nothing outside itself."""
        self._parts = _count(schema)
        self._validator: Any = None
        self._unusable = ""
        """Why no call can be checked."""
        if any("$ref" in part or "$dynamicRef" in part for _, part in parts(schema)):
            self._unusable = _CIRCLES  # a server's are written out, and the owner's are not taken
            return
        try:
            self._validator = validator(schema)
        except ValueError as err:  # the owner's own was tried, and a server's, too
            place = _place(getattr(err, "instance_path", []))
            self._unusable = f"its own description cannot be used at {place}"

    def fault(self, arguments: Mapping[str, object]) -> str | None:
        """Return what is wrong with `arguments`, in words for the model; None when nothing is."""
        excess, values = _excess(arguments)
        if excess is not None:
            return excess
        if self._unusable:
            return self._unusable
        if self._parts * values > MOST_WORK:
            return "they hold too many values to be checked against the description"
        try:
            self._validator.validate(arguments)
        except ValueError as err:
            return f"{_place(getattr(err, 'instance_path', []))}: {_words(err)}"[:LONGEST_FAULT]
        return None


def _words(error: Any) -> str:
    """Return what is wrong, without a long value in it."""
    match getattr(error, "schema_path", [""])[-1]:
        case "pattern":
            return f"does not match {error.kind.pattern!r}"
        case "uniqueItems":
            return "something is in it twice"
    return str(getattr(error, "message", "does not fit")).replace('"', "'")


def _place(path: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _count(schema: object) -> int:
    """Return how many parts `schema` has, those of data too: each may be compared."""
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
    """Return why nobody should even look closer, and how many values there are. Stops at the bound."""
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
                        return "a text is no Unicode", values
                case float() if not math.isfinite(value):
                    return "a number has no end or is none", values
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
