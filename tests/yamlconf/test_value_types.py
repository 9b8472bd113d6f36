"""The text that a message shows for a value."""

import pytest

from kioskd.yamlconf.value_types import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (20.0, "20"),
        (7, "7"),
        ("gpio:gpiochip0/1", "gpio:gpiochip0/1"),
        ("20", "'20'"),
        ("a\nb", r"'a\nb'"),
        ("x" * 41, "a text of 41 characters"),
        ((), "[]"),
        ((1,), "a list"),
        ({"a": 1}, "a group of settings"),
    ],
)
def test_a_value_is_shown_short_and_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text
