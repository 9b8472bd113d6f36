"""The JSON Schema that an owner writes for the arguments of a tool: what is taken of it, and what is refused, and where."""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from kioskd.tools.json_patterns import PatternError, check, parts
from kioskd.yamlconf.value_types import at, said, shown

LARGEST_SCHEMA: Final = 8192
NAME: Final = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
"""What the service takes for the name of a function or of a parameter."""


def _thawed(value: Any) -> Any:
    """Return `value` with lists for tuples, as JSON Schema knows them."""
    if isinstance(value, dict):
        return {name: _thawed(inner) for name, inner in value.items()}
    return [_thawed(inner) for inner in value] if isinstance(value, list | tuple) else value


def _schema(value: Any) -> Any:
    """Return a JSON Schema that can be used, or say what is wrong with it and where."""
    # Here: only a kiosk with tools needs it.
    from jsonschema_rs import ValidationError as SchemaFault  # noqa: PLC0415 - see above
    from jsonschema_rs import meta  # noqa: PLC0415 - as above

    if not isinstance(value, dict):
        raise said(
            f"{shown(value)} is no JSON Schema: a group is needed; write type: object and properties: below it"
        )
    schema = _thawed(value)
    _bound(schema)
    try:
        meta.validate(schema)
    except SchemaFault as error:
        if error.schema_path[-1:] != ["format"]:  # a pattern; see below
            raise at(error.instance_path, f"is no JSON Schema: {_brief(error)}; mend it") from None
    if schema.get("type") != "object":
        raise at(
            ["type"] if "type" in schema else [], "must say type: object: arguments have names; write that"
        )
    for path, what in _unfit_names(schema):
        raise at(path, what)
    for path, what in _not_taken(schema):
        raise at(path, what)
    return {"properties": {}, "additionalProperties": False} | schema


def _bound(schema: object) -> None:
    """Refuse a schema that is too large or too deep to look at closer."""
    try:
        size = len(json.dumps(schema, default=str))
    except (RecursionError, ValueError):
        raise said("is nested too deeply: the model reads it each time; make it simpler") from None
    if size > LARGEST_SCHEMA:
        raise said(f"is larger than {LARGEST_SCHEMA} characters: the model reads it each time; shorten it")


def _unfit_names(schema: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
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


def _not_taken(schema: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is JSON Schema, but cannot be used here."""
    for path, part in parts(schema):
        for word in ("$ref", "$dynamicRef", "$id", "$schema"):
            if isinstance(part.get(word), str):
                why = "the model needs to see it all in one place; write it out"
                yield (*path, word), f"{word} is not taken: {why}"
        if "patternProperties" in part:
            why = "each parameter has a name; write them under properties"
            yield (*path, "patternProperties"), f"patternProperties is not taken: {why}"
        if isinstance(pattern := part.get("pattern"), str):
            try:
                check(pattern)
            except PatternError as err:
                yield (*path, "pattern"), str(err)


JsonSchema = Annotated[dict[str, Any], BeforeValidator(_schema)]
