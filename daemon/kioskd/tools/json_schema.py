"""JSON Schema for the arguments of a tool: the rules for owners, and the prepared check.

One library reads the patterns, both when the settings are checked and for each call. It reads them as
ECMA-262 does, in a time that grows only with the text. So patterns cannot look around or refer back. A
pattern that Python or other tools would read differently is rejected, as the owner may have tried it there.
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
"""Most characters of a schema."""
NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
"""Pattern of the names that the service accepts for functions and parameters."""
LARGEST_PATTERN_BYTES: Final = 1 << 18
"""Largest prepared pattern. Some short ones, such as (a{1000}){1000}, would fill the memory."""
_LARGEST_CACHE_BYTES: Final = 1 << 20

NAMED: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "dependentRequired", "$defs", "definitions"}
)
"""Keywords whose value maps names to schemas."""
DATA: Final = frozenset({"const", "default", "enum", "examples"})
"""Keywords whose value is data, not a schema."""
_PIECE: Final = re.compile(
    r"\\[NPp]\{[^}]*\} | \\. | (?P<set> \[ \^? \]? (?: \\. | [^]\\] )* \]? ) "
    r"| \{\d+(?:,\d*)?\} | (?P<brace> \{ ) | .",
    re.VERBOSE | re.DOTALL,
)
_ODD_SET: Final = re.compile(r"^\[\[ | .\[: | -- | && | ~~ | \|\|", re.VERBOSE | re.DOTALL)
"""Matches signs in a set that some tools read as a nested set, a character class or an operator."""


def validator(schema: Mapping[str, Any]) -> Any:
    """Return the prepared check of `schema` (draft 2020-12). It fetches nothing, and each search ends.

    Raises:
        ValueError: the schema is not valid, or one of its patterns is not accepted.
    """
    # Imported here: it takes 25 ms, and only tools need it.
    from jsonschema_rs import Draft202012Validator, RegexOptions  # noqa: PLC0415

    limits = RegexOptions(size_limit=LARGEST_PATTERN_BYTES, dfa_size_limit=_LARGEST_CACHE_BYTES)
    return Draft202012Validator(dict(schema), pattern_options=limits, offline=True)


def pattern_fault(pattern: str) -> str | None:
    """Return why `pattern` is rejected, and what to do; None if it is accepted.

    It is rejected if it is not valid, is ambiguous, is too large, looks around or refers back.
    """
    for piece in _PIECE.finditer(pattern):
        if piece["brace"]:
            return "holds a brace that is not part of a count like {2} or {1,3}; write \\{"
        if piece["set"] and _ODD_SET.search(re.sub(r"(?s)\\.", "x", piece["set"])):
            return "holds [[, [:, --, &&, ~~ or || within [...]: write \\ before each of these signs"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as err:
        return f"is not a valid pattern: {' '.join(str(err).split())[:100]}; correct it"
    try:
        validator({"pattern": pattern})
    except ValueError:
        return "is not an accepted pattern: it is too large, looks around or refers back; simplify it"
    return None


def parts(schema: object, path: ValuePath = ()) -> Iterator[tuple[ValuePath, Mapping[str, Any]]]:
    """Yield each schema within `schema`, itself first, with its place.

    Data is skipped. A map of names is not a schema itself, but the schemas in it are yielded.
    """
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
    """Return a usable JSON Schema, or raise a fault with its place and reason."""
    from jsonschema_rs import ValidationError as SchemaFault  # noqa: PLC0415 - only tools need it
    from jsonschema_rs import meta  # noqa: PLC0415 - as above

    if not isinstance(value, dict):
        raise said(f"{shown(value)} is not a JSON Schema; write type: object, and properties: below it")
    schema = _copied(value)
    try:
        meta.validate(schema)
    except SchemaFault as error:
        if error.schema_path[-1:] != ["format"]:  # a pattern, which is checked below
            raise at(error.instance_path, f"is no valid JSON Schema: {_brief(error)}; correct it") from None
    if schema.get("type") != "object":
        raise at(
            ["type"] if "type" in schema else [],
            "must be of type object, as arguments have names; write type: object",
        )
    for path, what in (*_unfit_names(schema), *_not_taken(schema)):
        raise at(path, what)
    return {"properties": {}, "additionalProperties": False} | schema


def _copied(schema: object) -> Any:
    """Return a copy with lists in place of tuples. Reject a schema that is too large or nested too deeply."""
    try:
        text = json.dumps(schema, default=str)
    except (RecursionError, ValueError):
        raise said("is nested too deeply; simplify it, as the model reads it each time") from None
    if len(text) > LARGEST_SCHEMA:
        raise said(f"is larger than {LARGEST_SCHEMA} characters; shorten it, as the model reads it each time")
    return json.loads(text)


def _unfit_names(schema: dict[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    """Yield parameters with impossible names, and required parameters that do not exist."""
    properties = schema.get("properties", {})
    for name in properties:
        if not re.fullmatch(NAME, name):
            what = "use up to 64 letters, digits and _, and no digit first; write shoe_size, for example"
            yield ("properties", name), f"is not a valid name of a parameter: {what}"
    if schema.get("additionalProperties", False) is not False:
        return
    for number, name in enumerate(schema.get("required", ())):
        if name not in properties:
            near = difflib.get_close_matches(name, properties, n=1)
            hint = f"did you mean {near[0]}?" if near else "add it under properties, or remove it"
            yield ("required", number), f"{shown(name)} is not a parameter, so no call could fit; {hint}"


def _brief(error: Any) -> str:
    words = " ".join(str(error.message).split())
    return f"{error.schema_path[-1]} does not fit" if len(words) > 100 else words.replace('"', "'")


def _not_taken(schema: dict[str, Any]) -> Iterator[tuple[ValuePath, str]]:
    """Yield the parts of a valid JSON Schema that cannot be used here."""
    for path, part in parts(schema):
        for word in ("$ref", "$dynamicRef", "$id", "$schema"):
            if isinstance(part.get(word), str):
                why = "the model needs the whole schema in one place; write the part out"
                yield (*path, word), f"{word} is not accepted: {why}"
        if "patternProperties" in part:
            why = "each parameter needs a name; write the parameters under properties"
            yield (*path, "patternProperties"), f"patternProperties is not accepted: {why}"
        pattern = part.get("pattern")
        if isinstance(pattern, str) and (fault := pattern_fault(pattern)) is not None:
            yield (*path, "pattern"), fault


JsonSchema = Annotated[dict[str, Any], BeforeValidator(_schema)]
