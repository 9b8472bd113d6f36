"""Turns a tool's JSON Schema into the service's form, and restores arguments that this form cannot describe.

The service's `Schema` is a subset of OpenAPI's. The service rejects a whole setup for one unknown
keyword. So this module writes only keywords that are known to work. A rule without a keyword
becomes a hint in the description. Each call's arguments are still checked against the tool's own schema.

Sources: Google's reference of `Schema`, and public reports about schemas that the service rejects.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

DEEPEST: Final = 8
"""Deepest level of a schema that is described. The service does not publish its own limit. Arguments that lie
deeper are not restored."""
LONGEST_TEXT: Final = 16_384
"""Longest text, in characters, that is parsed where an object or a list is due. All arguments together may
have as many."""
MOST_HINTS: Final = 50
"""Most choices that a hint lists."""

_FORMATS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"date-time"}),
    "integer": frozenset({"int32", "int64"}),
    "number": frozenset({"float", "double"}),
}
"""Formats that the service knows, by type. With any other format the service rejects the setup."""
_BOUNDS: Final[Mapping[str, tuple[str, ...]]] = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
"""Keywords with a whole number as value, by the type that they belong to."""
_HINTS: Final[Mapping[str, str]] = {
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
}
_WORDS: Final = ("description", "title")
_NUMBERS: Final = frozenset({"integer", "number"})
_TYPES: Final = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})
_MOST: Final = 2**63 - 1
"""Largest whole number that the service's parser accepts."""
_OBJECT_AS_TEXT: Final = "a JSON object, written as text"
_LIST_AS_TEXT: Final = "a JSON list, written as text"


def declared_schema(parameters: Any) -> dict[str, Any] | None:
    """Return a tool's `parameters` (JSON Schema of an object) in the service's form; None if there are none.

    `parameters` must have no references.
    """
    found = _form({"type": "object"} | _whole(parameters), 0)
    return found if found["type"] == "OBJECT" else None


def restored(schema: Any, value: Any, deep: int = 0) -> Any:
    """Return `value`, with objects and lists in place of texts where `schema` asks for objects and lists.

    The model was told to write these as JSON text. A text that holds no JSON of the right type stays as it
    is; the check of the arguments then reports it.
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
    """Return the part of a JSON Schema that the service's form can express. The service needs a type
    everywhere, so each schema gets one.
    """
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
    """Return a choice between alternatives.

    Vertex accepts no other keyword beside `anyOf`, so each alternative repeats all of them.
    """
    outer = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", *_WORDS)}
    found: list[dict[str, Any]] = []
    for alternative in alternatives:
        inner = _form(_joined(alternative, outer), deep)
        found += [one for one in inner.get("anyOf", [inner]) if one not in found]
    beside = _described(schema) | ({"nullable": True} if nullable else {})
    found = [beside | one for one in found]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _described(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description; without one, the title as description. Not every backend accepts a title."""
    for word in _WORDS:
        if text := _text(schema.get(word)).strip():
            return {"description": text}
    return {}


def _single(schema: Mapping[str, Any], kind: str, deep: int) -> dict[str, Any]:
    found = _described(schema)
    hints = [*_hints(schema, kind)]
    properties = _properties(schema)
    if kind == "object" and (not properties or deep >= DEEPEST):
        kind, hints = "string", [_OBJECT_AS_TEXT]  # the service rejects an object without properties
    elif kind == "array" and deep >= DEEPEST:
        kind, hints = "string", [_LIST_AS_TEXT]
    elif kind == "object":
        found["properties"] = {name: _form(inner, deep + 1) for name, inner in properties.items()}
        # The service rejects a required name that is not a property.
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
    """Yield a phrase for each rule that the service's form cannot express."""
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
    """Return the choices of a text, without the empty one, which the service rejects.

    Empty if one of the choices is no text, as the service accepts only texts.
    """
    choices = [choice for choice in _choices(schema) if choice is not None]
    if not all(isinstance(choice, str) and _text(choice) == choice for choice in choices if choice != ""):
        return []
    return list(dict.fromkeys(choice for choice in choices if choice))


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else _listed(schema.get("enum"))


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else []


def _properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that the model can set.

    Left out are properties whose schema is `false`, which allows no value, and names that cannot be written.
    """
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {
        name: inner
        for name, inner in properties.items()
        if isinstance(name, str) and name and _text(name) == name and inner is not False
    }


def _items(schema: Mapping[str, Any]) -> Any:
    """Return the schema of a list's items; None if there is none.

    The items of a tuple get a choice of all schemas that the tuple names. A tuple is `prefixItems`, or, as in
    older drafts, a list in `items` with `additionalItems`.
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
    """Return `given` with the rules of its `allOf` merged in, and an object with the properties of all
    alternatives.

    The schema's own rules win. The service's form cannot say which of these properties must come together.
    """
    found = dict(given) if isinstance(given, Mapping) else {}  # `true` is also a schema
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
    """Return a schema that combines both. Where both have a keyword, the value of `found` wins."""
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
    """Return the schemas of a list, without `false`, which no value fits."""
    return [one for one in _listed(given) if one is not False]


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a schema names; else types guessed from its other keywords; empty if any type
    fits.
    """
    named = schema.get("type")
    kinds = [named] if isinstance(named, str) else _listed(named)
    kinds = list(dict.fromkeys(kind for kind in kinds if isinstance(kind, str) and kind in _TYPES))
    if not kinds:
        kinds = _guessed(schema)
    if schema.get("nullable") is True and "null" not in kinds:  # OpenAPI's own keyword
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
    """Return whether `value` is a number that the service's parser accepts."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def _text(value: Any) -> str:
    """Return a text without half characters (lone surrogates), which the service's parser rejects."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""
