"""The kiosk's tools as functions of the service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.genai import types

from kioskd.adapters.gemini.functions import BlockingRule, declarations, holds_up, response
from kioskd.ports import Scheduling, ToolAnswer


@dataclass
class Named:
    name: str = "open_door"
    description: str = "Opens a door."
    parameters: Mapping[str, object] = field(default_factory=dict)
    blocking: bool = False


def declared(parameters: Mapping[str, object] | None = None) -> types.FunctionDeclaration:
    tool = declarations([Named(parameters=parameters or {})], "non_blocking")
    assert tool is not None
    assert tool.function_declarations is not None
    return tool.function_declarations[0]


def schema_of(given: Any) -> dict[str, Any]:
    """Return the service's form of one parameter's schema."""
    parameters = {"type": "object", "properties": {"it": given}}
    found = declared(parameters).parameters
    assert found is not None
    told: dict[str, Any] = found.model_dump(exclude_none=True, mode="json")
    assert told["type"] == "OBJECT"
    it: dict[str, Any] = told["properties"]["it"]
    return it


def test_without_tools_no_functions_are_declared() -> None:
    assert declarations([], "non_blocking") is None


def test_a_declaration_has_name_description_parameters_and_behaviour() -> None:
    found = declared(
        {
            "type": "object",
            "required": ["which"],
            "additionalProperties": False,
            "properties": {
                "which": {"type": "string", "enum": ["left", "right"], "description": "Which door."},
                "minutes": {"type": "integer", "minimum": 1, "maximum": 5},
            },
        }
    )
    assert found.model_dump(exclude_none=True, mode="json") == {
        "name": "open_door",
        "description": "Opens a door.",
        "behavior": "NON_BLOCKING",
        "parameters": {
            "type": "OBJECT",
            "required": ["which"],
            "properties": {
                "which": {"type": "STRING", "enum": ["left", "right"], "description": "Which door."},
                "minutes": {"type": "INTEGER", "minimum": 1.0, "maximum": 5.0},
            },
        },
    }


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_a_tool_without_parameters_is_declared_without_them(parameters: Mapping[str, object]) -> None:
    assert declared(parameters).parameters is None


@pytest.mark.parametrize(
    ("functions", "blocking", "behavior", "holds"),
    [
        ("blocking_only", True, None, True),
        ("blocking_only", False, None, True),
        ("blocking", True, "BLOCKING", True),
        ("blocking", False, "NON_BLOCKING", False),
        ("non_blocking", True, "BLOCKING", True),
        ("non_blocking", False, "NON_BLOCKING", False),
        ("non_blocking_only", True, "NON_BLOCKING", False),
        ("non_blocking_only", False, "NON_BLOCKING", False),
    ],
)
def test_a_model_with_one_behaviour_ignores_whether_a_tool_asks_to_block(
    functions: BlockingRule, blocking: bool, behavior: str | None, holds: bool
) -> None:
    tool = Named(blocking=blocking)
    found = declarations([tool], functions)
    assert found is not None
    assert found.function_declarations is not None
    assert found.function_declarations[0].behavior == behavior
    assert holds_up(tool, functions) == holds


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"type": "string", "pattern": "^a$", "default": "b", "examples": ["c"]},
            {"type": "STRING", "pattern": "^a$"},
        ),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"any_of": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        (
            {"oneOf": [{"type": "string"}, {"type": "number"}]},
            {"any_of": [{"type": "STRING"}, {"type": "NUMBER"}]},
        ),
        (
            {"anyOf": [{"type": "string"}, {"const": "a"}]},
            {"any_of": [{"type": "STRING"}, {"type": "STRING", "enum": ["a"]}]},
        ),
        ({"enum": [1, 2]}, {"type": "INTEGER", "description": "one of: 1, 2"}),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, {"type": "INTEGER", "minimum": 1.0}),
        (
            {"allOf": [True, {"allOf": [{"type": "integer", "maximum": 3}], "minimum": 1}], "minimum": 2},
            {"type": "INTEGER", "minimum": 2.0, "maximum": 3.0},
        ),
        ({"items": {"type": "string"}}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"type": "object", "properties": {}},
            {"type": "STRING", "description": "a JSON object, written as text"},
        ),
        (
            {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 2}]},
            {"any_of": [{"type": "INTEGER", "minimum": 5.0}, {"type": "INTEGER", "maximum": 2.0}]},
        ),
        (
            {"type": "array", "items": {"type": "integer"}, "anyOf": [{"minItems": 1}]},
            {"type": "ARRAY", "items": {"type": "INTEGER"}},
        ),
        (True, {"type": "STRING"}),
        ({}, {"type": "STRING"}),
    ],
)  # fmt: skip
def test_a_schema_is_declared_in_the_keywords_that_the_service_knows(
    given: Any, told: dict[str, Any]
) -> None:
    assert schema_of(given) == told


TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
TOLD_TEXT, TOLD_WHOLE = {"type": "STRING"}, {"type": "INTEGER"}


@pytest.mark.parametrize("typed", [{"type": "object"}, {}])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"properties": {"a": TEXT, "b": WHOLE}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
            {"properties": {"a": TOLD_TEXT, "b": TOLD_WHOLE}},
        ),
        (
            {"properties": {"a": TEXT},
             "oneOf": [{"properties": {"b": TEXT}}, {"properties": {"b": WHOLE, "a": WHOLE}}]},
            {"properties": {"a": TOLD_TEXT, "b": {"any_of": [TOLD_TEXT, TOLD_WHOLE]}}},
        ),
        (
            {"properties": {"a": TEXT}, "allOf": [{"properties": {"b": WHOLE}, "required": ["b"]}],
             "required": ["a"]},
            {"properties": {"a": TOLD_TEXT, "b": TOLD_WHOLE}, "required": ["a", "b"]},
        ),
        (
            {"allOf": [{"properties": {"a": TEXT}}, {"properties": {"a": {"maxLength": 3}, "b": WHOLE}}]},
            {"properties": {"a": {"type": "STRING", "max_length": 3}, "b": TOLD_WHOLE}},
        ),
        (
            {"allOf": [{"oneOf": [{"properties": {"a": TEXT}}, {"required": ["b"]}]}],
             "properties": {"b": WHOLE}},
            {"properties": {"a": TOLD_TEXT, "b": TOLD_WHOLE}},
        ),
        (
            {"properties": {"a": TEXT}, "required": ["a", "gone"]},
            {"properties": {"a": TOLD_TEXT}, "required": ["a"]},
        ),
    ],
)  # fmt: skip
def test_exactly_the_tools_parameters_are_declared(
    given: dict[str, Any], typed: dict[str, Any], told: dict[str, Any]
) -> None:
    assert schema_of(typed | given) == {"type": "OBJECT"} | told


def test_parameters_in_subschemas_are_declared_too() -> None:
    found = declared({"type": "object", "allOf": [{"properties": {"room": WHOLE}, "required": ["room"]}]})
    assert found.parameters is not None
    told = found.parameters.model_dump(exclude_none=True, mode="json")
    assert told == {"type": "OBJECT", "properties": {"room": TOLD_WHOLE}, "required": ["room"]}


@pytest.mark.parametrize(
    ("scheduling", "non_blocking", "silent", "told"),
    [
        ("when_idle", True, False, "WHEN_IDLE"),
        ("interrupt", True, False, "INTERRUPT"),
        ("silent", True, False, "SILENT"),
        (None, True, False, None),
        ("interrupt", True, True, "SILENT"),
        (None, True, True, "SILENT"),
        ("interrupt", False, False, None),
        ("interrupt", False, True, None),
    ],
)
def test_scheduling_is_sent_only_to_a_model_that_did_not_wait(
    scheduling: Scheduling | None, non_blocking: bool, silent: bool, told: str | None
) -> None:
    answer = ToolAnswer("1", "open_door", {"status": "ok"}, scheduling)
    found = response(answer, non_blocking=non_blocking, silent=silent, with_picture=True)
    assert found.scheduling == told
    assert (found.id, found.name, found.response, found.parts) == ("1", "open_door", {"status": "ok"}, None)
