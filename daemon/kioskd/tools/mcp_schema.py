"""What is taken over of the JSON Schema that a server gives for its tool's arguments. The server checks all of it itself."""

from collections.abc import Mapping
from typing import Any, Final

from kioskd.patterns import validator
from kioskd.tools.contract import size, too_many

LARGEST: Final = 16_384
"""Bytes of a schema as the server gives it."""
LARGEST_UNFOLDED: Final = 32_768
"""Bytes of it with what it refers to written out. The model reads it all."""
MOST_PARTS: Final = 1000
DEEPEST: Final = 40
"""Of those parts within each other."""

_UNSEEN: Final = frozenset(
    {"definitions", "pattern", "patternProperties", "unevaluatedItems", "unevaluatedProperties"}
)
"""What is left out beside the words that begin with $: what may take for ever to check, and what is referred to."""
_NAMED: Final = frozenset({"properties", "dependentSchemas", "dependentRequired"})
"""Words whose group has names for keys."""
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
"""Words whose value is no schema."""


def usable(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the kiosk takes over of `schema`; None where it is no schema of an object, or too large.

    References are written out, which nobody then has to follow: some that each name another twice are a schema without
    an end. One to elsewhere, or within what it refers to, is left out.
    """
    try:
        if too_many(schema) or size(schema) > LARGEST:
            return None
        found = _Unfolding(schema).part(schema)
        if not isinstance(found, dict) or found.get("type") != "object" or size(found) > LARGEST_UNFOLDED:
            return None
        validator(found)
    except (_TooLargeError, ValueError, RecursionError):
        return None
    return found


class _TooLargeError(Exception):
    """There is no end to it, or none that is worth waiting for."""


class _Unfolding:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._parts = 0

    def part(
        self, schema: Any, *, names: bool = False, deep: int = 0, within: frozenset[str] = frozenset()
    ) -> Any:
        """Return a copy; with `names` its keys are names and no words. `within`: the references that led here."""
        self._parts += 1
        if self._parts > MOST_PARTS or deep > DEEPEST:
            raise _TooLargeError
        if isinstance(schema, list):
            return [self.part(one, deep=deep + 1, within=within) for one in schema]
        if not isinstance(schema, dict):
            return schema
        found = {
            key: value
            if not names and key in _DATA
            else self.part(value, names=not names and key in _NAMED, deep=deep + 1, within=within)
            for key, value in schema.items()
            if names or not (key.startswith("$") or key in _UNSEEN)
        }
        reference = None if names else schema.get("$ref")
        if not isinstance(reference, str) or reference in within:
            return found
        there = self.part(self._there(reference), deep=deep + 1, within=within | {reference})
        return {**found, "allOf": [there, *found.get("allOf", [])]} if found else there

    def _there(self, reference: str) -> Any:
        """Return what `reference` names within the schema; an empty schema where it names nothing there."""
        if reference != "#" and not reference.startswith("#/"):
            return {}
        found: Any = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                return {}
            found = found[name]
        return found
