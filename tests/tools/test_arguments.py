"""Arguments that are rejected before anything runs."""

import time
from typing import Any

import pytest

from kioskd.tools.arguments import LARGEST, Arguments
from kioskd.tools.kinds.mcp.schema import usable

SCHEMA = {
    "type": "object",
    "properties": {
        "item": {"type": "string", "maxLength": 20},
        "size": {"type": "integer", "minimum": 30, "maximum": 50},
        "any": {},
    },
    "required": ["item"],
    "additionalProperties": False,
}


def test_fitting_arguments_have_no_fault() -> None:
    assert Arguments(SCHEMA).fault({"item": "shoes", "size": 42}) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "'item' is a required property"),
        ({"item": 7}, "$.item: 7 is not of type 'string'"),
        ({"item": "shoes", "size": 51}, "$.size"),
        ({"item": "shoes", "colour": "red"}, "'colour' was unexpected"),
        ({"item": "\ud800"}, "half characters"),
        ({"item": "shoes", "any": [float("inf")]}, "a number is infinite"),
        ({"item": "shoes", "any": {"n": float("nan")}}, "a number is infinite"),
        ({"item": "shoes", "any": 10**400}, "a number is too large"),
    ],
)
def test_the_fault_names_the_place_that_does_not_fit(arguments: dict[str, object], words: str) -> None:
    assert words in str(Arguments(SCHEMA).fault(arguments))


def test_ten_megabytes_are_rejected_at_once_and_not_repeated() -> None:
    began = time.thread_time()
    fault = str(Arguments(SCHEMA).fault({"item": "x" * 10_000_000}))
    assert "larger than" in fault
    assert len(fault) < 300
    assert time.thread_time() - began < 0.5


def test_too_many_small_values_are_rejected() -> None:
    assert "larger than" in str(Arguments(SCHEMA).fault({"item": "a", "any": [0] * 1_000_000}))


def test_deep_nesting_is_rejected() -> None:
    deep: object = "bottom"
    for _ in range(100_000):
        deep = [deep]
    assert "deeper" in str(Arguments(SCHEMA).fault({"item": "a", "any": deep}))


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "#/$defs/none"}, {"$ref": "http://127.0.0.1:9/x"}]
)
def test_a_schema_with_an_unusable_reference_rejects_the_call_and_fetches_nothing(
    schema: dict[str, object],
) -> None:
    assert "refers to itself or to nothing" in str(Arguments(schema).fault({}))


@pytest.mark.parametrize("step", [0.5, 1e-300, 3, 10**400])
@pytest.mark.parametrize("number", [2**1023 - 1, -(2**1023) + 1, 1e308, -0.0])
def test_any_number_can_be_checked_for_multiple_of(number: float, step: float) -> None:
    check = Arguments({"type": "object", "properties": {"n": {"type": "number", "multipleOf": step}}})
    fault = check.fault({"n": number})
    assert fault is None or fault.startswith("$.n: ") or fault == "a number is not one to reckon with"


def test_equal_items_of_a_long_list_are_found_quickly() -> None:
    check = Arguments({"type": "object", "properties": {"l": {"type": "array", "uniqueItems": True}}})
    items: list[object] = [{"k": number} for number in range(3500)]
    began = time.thread_time()
    assert check.fault({"l": items}) is None
    assert "twice" in str(check.fault({"l": [*items, {"k": 7}]}))
    assert check.fault({"l": [1, True, "1", None, [], {}]}) is None
    assert time.thread_time() - began < 1


@pytest.mark.parametrize("pattern", ["^(a|a?)+$", "(a|aa)+$", "^(a+)+$", "(.*a){12}$", "(a|b)*a(a|b){14}$"])
def test_a_pattern_that_is_endless_for_other_libraries_is_quick(pattern: str) -> None:
    items = {"type": "array", "items": {"type": "string", "pattern": pattern}}
    check = Arguments({"type": "object", "properties": {"items": items}})
    held_ms = hold_ms(lambda: check.fault({"items": ["a" * 1500 + "!"] * 10}))
    assert "does not match" in str(check.fault({"items": ["a" * 1500 + "!"] * 10}))
    assert held_ms < HOLD_MS


