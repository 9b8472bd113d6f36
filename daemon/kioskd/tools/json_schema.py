"""JSON Schema: what an owner may write for the arguments of a tool, its patterns, and the check of it made ready.

One library reads patterns for the settings' check and for each call, as ECMA-262 does, in a time that grows with the text
only. So there is no looking around in them, and no reference back. What Python or others would read otherwise is not taken:
the owner may have tried it there.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from kioskd.yamlconf.document import ValuePath
from kioskd.yamlconf.value_types import at, said, shown

LARGEST_SCHEMA: Final = 8192
"""Characters of a schema."""
NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
"""What the service takes for the name of a function or of a parameter."""
LARGEST_PATTERN_BYTES: Final = 1 << 18
"""Of a pattern made ready: some short ones, as (a{1000}){1000}, would fill the memory."""
_LARGEST_CACHE_BYTES: Final = 1 << 20

NAMED: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependentRequired", "$defs", "definitions"}
)
"""Words whose group has names for keys."""
DATA: Final = frozenset({"const", "default", "enum", "examples"})
"""Words whose value is no schema."""
_PIECE: Final = re.compile(
    r"\\[NPp]\{[^}]*\} | \\. | (?P<set> \[ \^? \]? (?: \\. | [^]\\] )* \]? ) | \{\d+(?:,\d*)?\} | (?P<brace> \{ ) | .",
    re.VERBOSE | re.DOTALL,
)
_ODD_SET: Final = re.compile(r"^\[\[ | .\[: | -- | && | ~~ | \|\|", re.VERBOSE | re.DOTALL)
"""What some take for a set in a set, a class of characters, or a reckoning with sets."""


def validator(schema: Mapping[str, Any]) -> Any:
    """Return the check of `schema` (draft 2020-12), made ready. It fetches nothing, and has an end to each search.

    Raises:
        ValueError: it is no schema, or one of its patterns is not taken.
    """
    from jsonschema_rs import Draft202012Validator, RegexOptions  # noqa: PLC0415 - 25 ms, only where there are tools

    limits = RegexOptions(size_limit=LARGEST_PATTERN_BYTES, dfa_size_limit=_LARGEST_CACHE_BYTES)
    return Draft202012Validator(dict(schema), pattern_options=limits, offline=True)


def pattern_fault(pattern: str) -> str | None:
    """Return why `pattern` is not taken, and what to do; None where it is.

    It is none, means different things to different readers, is too large, or looks around or back.
    """
    for piece in _PIECE.finditer(pattern):
        if piece["brace"]:
            return "holds a brace that begins no count such as {2} or {1,3}; write \\{"
        if piece["set"] and _ODD_SET.search(re.sub(r"(?s)\\.", "x", piece["set"])):
            return "holds [[, [:, --, &&, ~~ or || within [...]: write \\ before each of these signs"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as err:
        return f"is no pattern: {' '.join(str(err).split())[:100]}; mend it"
    try:
        validator({"pattern": pattern})
    except ValueError:
        return "is no pattern that is taken: it is too large, looks around, or refers back; make it simpler"
    return None


def parts(schema: object, path: ValuePath = ()) -> Iterator[tuple[ValuePath, Mapping[str, Any]]]:
    """Yield each schema in `schema`, itself first, with its place. A group of names is none, and neither is data."""
    if isinstance(schema, list | tuple):
        for number, inner in enumerate(schema):
            yield from parts(inner, (*path, number))
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for word, inner in schema.items():
        if word in NAMED and isinstance(inner, Mapping):
            for name, each in inner.items():
                yield from parts(each, (*path, word, name))
        elif word not in DATA:
            yield from parts(inner, (*path, word))


def _schema(value: Any) -> Any:
    """Return a JSON Schema that can be used, or say what is wrong with it and where."""
    from jsonschema_rs import ValidationError as SchemaFault  # noqa: PLC0415 - only a kiosk with tools needs it
    from jsonschema_rs import meta  # noqa: PLC0415 - as above

    if not isinstance(value, dict):
        raise said(
            f"{shown(value)} is no JSON Schema: a group is needed; write type: object and properties: below it"
        )
    schema = _copied(value)
    try:
        meta.validate(schema)
    except SchemaFault as error:
        if error.schema_path[-1:] != ["format"]:  # a pattern; see below
            raise at(error.instance_path, f"is no JSON Schema: {_brief(error)}; mend it") from None
    if schema.get("type") != "object":
        raise at(
            ["type"] if "type" in schema else [], "must say type: object: arguments have names; write that"
        )
    for path, what in (*_unfit_names(schema), *_not_taken(schema)):
        raise at(path, what)
    return {"properties": {}, "additionalProperties": False} | schema


def _copied(schema: object) -> Any:
    """Return a copy with lists for tuples. Refuse a schema that is too large or too deep to look at closer."""
    try:
        text = json.dumps(schema, default=str)
    except (RecursionError, ValueError):
        raise said("is nested too deeply: the model reads it each time; make it simpler") from None
    if len(text) > LARGEST_SCHEMA:
        raise said(f"is larger than {LARGEST_SCHEMA} characters: the model reads it each time; shorten it")
    return json.loads(text)


def _unfit_names(schema: dict[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    """Yield parameters that cannot be, and those that are required and cannot be given."""
    properties = schema.get("properties", {})
    for name in properties:
        if not re.fullmatch(NAME, name):
            what = "letters, digits and _, at most 64, no digit first; write shoe_size, say"
            yield ("properties", name), f"is no name of a parameter: {what}"
    if schema.get("additionalProperties", False) is not False:
        return
    for number, name in enumerate(schema.get("required", ())):
        if name not in properties:
            near = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {near[0]}?" if near else "add it under properties, or take it out"
            yield ("required", number), f"{shown(name)} is no parameter: no call could give it; {hint}"


def _brief(error: Any) -> str:
    words = " ".join(str(error.message).split())
    return f"{error.schema_path[-1]} does not fit" if len(words) > 100 else words.replace('"', "'")


def _not_taken(schema: dict[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    """Yield what is JSON Schema, but cannot be used here."""
    for path, part in parts(schema):
        for word in ("$ref", "$dynamicRef", "$id", "$schema"):
            if isinstance(part.get(word), str):
                why = "the model needs to see it all in one place; write it out"
                yield (*path, word), f"{word} is not taken: {why}"
        if "patternProperties" in part:
            why = "each parameter has a name; write them under properties"
            yield (*path, "patternProperties"), f"patternProperties is not taken: {why}"
        pattern = part.get("pattern")
        if isinstance(pattern, str) and (fault := pattern_fault(pattern)) is not None:
            yield (*path, "pattern"), fault


JsonSchema = Annotated[dict[str, Any], BeforeValidator(_schema)]
