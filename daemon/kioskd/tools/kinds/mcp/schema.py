"""What is taken over of the JSON Schema that a server gives for its tool's arguments. The server checks all of it itself."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from kioskd.tools.contract import too_many
from kioskd.tools.json_schema import DATA, NAMED, validator
from kioskd.tools.json_text import size

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


def usable(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the kiosk takes over of `schema`; None where it is no schema of an object, or too large.

    References are written out, which nobody then has to follow: some that each name another twice are a schema without
    an end. One to elsewhere, or within what it refers to, is left out. Words of older drafts and of OpenAPI become those
    of draft 2020-12, by which calls are checked.
    """
    try:
        if too_many(schema) or size(schema) > LARGEST:
            return None
        found = _Unfolding(schema).part(schema)
        if not isinstance(found, dict) or size(found) > LARGEST_UNFOLDED:
            return None
        kinds = found.get("type")
        if (kinds is None and "properties" in found) or (isinstance(kinds, list) and "object" in kinds):
            found["type"] = "object"  # arguments always are one
        if found.get("type") != "object":
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
            if not names and key in DATA
            else self.part(value, names=not names and key in NAMED, deep=deep + 1, within=within)
            for key, value in (schema if names else _of_today(schema)).items()
            if names or not (key.startswith("$") or key in _UNSEEN)
        }
        reference = None if names else schema.get("$ref")
        if not isinstance(reference, str) or reference in within:
            return found
        there = self.part(self._there(reference), deep=deep + 1, within=within | {reference})
        return {**found, "allOf": [there, *found.get("allOf", [])]} if found else there

    def _there(self, reference: str) -> Any:
        """Return what `reference` names within the schema; an empty schema where it names nothing there.

        It is a JSON Pointer in the fragment of a URI (RFC 6901): `%` escapes first, then `~1` and `~0`; an item of a list
        goes by its number. Or it is the name of an anchor.
        """
        own = self._root.get("$id", self._root.get("id"))
        if isinstance(own, str) and own:
            reference = reference.removeprefix(own.rstrip("#"))
        if not reference.startswith("#"):
            return {}
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            return _anchored(self._root, pointer)
        found: Any = self._root
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and _INDEX.fullmatch(name) and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                return {}
        return found


_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}")


def _anchored(root: Mapping[str, Any], name: str) -> Any:
    """Return the part that calls itself `name`; an empty schema where none does."""
    waiting: list[Any] = [root]
    for _ in range(MOST_PARTS * 10):
        if not waiting:
            break
        part = waiting.pop()
        if isinstance(part, dict):
            if name in (part.get("$anchor"), part.get("$dynamicAnchor")) or part.get("$id") == f"#{name}":
                return part
            waiting += [value for key, value in part.items() if key not in DATA]
        elif isinstance(part, list):
            waiting += part
    return {}


def _of_today(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with the words of draft 2020-12 for those of drafts 3 to 7 and of OpenAPI 3.0."""
    found = dict(schema)
    if isinstance(found.get("items"), list):
        # A tuple: what follows its items is `additionalItems` in the older drafts.
        first, following = found.pop("items"), found.pop("additionalItems", True)
        if first:
            found["prefixItems"] = first
        if following is not True:
            found["items"] = following
    found.pop("additionalItems", None)  # beside one schema for all items it means nothing
    if isinstance(found.get("required"), bool):
        del found["required"]
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(exclusive := found.get(word), bool):
            del found[word]
            if exclusive and bound in found:
                found[word] = found.pop(bound)
    if isinstance(needs := found.pop("dependencies", None), dict):
        for name, need in needs.items():
            group = "dependentRequired" if isinstance(need, list) else "dependentSchemas"
            if isinstance(found.setdefault(group, {}), dict):
                found[group] = {**found[group], name: need}
    if found.pop("nullable", None) is True:
        _allow_null(found)
    if "patternProperties" in found:
        # Those are left out. What they allow would be refused as additional.
        found.pop("additionalProperties", None)
    return found


def _allow_null(found: dict[str, Any]) -> None:
    kinds = found.get("type")
    if isinstance(kinds, str):
        found["type"] = [kinds, "null"]
    elif isinstance(kinds, list) and "null" not in kinds:
        found["type"] = [*kinds, "null"]
    if isinstance(choices := found.get("enum"), list) and None not in choices:
        found["enum"] = [*choices, None]
