"""The usable form of a server's schema."""

import time
from typing import Any

import pytest

from kioskd.tools.arguments import Arguments
from kioskd.tools.kinds.mcp.schema import LARGEST, MOST_PARTS, usable


def of(it: Any, **definitions: Any) -> Any:
    """Return the usable form of one parameter's schema."""
    found = usable({"type": "object", "properties": {"it": it}, "$defs": definitions})
    assert found is not None
    assert found.keys() == {"type", "properties"}
    return found["properties"]["it"]


def test_references_elsewhere_and_endless_patterns_are_left_out() -> None:
    schema = {
        "type": "object",
        "$id": "http://example/x",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {
            "pattern": {"type": "string", "pattern": "(a+)+$"},
            "far": {"$ref": "http://example/y"},
            "near": {"$ref": "#/$defs/z"},
            "$ref": {"unevaluatedProperties": False, "patternProperties": {"(a+)+$": {}}},
        },
        "$defs": {"z": {"type": "string"}},
    }
    assert usable(schema) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string"},
            "far": {},
            "near": {"type": "string"},
            "$ref": {},
        },
    }


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"$ref": "#/$defs/door"}, {"type": "string"}),
        ({"$ref": "#/definitions/none"}, {}),
        ({"$ref": "#door"}, {}),
        ({"$ref": "#/$defs/a~1b"}, {"type": "integer"}),
        ({"$ref": "#/$defs/anything"}, True),
        ({"$ref": "#/$defs/door", "description": "D"}, {"description": "D", "allOf": [{"type": "string"}]}),
        (
            {"$ref": "#/$defs/door", "allOf": [{"minLength": 1}]},
            {"allOf": [{"type": "string"}, {"minLength": 1}]},
        ),
        ({"items": {"$ref": "#/$defs/door"}}, {"items": {"type": "string"}}),
        ({"const": {"$ref": "#/$defs/door"}}, {"const": {"$ref": "#/$defs/door"}}),
        ({"enum": [{"pattern": 1}]}, {"enum": [{"pattern": 1}]}),
    ],
)
def test_a_reference_is_replaced_by_the_part_that_it_names(given: Any, taken: Any) -> None:
    assert of(given, door={"type": "string"}, anything=True, **{"a/b": {"type": "integer"}}) == taken


def test_a_reference_can_name_any_part_of_the_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"one": {"type": "string"}, "two": {"$ref": "#/properties/one"}},
    }
    assert (usable(schema) or {})["properties"]["two"] == {"type": "string"}


def test_a_schema_that_contains_itself_has_an_end() -> None:
    inner = {"$ref": "#/$defs/tree"}
    assert of(inner, tree={"type": "object", "properties": {"left": inner, "right": inner}}) == {
        "type": "object",
        "properties": {"left": {}, "right": {}},
    }


def test_references_that_each_name_another_one_twice_are_rejected_at_once() -> None:
    began = time.thread_time()
    for word in ("anyOf", "allOf", "oneOf"):
        twice = {f"t{n}": {word: [{"$ref": f"#/$defs/t{n + 1}"}] * 2} for n in range(24)}
        assert usable({"type": "object", "properties": {"q": {"$ref": "#/$defs/t0"}}, "$defs": twice}) is None
    assert time.thread_time() - began < 1


def test_arguments_are_checked_quickly_against_a_recursive_schema_with_branches() -> None:
    branch = {"properties": {"a": {"$ref": "#/$defs/t"}}}
    schema = usable(
        {
            "type": "object",
            "properties": {"q": {"$ref": "#/$defs/t"}},
            "$defs": {"t": {"anyOf": [branch] * 50}},
        }
    )
    deep: dict[str, object] = {"a": 1}
    for _ in range(5):
        deep = {"a": deep}
    began = time.thread_time()
    assert Arguments(schema or {}).fault({"q": deep}) is None
    assert time.thread_time() - began < 1


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"type": "object", "properties": {"it": {"type": "no such type"}}},
        {"$ref": "#/$defs/x", "$defs": {"x": True}},
        {"type": "object", "description": "x" * LARGEST},
        {"type": "object", "properties": {"it": {"maximum": float("inf")}}},
        {"type": "object", "properties": {"it": {"anyOf": [{}] * MOST_PARTS}}},
        {
            "type": "object",
            "properties": {f"p{n}": {"$ref": "#/$defs/x"} for n in range(100)},
            "$defs": {"x": {"description": "x" * 1000}},
        },
    ],
)
def test_a_schema_that_is_too_large_or_not_of_an_object_is_not_used(schema: dict[str, Any]) -> None:
    assert usable(schema) is None


