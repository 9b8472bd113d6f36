"""Whether a call's arguments are what the tool's JSON Schema asks for, looked at before anything runs."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kioskd.patterns import PatternError, compiled, parts
from kioskd.tools.contract import encode

LARGEST: Final = 16_384
"""Characters and values of all arguments together; what is spoken to a kiosk is far less."""
DEEPEST: Final = 8
MOST_BITS: Final = 1023
"""Of a whole number: what is longer is no float, and cannot be reckoned with."""
LONGEST_FAULT: Final = 200
PATTERN_S: Final = 0.05
"""How long the texts of a call may be searched for patterns: one like (a|aa)+$ would take years for a few dozen letters."""


class Arguments:
    """The check of one tool's arguments, made ready once."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        """Make the check of `schema`, which has been found valid and refers to nothing outside itself."""
        # Here: a kiosk without tools does not load it.
        from jsonschema import Draft202012Validator, validators  # type: ignore[import-untyped] # noqa: PLC0415 - no types; see above
        from jsonschema.exceptions import best_match  # type: ignore[import-untyped] # noqa: PLC0415 - as above
        from referencing import Registry  # noqa: PLC0415 - as above
        from referencing.exceptions import Unresolvable  # noqa: PLC0415 - as above

        # An empty registry of our own: the library's would fetch what a schema refers to.
        self._unresolvable = Unresolvable
        self._patterns = dict(_ready(schema))
        self._left_s = PATTERN_S
        self._slow: Any = None
        checks = validators.extend(Draft202012Validator, {"uniqueItems": _unique, "pattern": self._pattern})
        self._validator = checks(schema, registry=Registry())
        self._best = best_match

    def fault(self, arguments: Mapping[str, object]) -> str | None:
        """Return what is wrong with `arguments`, in words for the model; None when nothing is."""
        excess = _excess(arguments)
        if excess is not None:
            return excess
        self._left_s, self._slow = PATTERN_S, None
        try:
            error = self._best(self._validator.iter_errors(arguments))
        except (RecursionError, self._unresolvable):  # a server's; the owner's own were tried
            return "its own description of them goes in circles or nowhere"
        except (ArithmeticError, ValueError):
            return "a number is not one to reckon with"
        error = self._slow or error
        return None if error is None else f"{error.json_path}: {error.message}"[:LONGEST_FAULT]

    def _pattern(self, _checks: Any, wanted: str, value: object, _schema: object) -> Iterator[Exception]:
        """Check `pattern` within a time; the library would hold everybody up for as long as it takes.

        The text at which the time has run out is what is wrong with the call: nobody knows of the others.
        """
        from jsonschema import ValidationError  # noqa: PLC0415 - as above

        if not isinstance(value, str) or self._slow is not None:
            return
        pattern, found = self._patterns.get(wanted), None
        if pattern is None:
            yield ValidationError("has a pattern that cannot be used")
            return
        began = time.monotonic()
        try:
            found = pattern.search(value, timeout=self._left_s)
        except TimeoutError:
            self._left_s = 0.0
        else:
            self._left_s -= time.monotonic() - began
        if self._left_s <= 0:
            self._slow = ValidationError("it takes too long to see whether it fits its pattern")
            yield self._slow
        elif not found:
            yield ValidationError(f"does not match {wanted!r}")


def _ready(schema: Mapping[str, object]) -> Iterator[tuple[str, Any]]:
    """Yield the patterns in `schema`, each ready to search with; None for one that cannot be used."""
    for _, part in parts(schema):
        if isinstance(pattern := part.get("pattern"), str):
            try:
                yield pattern, compiled(pattern)
            except PatternError:  # the owner's own were tried, and a server's are left out
                yield pattern, None


def _excess(arguments: Mapping[str, object]) -> str | None:
    """Return why nobody should even look closer: stops at the bound, however much there is."""
    total = 0
    level: list[Iterable[object]] = [arguments.values(), arguments.keys()]
    for _ in range(DEEPEST):
        inside: list[Iterable[object]] = []
        for value in (value for group in level for value in group):
            total += 1
            match value:
                case str():
                    total += len(value)
                    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
                        return "a text is no Unicode"
                case float() if not math.isfinite(value):
                    return "a number has no end or is none"
                case int() if value.bit_length() > MOST_BITS:
                    return "a number is too large"
                case Mapping():
                    inside += [value.values(), value.keys()]
                case list() | tuple():
                    inside.append(value)
            if total > LARGEST:
                return f"the arguments are larger than {LARGEST} characters"
        if not inside:
            return None
        level = inside
    return f"the arguments are nested deeper than {DEEPEST} levels"


def _unique(_checks: Any, wanted: bool, value: object, _schema: object) -> Iterator[Exception]:
    """Check `uniqueItems` in a time that grows with the items; the library compares each with each."""
    from jsonschema import ValidationError  # noqa: PLC0415 - as above

    if wanted and isinstance(value, list) and len({encode(one, in_order=True) for one in value}) < len(value):
        yield ValidationError("something is in it twice")
