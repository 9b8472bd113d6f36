"""A tool's JSON Schema in the service's form: only parts that the service would reject are left out."""

import random
import time
from collections.abc import Mapping
from typing import Any

import pytest
from google.genai import types

from kioskd.adapters.gemini.function_schema import declared_schema, restored
from kioskd.simulator.auth import Backend
from kioskd.simulator.function_rules import check_functions
from kioskd.simulator.schema import WireTool
from kioskd.simulator.wire import RefusalError
from kioskd.tools.kinds.mcp.schema import usable


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def told(it: Any) -> dict[str, Any]:
    """Return the service's form of one parameter's schema."""
    found = declared_schema(of(it=it))
    assert found is not None
    form: dict[str, Any] = found["properties"]["it"]
    return form


def refusal(schema: Mapping[str, Any], backend: Backend) -> str:
    """Return why the service would reject a function with these parameters; empty if it would not."""
    form = declared_schema(schema)
    parameters = types.Schema.model_validate(form) if form else None
    function = types.FunctionDeclaration(name="f", description="d", parameters=parameters)
    said = types.Tool(function_declarations=[function]).model_dump(exclude_none=True, mode="json")
    try:
        check_functions([WireTool.model_validate(said)], backend)
    except RefusalError as refused:
        return refused.reason
    return ""


FROM_THE_FIELD = {
    "format uri": of(url={"type": "string", "format": "uri"}),
    "formats of texts": of(
        a={"type": "string", "format": "uuid"},
        b={"type": "string", "format": "email"},
        c={"type": "string", "format": "date"},
    ),
    "format of a number": of(n={"type": "integer", "format": "uint32"}),
    "format of another type": of(n={"type": "number", "format": "date-time"}),
    "format of a list": of(n={"type": "array", "items": {}, "format": "uri"}),
    "empty choice": of(order={"type": "string", "enum": ["asc", "desc", ""]}),
    "only the empty choice": of(order={"type": "string", "enum": [""]}),
    "empty choice in a union": of(link={"anyOf": [{"type": "string", "enum": [""]}, {"type": "string"}]}),
    "choices of text on a number": of(n={"type": "integer", "enum": ["1", "2"]}),
    "choices of a truth value": of(n={"type": "boolean", "enum": [True]}),
    "choices of many types": of(n={"enum": ["a", 1, None, True]}),
    "free-form object": of(query={"type": "object", "description": "a filter"}),
    "list of free-form objects": of(rows={"type": "array", "items": {"type": "object"}}),
    "map": of(headers={"type": "object", "additionalProperties": {"type": "string"}}),
    "nullable free-form object": of(o={"anyOf": [{"type": "object"}, {"type": "null"}]}),
    "union with words beside it": of(
        w={"anyOf": [{"type": "number"}, {"type": "string"}], "description": "weight", "title": "W"}
    ),
    "union that may be null": of(w={"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}),
    "list of types with words beside it": of(w={"type": ["number", "string"], "description": "weight"}),
    "empty union": of(w={"anyOf": [], "oneOf": [False]}),
    "only null": of(w={"type": "null"}),
    "no type of JSON": of(w={"type": "any"}),
    "required of no property": of(i={"type": "object", "required": ["x"], "properties": {"y": {}}}),
    "required beside no object": of(i={"type": "string", "required": ["x"]}),
    "bounds beyond every number": of(i={"type": "integer", "minimum": -(10**400), "maxLength": 10**30}),
    "bounds of another type": of(i={"type": "string", "minimum": 1, "maxItems": 3}),
    "half characters": of(**{"a\ud800": {}, "b": {"description": "\ud800", "enum": ["\udfff", "x"]}}),
    "false and true": of(a=False, b=True, c={"type": "array", "items": False}),
    "a name that is empty": of(**{"": {"type": "string"}, "a": {"type": "string"}}),
    "tuple": of(t={"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}),
    "default and examples": of(t={"type": "string", "default": "a", "examples": ["b"]}),
    "words of other drafts": of(
        t={"type": "number", "exclusiveMinimum": 1, "readOnly": True, "$comment": "x"}
    ),
}


@pytest.mark.parametrize("backend", ["developer", "vertex"])
@pytest.mark.parametrize("schema", FROM_THE_FIELD.values(), ids=FROM_THE_FIELD.keys())
def test_schemas_of_real_tools_are_accepted(schema: dict[str, Any], backend: Backend) -> None:
    assert refusal(schema, backend) == ""


def test_a_schema_of_any_depth_is_accepted() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(30):
        deep = {"type": "array", "items": of(x=deep)}
    assert refusal(of(it=deep), "developer") == ""


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"type": "string", "format": "uri"}, {"type": "STRING", "description": "format: uri"}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "integer", "format": "int64"}, {"type": "INTEGER", "format": "int64"}),
        (
            {"type": "integer", "enum": [1, 2], "description": "Floor."},
            {"type": "INTEGER", "description": "Floor. (one of: 1, 2)"},
        ),
        ({"enum": ["a", "", "a"]}, {"type": "STRING", "enum": ["a"], "description": "may be empty"}),
        ({"enum": ["a", None]}, {"type": "STRING", "enum": ["a"], "nullable": True}),
        ({"type": "string", "nullable": True}, {"type": "STRING", "nullable": True}),
        ({"type": "number", "exclusiveMinimum": 0}, {"type": "NUMBER", "description": "more than 0"}),
        (
            {"type": "object", "description": "a filter"},
            {"type": "STRING", "description": "a filter (a JSON object, written as text)"},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "T", "description": "D"},
            {"type": "STRING", "description": "D", "nullable": True},
        ),
        (
            {"type": ["number", "string", "null"], "description": "D"},
            {
                "anyOf": [
                    {"type": "NUMBER", "description": "D", "nullable": True},
                    {"type": "STRING", "description": "D", "nullable": True},
                ]
            },
        ),
        (
            {"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
            {"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}},
        ),
        (
            {"items": [{"type": "string"}], "additionalItems": {"type": "string"}},
            {"type": "ARRAY", "items": {"type": "STRING"}},
        ),
    ],
)  # fmt: skip
def test_keywords_that_the_services_schema_lacks_become_hints_in_the_description(
    given: dict[str, Any], form: dict[str, Any]
) -> None:
    assert told(given) == form