def test_a_schema_deeper_than_any_argument_is_not_used() -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"not": deep}
    assert usable({"type": "object", "properties": {"it": deep}}) is None


def test_a_reference_is_read_as_a_json_pointer_in_a_uri() -> None:
    text = {"type": "string"}
    schema = {
        "$id": "https://example/tool.json",
        "type": "object",
        "properties": {
            "by number": {"$ref": "#/anyOf/1"},
            "in a tuple": {"$ref": "#/$defs/pair/items/0"},
            "not so far": {"$ref": "#/anyOf/7"},
            "no number": {"$ref": "#/anyOf/-1"},
            "escaped": {"$ref": "#/$defs/red%20%26%20blue"},
            "slash": {"$ref": "#/$defs/a~1b~0c"},
            "escaped twice": {"$ref": "#/%24defs/a%7E1b~0c"},
            "by name": {"$ref": "#door"},
            "by its own address": {"$ref": "https://example/tool.json#/anyOf/1"},
        },
        "anyOf": [True, text],
        "$defs": {
            "red & blue": text,
            "a/b~c": text,
            "pair": {"items": [text, {"type": "integer"}]},
            "named": {"$anchor": "door", "type": "string"},
        },
    }
    found = (usable(schema) or {})["properties"]
    assert {name: part for name, part in found.items() if part != text} == {"not so far": {}, "no number": {}}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"items": [{"type": "string"}, {"type": "integer"}]}, ["a", 1, None], ["a", "b"]),
        ({"items": [{"type": "string"}], "additionalItems": False}, ["a"], ["a", "b"]),
        ({"items": [{"type": "string"}], "additionalItems": {"type": "integer"}}, ["a", 1], ["a", "b"]),
        ({"items": {"type": "string"}, "additionalItems": False}, ["a", "b"], [1]),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
        ({"items": [], "additionalItems": False}, [], [1]),
        ({"items": [True, False]}, [1], [1, 2]),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, 2, 1),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": False}, 1, 0),
        ({"type": "string", "nullable": True, "enum": ["a"]}, None, 1),
        ({"dependencies": {"a": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}),
        ({"dependencies": {"a": {"required": ["b"]}}}, {"b": 2}, {"a": 1}),
        (
            {"patternProperties": {"^x-": {}}, "additionalProperties": False, "required": ["x-a"]},
            {"x-a": 1},
            {},
        ),
        ({"type": "string", "required": True}, "a", 1),
        (True, "anything", None),
    ],
)
def test_keywords_of_other_drafts_keep_their_meaning(schema: Any, good: Any, bad: Any) -> None:
    taken = usable({"type": "object", "properties": {"it": schema}})
    assert taken is not None
    check = Arguments(taken)
    assert check.fault({"it": good}) is None
    assert schema is True or check.fault({"it": bad}) is not None


def test_a_forbidden_property_is_rejected() -> None:
    check = Arguments(usable({"type": "object", "properties": {"it": False, "a": True}}) or {})
    assert check.fault({"a": 1}) is None
    assert check.fault({"it": 1}) is not None


@pytest.mark.parametrize(
    "root",
    [
        {"properties": {"a": {"type": "string"}}},
        {"type": ["object", "null"], "properties": {"a": {"type": "string"}}},
    ],
)  # fmt: skip
def test_a_root_that_can_be_an_object_is_taken_as_an_object(root: dict[str, Any]) -> None:
    assert (usable(root) or {}) == {"type": "object", "properties": {"a": {"type": "string"}}}
