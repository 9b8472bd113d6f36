"""What is refused before anything runs."""

import time

import pytest

from kioskd.patterns import compiled
from kioskd.tools.arguments import PATTERN_S, Arguments

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


def test_what_fits_has_no_fault() -> None:
    assert Arguments(SCHEMA).fault({"item": "shoes", "size": 42}) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "'item' is a required property"),
        ({"item": 7}, "$.item: 7 is not of type 'string'"),
        ({"item": "shoes", "size": 51}, "$.size"),
        ({"item": "shoes", "colour": "red"}, "'colour' was unexpected"),
        ({"item": "\ud800"}, "no Unicode"),
        ({"item": "shoes", "any": [float("inf")]}, "a number has no end"),
        ({"item": "shoes", "any": {"n": float("nan")}}, "a number has no end"),
        ({"item": "shoes", "any": 10**400}, "a number is too large"),
    ],
)
def test_what_does_not_fit_is_told_where(arguments: dict[str, object], words: str) -> None:
    assert words in str(Arguments(SCHEMA).fault(arguments))


def test_ten_megabytes_are_refused_at_once_and_not_repeated() -> None:
    began = time.perf_counter()
    fault = str(Arguments(SCHEMA).fault({"item": "x" * 10_000_000}))
    assert "larger than" in fault
    assert len(fault) < 300
    assert time.perf_counter() - began < 0.5


def test_a_flood_of_small_values_is_refused() -> None:
    assert "larger than" in str(Arguments(SCHEMA).fault({"item": "a", "any": [0] * 1_000_000}))


def test_deep_nesting_is_refused() -> None:
    deep: object = "bottom"
    for _ in range(100_000):
        deep = [deep]
    assert "deeper" in str(Arguments(SCHEMA).fault({"item": "a", "any": deep}))


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "#/$defs/none"}, {"$ref": "http://127.0.0.1:9/x"}]
)
def test_a_schema_that_leads_nowhere_refuses_the_call_and_fetches_nothing(schema: dict[str, object]) -> None:
    assert "goes in circles or nowhere" in str(Arguments(schema).fault({}))


@pytest.mark.parametrize("step", [0.5, 1e-300, 3, 10**400])
@pytest.mark.parametrize("number", [2**1023 - 1, -(2**1023) + 1, 1e308, -0.0])
def test_no_number_is_too_much_for_a_step(number: float, step: float) -> None:
    check = Arguments({"type": "object", "properties": {"n": {"type": "number", "multipleOf": step}}})
    fault = check.fault({"n": number})
    assert fault is None or fault.startswith("$.n: ") or fault == "a number is not one to reckon with"


def test_what_is_the_same_twice_is_found_at_once_in_a_long_list() -> None:
    check = Arguments({"type": "object", "properties": {"l": {"type": "array", "uniqueItems": True}}})
    items: list[object] = [{"k": number} for number in range(3500)]
    began = time.perf_counter()
    assert check.fault({"l": items}) is None
    assert "twice" in str(check.fault({"l": [*items, {"k": 7}]}))
    assert check.fault({"l": [1, True, "1", None, [], {}]}) is None
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("pattern", ["^(a|a?)+$", "(a|aa)+$"])
def test_a_pattern_that_would_take_for_ever_is_given_up(pattern: str) -> None:
    items = {"type": "array", "items": {"type": "string", "pattern": pattern}}
    check = Arguments({"type": "object", "properties": {"items": items}})
    began = time.perf_counter()
    assert "too long" in str(check.fault({"items": ["a" * 1500 + "!"] * 10}))
    assert time.perf_counter() - began < 2


def test_a_pattern_is_searched_for_in_texts_only() -> None:
    check = Arguments({"type": "object", "properties": {"item": {"pattern": "^[a-z]+[0-9]$"}}})
    assert check.fault({"item": "shoe7"}) is None
    assert check.fault({"item": 7}) is None
    assert check.fault({"item": "7"}) == "$.item: does not match '^[a-z]+[0-9]$'"


def patterns(**wanted: str) -> Arguments:
    properties = {name: {"type": "string", "pattern": pattern} for name, pattern in wanted.items()}
    return Arguments({"type": "object", "properties": properties})


@pytest.mark.parametrize("pattern", ["^[[:foo:]]$", "[[:alpha:]", "^[A-Z]{d}$", "("])
def test_a_pattern_that_cannot_be_used_refuses_the_call_and_ends_nothing(pattern: str) -> None:
    assert patterns(item=pattern).fault({"item": "a"}) == "$.item: has a pattern that cannot be used"


def test_what_is_slow_to_get_ready_takes_nothing_of_the_time_of_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(pattern: str) -> object:
        began = time.perf_counter()
        while time.perf_counter() - began < 2 * PATTERN_S:
            pass
        return compiled(pattern)

    monkeypatch.setattr("kioskd.tools.arguments.compiled", slow)
    assert patterns(item="^[0-9]{4}$").fault({"item": "1234"}) is None


def test_the_text_that_took_too_long_is_named_and_no_other() -> None:
    check = patterns(slow="(a|aa)+$", quick="^[0-9]+$")
    assert check.fault({"slow": "a" * 60 + "!", "quick": "123"}) == (
        "$.slow: it takes too long to see whether it fits its pattern"
    )
    assert check.fault({"slow": "a", "quick": "123"}) is None
    assert check.fault({"slow": "a", "quick": "x"}) == "$.quick: does not match '^[0-9]+$'"


def test_a_pattern_that_must_not_fit_is_not_passed_by_taking_long() -> None:
    item = {"type": "string", "not": {"pattern": "(a|aa)+$"}}
    check = Arguments({"type": "object", "properties": {"item": item}})
    assert check.fault({"item": "b"}) is None
    assert "too long" in str(check.fault({"item": "a" * 60 + "!"}))
