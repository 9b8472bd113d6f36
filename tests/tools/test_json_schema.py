"""Patterns: the accepted ones, and their places in a schema."""

import pytest

from kioskd.tools.json_schema import parts, pattern_fault, validator


@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        (r"^[0-9]{4}$", "1234", "123"),
        (r"^[A-Z]{1,3}-\d{2,}$", "AB-12", "AB-1"),
        (r"^\{e\}$", "{e}", ""),
        (r"^[{}]+$", "{}", "e"),
        (r"^[^[]$", "a", "["),
        (r"^[\w.-]+@[\w.-]+$", "a@b.c", "a"),
        (r"^[:alpha]+$", "a:", "b"),
        (r"^(a|aa)+$", "aaa", "aab"),
        (r"^\u00e4$", "\u00e4", "a"),
    ],
)
def test_a_pattern_is_read_as_json_schema_reads_it(pattern: str, fits: str, not_: str) -> None:
    assert pattern_fault(pattern) is None
    found = validator({"pattern": pattern})
    assert (found.is_valid(fits), found.is_valid(not_)) == (True, False)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "is not a valid pattern: missing )"),
        ("[", "is not a valid pattern: unterminated"),
        ("a{99999999999}", "is not a valid pattern"),
        ("^[A-Z]{d}$", "write \\{"),
        ("(?:front){e}", "write \\{"),
        ("{", "write \\{"),
        ("a{,2}", "write \\{"),
        ("^[[:foo:]]$", "holds [["),
        ("[a-z--b]", "holds [["),
        ("(?=a)", "looks around"),
        ("(?<!a)b", "looks around"),
        (r"(a)\1", "refers back"),
        ("((a{500}){500}){9}", "too large"),
    ],
)
def test_invalid_patterns_and_endless_ones_are_rejected(pattern: str, words: str) -> None:
    assert words in str(pattern_fault(pattern))


def test_a_check_fetches_nothing() -> None:
    with pytest.raises(ValueError, match="Retrieval is disabled"):
        validator({"$ref": "http://127.0.0.1:9/x"})


def test_names_and_data_are_not_taken_for_schemas() -> None:
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
