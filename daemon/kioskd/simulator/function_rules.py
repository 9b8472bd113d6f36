"""The rules for the functions that a setup declares.

They come from public reports about the same form of schema. Where Vertex and the Developer API differ, each
has its own rule. The limit of the depth is not published; its value comes from reports.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from kioskd.simulator.auth import Backend
from kioskd.simulator.schema import FunctionDeclaration, ParameterSchema, WireTool
from kioskd.simulator.wire import RefusalError

MOST_FUNCTIONS: Final = 512
DEEPEST: Final = 12
"""Most levels of a function's parameters."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_TYPES: Final = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"})
_FORMATS: Final = {
    "STRING": ("enum", "date-time"),
    "INTEGER": ("int32", "int64"),
    "NUMBER": ("float", "double"),
}


def check_functions(tools: Sequence[WireTool], backend: Backend, unwanted: Sequence[str] = ()) -> None:
    """Raise RefusalError for a declaration that the service does not accept.

    `unwanted`: names or patterns that are rejected without a reason.
    """
    names: set[str] = set()
    functions = [
        (f"* tools[{number}].function_declarations[{place}]", function)
        for number, tool in enumerate(tools)
        for place, function in enumerate(tool.function_declarations or ())
    ]
    if len(functions) > MOST_FUNCTIONS:
        raise RefusalError(f"At most {MOST_FUNCTIONS} function declarations can be specified.")
    for place, function in functions:
        name = function.name or ""
        for complaint in _declaration_errors(function, place, backend):
            raise RefusalError(complaint)
        if name in names:
            raise RefusalError(f"Duplicate function declaration found: {name}")
        names.add(name)
    if any(fnmatchcase(name, pattern) for name in names for pattern in unwanted):
        raise RefusalError("Request contains an invalid argument.")


def _declaration_errors(function: FunctionDeclaration, place: str, backend: Backend) -> Iterator[str]:
    if _NAME.fullmatch(function.name or "") is None:
        yield (
            f"{place}.name: Invalid function name. Must start with a letter or an underscore. "
            "Must be alphameric, underscores, dots, colons or dashes, with a maximum length of 64."
        )
    if (parameters := function.parameters) is None:
        return
    if (parameters.type or "").upper() != "OBJECT":
        yield f"{place}.parameters: schema should be of type OBJECT"
    for complaint in _schema_errors(parameters, f"{place}.parameters", backend, 1):
        yield complaint if complaint.startswith("*") else complaint.format(function=function.name)


def _schema_errors(schema: ParameterSchema, place: str, backend: Backend, deep: int) -> Iterator[str]:
    if deep > DEEPEST:
        yield "A FunctionDeclaration in the request exceeds the maximum allowed nesting depth."
        return
    kind = (schema.type or "").upper()
    if schema.any_of is not None:
        if backend == "vertex" and schema.model_dump(exclude_none=True, exclude={"any_of"}):
            yield (
                "Unable to submit request because `{function}` functionDeclaration schema specified other "
                "fields alongside any_of. When using any_of, it must be the only field set."
            )
    elif kind not in _TYPES:
        yield f"{place}.type: {kind or 'TYPE_UNSPECIFIED'} is no type that is supported"
    yield from _keyword_errors(schema, kind, place)
    yield from _structure_errors(schema, kind, place)
    for name, inner in (schema.properties or {}).items():
        yield from _schema_errors(inner, f"{place}.properties[{name}]", backend, deep + 1)
    if schema.items is not None:
        yield from _schema_errors(schema.items, f"{place}.items", backend, deep + 1)
    for number, inner in enumerate(schema.any_of or ()):
        yield from _schema_errors(inner, f"{place}.any_of[{number}]", backend, deep + 1)


def _keyword_errors(schema: ParameterSchema, kind: str, place: str) -> Iterator[str]:
    if schema.format is not None and schema.format not in (known := _FORMATS.get(kind, ())):
        only = " and ".join(f"'{each}'" for each in known) or "none"
        yield f"{place}.format: only {only} are supported for {kind} type"
    for number, choice in enumerate(schema.enum or ()):
        if not choice:
            yield f"{place}.enum[{number}]: cannot be empty"
    if schema.enum is not None and kind != "STRING":
        yield f"{place}.enum: only allowed for STRING type"
    for word in ("additional_properties", "default"):
        if word in schema.model_fields_set and getattr(schema, word) is not None:
            yield f"* Unknown name \"{word}\" at '{place.removeprefix('* ')}': Cannot find field."


def _structure_errors(schema: ParameterSchema, kind: str, place: str) -> Iterator[str]:
    if kind == "OBJECT" and not schema.properties:
        yield f"{place}.properties: should be non-empty for OBJECT type"
    if kind == "ARRAY" and schema.items is None:
        yield f"{place}.items: missing field"
    for number, name in enumerate(schema.required or ()):
        if kind != "OBJECT":
            yield f"{place}.required: only allowed for OBJECT type"
        elif name not in (schema.properties or {}):
            yield f"{place}.required[{number}]: property is not defined"
