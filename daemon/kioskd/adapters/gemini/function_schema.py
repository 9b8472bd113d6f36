"""A tool's JSON Schema in the service's own form, and the way back for arguments that this form cannot describe.

The service's `Schema` is a subset of OpenAPI's. It turns a whole setup down for one word that it does not take, so this
module says only what it is known to take. What the form has no word for becomes a hint in the description. The tool's
own schema is checked before each call all the same.

Sources: Google's reference of `Schema`, and public reports of what the service refuses.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

DEEPEST: Final = 8
"""Levels of a schema that are described. The service has a limit that it does not publish; arguments end here, too."""
LONGEST_TEXT: Final = 16_384
"""Characters of an argument that may stand for an object or a list; all arguments together may have so many."""
MOST_HINTS: Final = 50
"""Choices that a hint lists."""

_FORMATS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"date-time"}),
    "integer": frozenset({"int32", "int64"}),
    "number": frozenset({"float", "double"}),
}
"""The formats that the service knows, by type. Any other ends the setup."""
_BOUNDS: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
"""Words with a whole number, by the type that they belong to."""
_HINTS: Final[Mapping[str, str]] = {
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}
_WORDS: Final = ("description", "title")
_NUMBERS: Final = frozenset({"integer", "number"})
_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_MOST: Final = 2**63 - 1
"""The largest whole number that the service's reader takes."""
_OBJECT_AS_TEXT: Final = "a JSON object, written as text"
_LIST_AS_TEXT: Final = "a JSON list, written as text"


def declared_schema(parameters: Any) -> dict[str, Any] | None:
    """Return a tool's `parameters` (JSON Schema of an object) in the service's form; None where there are none to give.

    `parameters` has no references.
    """
    found = _form({"type": "object"} | _whole(parameters), 0)
    return found if found["type"] == "OBJECT" else None


def restored(schema: Any, value: Any, deep: int = 0) -> Any:
    """Return `value` with objects and lists where `schema` asks for them and the model was told to write text.

    What is no JSON of the type that is asked for stays as it is, and the check of the arguments says so.
    """
    schema = _whole(schema)
    kinds = {kind for each in (schema, *_alternatives(schema)) for kind in _kinds(each)}
    if isinstance(value, str) and kinds & {"object", "array"} and "string" not in kinds:
        value = _parsed(value, kinds)
    if deep >= DEEPEST:
        return value
    if isinstance(value, Mapping):
        known = {name: inner for each in _alternatives(schema) for name, inner in _properties(each).items()}
        known |= _properties(schema)
        return {
            name: restored(known[name], inner, deep + 1) if name in known else inner
            for name, inner in value.items()
        }
    if isinstance(value, list) and (items := _items(schema)) is not None:
        return [restored(items, inner, deep + 1) for inner in value]
    return value


def _parsed(text: str, kinds: set[str]) -> Any:
    if len(text) > LONGEST_TEXT:
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    fits = (isinstance(found, dict) and "object" in kinds) or (isinstance(found, list) and "array" in kinds)
    return found if fits else text


def _form(schema: Any, deep: int) -> dict[str, Any]:
    """Return what of a JSON Schema the service's own form can say. Everything is given a type, which it insists on."""
    schema = _whole(schema)
    kinds = _kinds(schema)
    nullable = "null" in kinds or None in _choices(schema)
    kinds = [kind for kind in kinds if kind != "null"]
    alternatives = [] if kinds in (["object"], ["array"]) else _alternatives(schema)
    nullable = nullable or any(_is_null(one) for one in alternatives)
    alternatives = [one for one in alternatives if not _is_null(one)]
    if not alternatives and len(kinds) > 1:
        alternatives = [{"type": kind} for kind in kinds]
    if alternatives:
        return _union(schema, alternatives, deep, nullable=nullable)
    found = _single(schema, kinds[0] if kinds else "string", deep)
    return found | {"nullable": True} if nullable else found


