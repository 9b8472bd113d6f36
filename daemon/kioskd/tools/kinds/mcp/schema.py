"""Turns the JSON Schema of a server's tool into a form that the kiosk can check.

The server checks the arguments against its own schema, too.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from kioskd.tools.contract import too_many
from kioskd.tools.json_schema import DATA, NAMED, validator
from kioskd.tools.json_text import size

LARGEST: Final = 16_384
"""Most bytes of a schema as the server sends it."""
LARGEST_UNFOLDED: Final = 32_768
"""Most bytes of a schema after its references are written out. The model reads all of it."""
MOST_PARTS: Final = 1000
DEEPEST: Final = 40
"""Most levels of parts within each other."""

_UNSEEN: Final = frozenset(
    {"definitions", "pattern", "patternProperties", "unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords that are left out, beside those that begin with $: they may take forever to check, or hold
definitions."""


def usable(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the usable form of `schema`; None if it does not describe an object, or is too large.

    References are replaced by the parts that they name: schemas that name each other repeatedly could grow
    without end. A reference to another document, or to a part around itself, is left out. Keywords of older
    drafts and of OpenAPI become those of draft 2020-12, by which calls are checked.
    """
    try:
        if too_many(schema) or size(schema) > LARGEST:
            return None
        found = _Unfolding(schema).part(schema)
        if not isinstance(found, dict) or size(found) > LARGEST_UNFOLDED:
            return None
        kinds = found.get("type")
        if (kinds is None and "properties" in found) or (isinstance(kinds, list) and "object" in kinds):
            found["type"] = "object"  # arguments are always an object
        if found.get("type") != "object":
            return None
        validator(found)
    except (_TooLargeError, ValueError, RecursionError):
        return None
    return found


class _TooLargeError(Exception):
    """The schema is endless, or too large to process."""


class _Unfolding:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._parts = 0

    def part(
        self, schema: Any, *, names: bool = False, deep: int = 0, within: frozenset[str] = frozenset()
    ) -> Any:
        """Return a copy. `names`: keys are names, not keywords. `within`: the references that led here."""
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
        """Return the part of the schema that `reference` names; an empty schema if there is none.

        A reference is the name of an anchor, or a JSON Pointer in the fragment of a URI (RFC 6901). In a
        pointer `%` escapes are resolved first, then `~1` and `~0`. A list's item is named by its number.
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
    """Return the part with the anchor `name`; an empty schema if there is none."""
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
    """Return a schema in which keywords of draft 2020-12 replace those of drafts 3 to 7 and OpenAPI 3.0."""
    found = dict(schema)
    if isinstance(found.get("items"), list):
        # `items` describes a tuple. In older drafts `additionalItems` describes the rest of the list.
        first, following = found.pop("items"), found.pop("additionalItems", True)
        if first:
            found["prefixItems"] = first
        if following is not True:
            found["items"] = following
    found.pop("additionalItems", None)  # it has no meaning beside one schema for all items
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
        # patternProperties are left out. Without this step the properties that they allow would be rejected.
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
