"""Patterns: which are taken, and where they stand in a schema."""

import random
import re
import warnings

import pytest
import regex  # type: ignore[import-untyped] # no types

from kioskd.patterns import PatternError, compiled, parts


@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        (r"^[0-9]{4}$", "1234", "123"),
        (r"^[A-Z]{1,3}-\d{2,}$", "AB-12", "AB-1"),
        (r"^\{e\}$", "{e}", ""),
        (r"^[{}]+$", "{}", "e"),
        (r"^\N{BULLET}{,2}$", "\u2022", "*"),
        (r"^[]a\]-]+$", "]a-", "b"),
        (r"^[^[]$", "a", "["),
        (r"^[\w.-]+@[\w.-]+$", "a@b.c", "a"),
        (r"^[:alpha]+$", "a:", "b"),
    ],
)
def test_what_all_read_alike_is_taken(pattern: str, fits: str, not_: str) -> None:
    found = compiled(pattern)
    assert found.search(fits, timeout=1)
    assert not found.search(not_, timeout=1)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "is no pattern: missing )"),
        ("(?V1)a", "is no pattern: unknown extension"),
        (r"\p{Lu}", "is no pattern: bad escape"),
        ("a{99999999999}", "is no pattern"),
        ("^[A-Z]{d}$", "write \\{"),
        ("(?:front){e}", "write \\{"),
        ("(?:front){s<=2}", "write \\{"),
        ("{", "write \\{"),
        ("^[[:foo:]]$", "holds [["),
        ("[[:alpha:]", "holds [["),
        ("[a[:alpha:]]", "holds [["),
        ("^[[a-z]+$", "holds [["),
        ("[a-z--b]", "holds [["),
        ("[a-z&&b]", "holds [["),
    ],
)
def test_what_some_read_otherwise_is_refused(pattern: str, words: str) -> None:
    for _ in range(2):  # a second time as well: Python keeps what it has read, and does not warn again
        with pytest.raises(PatternError) as caught:
            compiled(pattern)
        assert words in str(caught.value)


def test_what_is_taken_warns_of_nothing_and_means_to_one_library_what_it_means_to_the_other() -> None:
    dice, taken = random.Random(6), 0
    pieces = [*"[[]^-&|~:{},12ade.?*+()$", "[:alpha:]", r"\]", r"\[", r"\{", r"\d", "{2}", "{e}", "(?:"]
    texts = ["", "a", "d", "[", "]", "{e}", "a]", ":a", "-", "12", "aa", "e2"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20_000):
            pattern = "".join(dice.choices(pieces, k=dice.randint(1, 8)))
            try:
                found = compiled(pattern)
            except PatternError:
                continue
            taken += 1
            assert isinstance(found, regex.Pattern)
            for text in texts:
                assert bool(found.search(text)) == bool(re.search(pattern, text)), (pattern, text)
    assert taken > 1000


def test_names_and_data_are_no_schemas() -> None:
    schema = {
        "properties": {
            "pattern": {"pattern": "a"},
            "properties": {"patternProperties": {"b": {"pattern": "c"}}},
            "some": {"default": {"pattern": "("}, "enum": [{"pattern": "("}], "anyOf": [{"pattern": "d"}]},
        },
        "propertyNames": {"pattern": "e"},
    }
    found = {path: part["pattern"] for path, part in parts(schema) if "pattern" in part}
    assert found == {
        ("properties", "pattern"): "a",
        ("properties", "properties", "patternProperties", "b"): "c",
        ("properties", "some", "anyOf", 0): "d",
        ("propertyNames",): "e",
    }
    assert {part for part, _ in parts(schema)} >= {(), ("properties", "properties")}