@pytest.mark.parametrize(
    ("schema", "given", "found"),
    [
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": ["object", "null"]}, '{"a": 1}', {"a": 1}),
        ({"anyOf": [{"type": "object"}, {"type": "null"}]}, "{}", {}),
        ({"type": "array", "items": {"type": "object"}}, ['{"a": 1}', {"b": 2}], [{"a": 1}, {"b": 2}]),
        ({"type": "array"}, "[1]", [1]),
        ({"type": "string"}, '{"a": 1}', '{"a": 1}'),
        ({"type": ["object", "string"]}, "{}", "{}"),
        ({}, "{}", "{}"),
        ({"type": "object"}, "no JSON", "no JSON"),
        ({"type": "object"}, "[1]", "[1]"),
        ({"type": "object"}, "[" * 100_000, "[" * 100_000),
    ],
)
def test_an_object_written_as_text_is_restored(schema: Any, given: Any, found: Any) -> None:
    assert restored(of(it=schema), {"it": given, "other": "{}"}) == {"it": found, "other": "{}"}


def random_schema(chance: random.Random, deep: int = 0) -> Any:
    """Return a schema that no author would write."""
    if deep > 3 or chance.random() < 0.1:
        return chance.choice([True, False, {}, {"type": "null"}])
    scalars = ["", "a", "\ud800", 0, -1, 1.5, 10**400, None, True, [], {}, "date-time", "uri", "int32"]
    found: dict[str, Any] = {}
    for word in (
        "type",
        "format",
        "enum",
        "const",
        "minimum",
        "maxLength",
        "minItems",
        "pattern",
        "description",
    ):
        if chance.random() < 0.3:
            found[word] = chance.choice(scalars)
    if chance.random() < 0.7:
        kinds = ["string", "integer", "number", "boolean", "array", "object", "null"]
        found["type"] = chance.choice([*kinds, chance.sample(kinds, 3)])
    if chance.random() < 0.3:
        found["enum"] = chance.sample(scalars, 4)
    for word in ("items", "additionalProperties", "additionalItems", "not"):
        if chance.random() < 0.3:
            found[word] = random_schema(chance, deep + 1)
    for word in ("anyOf", "oneOf", "allOf", "prefixItems", "items"):
        if chance.random() < 0.2:
            found[word] = [random_schema(chance, deep + 1) for _ in range(chance.randrange(3))]
    if chance.random() < 0.5:
        found["properties"] = {name: random_schema(chance, deep + 1) for name in ("a", "", "b\udfff")}
        found["required"] = ["a", "gone"]
    return found


def test_any_random_schema_is_accepted() -> None:
    chance = random.Random(13)
    for number in range(1000):
        schema = of(it=random_schema(chance))
        backend: Backend = "vertex" if number % 2 else "developer"
        assert refusal(schema, backend) == "", schema
        restored(schema, {"it": {"a": ["{}"]}})


def test_a_schema_of_nested_unions_is_translated_quickly() -> None:
    union: Any = {"type": "string"}
    for number in range(60):
        union = {"anyOf": [union, {"type": "integer", "minimum": number}], "description": "x"}
    schema = usable(of(it={"anyOf": [{"oneOf": [{"minLength": n}] * 9} for n in range(40)]})) or {}
    began = time.thread_time()
    declared_schema(of(it=union))
    declared_schema(schema)
    assert time.thread_time() - began < 1