def _union(
    schema: Mapping[str, Any], alternatives: Sequence[Mapping[str, Any]], deep: int, *, nullable: bool
) -> dict[str, Any]:
    """Return one of several. Vertex takes no other word beside `anyOf`, so each alternative gets all of them."""
    outer = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", *_WORDS)}
    found: list[dict[str, Any]] = []
    for alternative in alternatives:
        inner = _form(_joined(alternative, outer), deep)
        found += [one for one in inner.get("anyOf", [inner]) if one not in found]
    beside = _described(schema) | ({"nullable": True} if nullable else {})
    found = [beside | one for one in found]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _described(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description, or the title in its place: not every backend takes a title."""
    for word in _WORDS:
        if text := _text(schema.get(word)).strip():
            return {"description": text}
    return {}


def _single(schema: Mapping[str, Any], kind: str, deep: int) -> dict[str, Any]:
    found = _described(schema)
    hints = [*_hints(schema, kind)]
    properties = _properties(schema)
    if kind == "object" and (not properties or deep >= DEEPEST):
        kind, hints = "string", [_OBJECT_AS_TEXT]  # the service refuses an object without properties
    elif kind == "array" and deep >= DEEPEST:
        kind, hints = "string", [_LIST_AS_TEXT]
    elif kind == "object":
        found["properties"] = {name: _form(inner, deep + 1) for name, inner in properties.items()}
        # The service refuses what is required and is no property.
        needed = [name for name in _listed(schema.get("required")) if isinstance(name, str)]
        required = dict.fromkeys(name for name in needed if name in properties)
        if required:
            found["required"] = list(required)
    elif kind == "array":
        items = _items(schema)
        found["items"] = _form({} if items is None else items, deep + 1)
    for word in _BOUNDS.get(kind, ()):
        if isinstance(bound := schema.get(word), int | float) and 0 <= bound <= _MOST and bound == int(bound):
            found[word] = int(bound)
    if kind in _NUMBERS:
        found |= {word: schema[word] for word in ("minimum", "maximum") if _is_number(schema.get(word))}
    if kind == "string" and (choices := _texts(schema)):
        found["enum"] = choices
    if kind == "string" and isinstance(pattern := schema.get("pattern"), str) and _text(pattern) == pattern:
        found["pattern"] = pattern
    if isinstance(given := schema.get("format"), str) and given in _FORMATS.get(kind, ()):
        found["format"] = given
    if hints:
        hint = "; ".join(hints)
        found["description"] = f"{found['description']} ({hint})" if "description" in found else hint
    return found | {"type": kind.upper()}


def _hints(schema: Mapping[str, Any], kind: str) -> Iterator[str]:
    """Yield in words what the service's form cannot say."""
    given = schema.get("format")
    if isinstance(given, str) and given not in (*_FORMATS.get(kind, ()), "enum") and (name := _text(given)):
        yield f"format: {name}"
    choices = [choice for choice in _choices(schema) if _is_of(choice, kind)]
    if kind == "string":
        if "" in choices:
            yield "may be empty"
    elif choices and kind in (*_NUMBERS, "boolean"):
        yield f"one of: {', '.join(map(json.dumps, choices[:MOST_HINTS]))}"
    if kind in _NUMBERS:
        for word, hint in _HINTS.items():
            if _is_number(bound := schema.get(word)):
                yield f"{hint} {bound}"


def _texts(schema: Mapping[str, Any]) -> list[str]:
    """Return the choices of a text. The service takes no empty one, and none that is no text."""
    choices = [choice for choice in _choices(schema) if choice is not None]
    if not all(isinstance(choice, str) and _text(choice) == choice for choice in choices if choice != ""):
        return []
    return list(dict.fromkeys(choice for choice in choices if choice))


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else _listed(schema.get("enum"))


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else []


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that can be given: `false` allows none, and some names cannot be said."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {
        name: inner
        for name, inner in properties.items()
        if isinstance(name, str) and name and _text(name) == name and inner is not False
    }


def _items(schema: Mapping[str, Any]) -> Any:
    """Return what the items of a list are; None where nothing is said. A tuple's are one of those that it names.

    A tuple is `prefixItems`, or a list in `items` with `additionalItems`, as older drafts have it.
    """
    rest, first = schema.get("items"), schema.get("prefixItems")
    if isinstance(rest, list | tuple):
        rest, first = schema.get("additionalItems"), rest
    if not _listed(first):
        return None if isinstance(rest, bool) else rest
    kinds: list[Any] = []
    for one in (*_listed(first), *(() if rest is None or isinstance(rest, bool) else (rest,))):
        if one is not False and one not in kinds:
            kinds.append(one)
    if not kinds:
        return None
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}


def _whole(given: Any) -> dict[str, Any]:
    """Return `given` with all that `allOf` adds to it, and an object with what it may have by any of its alternatives.

    Its own words win. Which of its properties an object must have together no word of the service's says.
    """
    found = dict(given) if isinstance(given, Mapping) else {}  # `true` is a schema, too
    for part in _schemas(found.pop("allOf", ())):
        found = _joined(found, _whole(part))
    if "object" not in _kinds(found):
        return found
    other: dict[str, list[Any]] = {}
    for alternative in _alternatives(found):
        for name, inner in _properties(alternative).items():
            if inner not in other.setdefault(name, []):
                other[name].append(inner)
    either = {name: inner[0] if len(inner) == 1 else {"anyOf": inner} for name, inner in other.items()}
    own = _properties(found)
    return found | {"properties": own | either | own}


def _joined(found: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return what holds where both hold; of the words that both have, those of `found` win."""
    properties, required = _properties(found), _listed(found.get("required"))
    for name, inner in _properties(part).items():
        properties[name] = {"allOf": [properties[name], inner]} if name in properties else inner
    required += [name for name in _listed(part.get("required")) if name not in required]
    both = {**part, **found}
    if properties:
        both["properties"] = properties
    if required:
        both["required"] = required
    return both


def _alternatives(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_whole(one) for word in ("anyOf", "oneOf") for one in _schemas(schema.get(word, ()))]


def _schemas(given: Any) -> list[Any]:
    """Return the schemas of a list of them that something fits: nothing fits `false`."""
    return [one for one in _listed(given) if one is not False]


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """Return the types of a schema; of one that names none, what else it says. None for one that may be anything."""
    named = schema.get("type")
    kinds = [named] if isinstance(named, str) else _listed(named)
    kinds = list(dict.fromkeys(kind for kind in kinds if isinstance(kind, str) and kind in _TYPES))
    if not kinds:
        kinds = _guessed(schema)
    if schema.get("nullable") is True and "null" not in kinds:  # OpenAPI's own word
        kinds.append("null")
    return kinds


def _guessed(schema: Mapping[str, Any]) -> list[str]:
    if schema.get("properties") is not None:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    for kind in ("string", "integer", "number", "boolean", "null"):
        choices = [choice for choice in _choices(schema) if kind == "null" or choice is not None]
        if choices and all(_is_of(choice, kind) for choice in choices):
            return [kind]
    return []


def _is_null(schema: Mapping[str, Any]) -> bool:
    return _kinds(schema) == ["null"]


def _is_of(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return _is_number(value) and value == int(value)
        case "number":
            return _is_number(value)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
    return False


def _is_number(value: Any) -> bool:
    """Whether it is one that the service's reader takes."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _text(value: Any) -> str:
    """Return a text as the service's reader takes it: without half characters."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""