def test_a_pattern_applies_only_to_texts() -> None:
    check = Arguments({"type": "object", "properties": {"item": {"pattern": "^[a-z]+[0-9]$"}}})
    assert check.fault({"item": "shoe7"}) is None
    assert check.fault({"item": 7}) is None
    assert check.fault({"item": "7"}) == "$.item: does not match '^[a-z]+[0-9]$'"


@pytest.mark.parametrize("pattern", ["^[A-Z]{d}$", "(", "(?=a)", r"(a)\1", "(a{1000}){1000}"])
def test_an_unusable_pattern_rejects_the_call_without_an_error(pattern: str) -> None:
    check = Arguments({"type": "object", "properties": {"item": {"type": "string", "pattern": pattern}}})
    assert "schema cannot be used" in str(check.fault({"item": "a"}))


def test_a_forbidden_pattern_is_found_in_a_long_text() -> None:
    item = {"type": "string", "not": {"pattern": "(a|aa)+$"}}
    check = Arguments({"type": "object", "properties": {"item": item}})
    assert check.fault({"item": "a" * 60 + "!"}) is None
    assert check.fault({"item": "a" * 60}) is not None


HOLD_MS = 50.0
"""Milliseconds for which a call or a listing may block the event loop, however hostile it is."""


def hold_ms(work: Any) -> float:
    """Return the milliseconds of processor time of `work`: the least of three tries."""
    tries = []
    for _ in range(3):
        began = time.thread_time()
        work()
        tries.append((time.thread_time() - began) * 1000)
    return min(tries)


def listing(inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"l": inner}}


BRANCHES = [
    {"type": "object", "properties": {"a": {"enum": [f"{n}", "x"]}}, "required": ["a"]} for n in range(90)
]
HOSTILE_SCHEMAS = {
    "branches": listing({"items": {"anyOf": BRANCHES}}),
    "one of": listing({"items": {"oneOf": BRANCHES}}),
    "all of": listing({"items": {"allOf": [{"not": {"const": "x"}}] * 240}}),
    "unique": listing({"type": "array", "uniqueItems": True}),
    "steps": listing({"items": {"multipleOf": 1e-300}}),
    "enum": listing({"items": {"enum": [f"value {n}" for n in range(900)]}}),
    "contains": listing({"contains": {"allOf": [{"const": "x"}] * 300}, "minContains": 2}),
    "names": {"type": "object", "propertyNames": {"allOf": [{"maxLength": 99}] * 300}},
    "lengths": listing({"items": {"allOf": [{"minLength": 1, "maxLength": 9000}] * 300}}),
    "deep": listing({"not": {"not": {"not": {"items": {"not": {"items": {"not": {}}}}}}}}),
}
HOSTILE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "many": {"l": [{"a": "zz"}] * 4000},
    "numbers": {"l": list(range(8000))},
    "large numbers": {"l": [2**1022 - n for n in range(100)]},
    "texts": {"l": ["zzzzzzz"] * 1800},
    "a long text": {"l": ["z" * (LARGEST - 100)]},
    "names": {f"k{n}": n for n in range(2500)},
    "lists": {"l": [[[]] * 3] * 1900},
    "too much": {"l": [[0] * 1000] * 1000},
}


@pytest.mark.parametrize("arguments", HOSTILE_ARGUMENTS.values(), ids=HOSTILE_ARGUMENTS.keys())
@pytest.mark.parametrize("schema", HOSTILE_SCHEMAS.values(), ids=HOSTILE_SCHEMAS.keys())
def test_no_call_blocks_the_loop(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    taken = usable(schema)
    assert taken is not None
    check = Arguments(taken)
    assert hold_ms(lambda: check.fault(arguments)) < HOLD_MS


@pytest.mark.parametrize("schema", HOSTILE_SCHEMAS.values(), ids=HOSTILE_SCHEMAS.keys())
def test_no_schema_of_a_listing_blocks_the_loop(schema: dict[str, Any]) -> None:
    assert hold_ms(lambda: usable(schema)) < HOLD_MS
    assert hold_ms(lambda: Arguments(schema)) < HOLD_MS


def test_an_ordinary_call_is_checked_against_a_large_schema() -> None:
    properties = {
        f"p{n}": {"type": "string", "enum": ["a", "b", "c"], "description": "d"} for n in range(100)
    }
    check = Arguments({"type": "object", "properties": properties, "additionalProperties": False})
    assert check.fault({f"p{n}": "a" for n in range(100)}) is None
