"""Text and JSON from outside are made valid when they arrive, and escaped when a person reads them."""

import json
from typing import Any

import pytest

from kioskd import sanitize


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("plain", "plain"),
        ("Grüße 🎈 שלום", "Grüße 🎈 שלום"),
        ("\ud83d", "\ufffd"),
        ("a\ude00b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
    ],
)
def test_half_characters_are_replaced_and_nothing_else_is(given: str, whole: str) -> None:
    assert sanitize.text(given) == whole
    assert whole.encode()


MISLEADING = (
    "\x00\x1b\x7f\x85\x9b\n\r\u202a\u202e\u2066\u2069\u200e\u200f\u061c\u200b\u200d\u2060\ufeff\u00ad\u2028\u034f\u3164"
    "\ud83d\U000e0041"
)


@pytest.mark.parametrize("char", list(MISLEADING))
def test_characters_that_could_mislead_a_reader_are_escaped(char: str) -> None:
    shown = sanitize.printable(f"a{char}b")
    assert shown.isascii()
    assert shown[1] == "\\"


def test_words_in_any_script_stay_as_they_are() -> None:
    words = "Grüße, naïve 東京 שלום مرحبا 🎈 — “ok”"
    assert sanitize.printable(words) == words


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 2**63, -(10**400), "\ud83d", {"\ud83d": {}}])
def test_a_value_that_json_cannot_hold_becomes_one_that_it_can(value: Any) -> None:
    clean = sanitize.json_value([value], 100)
    assert json.loads(json.dumps(clean, allow_nan=False).encode()) == clean
    assert clean == sanitize.json_value(clean, 100)


def test_a_value_that_is_nested_too_deeply_or_too_long_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        sanitize.json_value(deep, 100)
    with pytest.raises(ValueError, match="text"):
        sanitize.json_value(["a" * 60, {"b" * 60: 1}], 100)
