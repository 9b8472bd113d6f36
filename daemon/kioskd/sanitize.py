"""Making text and JSON of peers and files harmless.

`text` and `json_value` are for incoming values. The other functions are for text that a person's terminal,
editor or journal shows.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Final

DEEPEST: Final = 64
"""The most levels of nesting in a JSON value."""

LARGEST_INTEGER: Final = 2**63 - 1

_BLANKS: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U000e0100-\U000e01ef]")
"""Characters that Python calls printable, but that show nothing."""


def text(value: str) -> str:
    """Return `value` with U+FFFD for each lone surrogate, so that UTF-8 can encode it."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def printable(value: str) -> str:
    """Return `value` with an escape, such as `\\x1b` or `\\u202e`, for each misleading character.

    Escaped are control characters, direction marks, characters without width, line breaks and lone
    surrogates.
    """
    return _without_unprintable(value, lambda char: char.encode("unicode_escape").decode())


def replaced(value: str) -> str:
    """Return `value` for a terminal: U+FFFD stands for each character that `printable` escapes."""
    return _without_unprintable(value, lambda _: "\ufffd")


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return `value` as JSON for a terminal. Characters that `printable` escapes become JSON escapes."""
    lines = json.dumps(value, indent=indent, ensure_ascii=False).split("\n")
    return "\n".join(_without_unprintable(line, _json_escaped) for line in lines)


def _json_escaped(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) > 127 else f"\\u{ord(char):04x}"


def _without_unprintable(value: str, replace: Callable[[str], str]) -> str:
    if value.isprintable() and not _BLANKS.search(value):
        return value
    return "".join(
        char if char.isprintable() and not _BLANKS.match(char) else replace(char) for char in value
    )


def json_value(value: object, most_chars: int) -> object:
    """Return a JSON value that every JSON reader accepts.

    Lone surrogates become U+FFFD. A number that JSON or 64 bits cannot hold becomes text, so that a check of
    its type fails.

    Raises:
        ValueError: the value is nested deeper than `DEEPEST`, or all its text has more than `most_chars`
        characters.
    """
    left = most_chars

    def clean(value: object, depth: int) -> object:
        nonlocal left
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        if isinstance(value, str):
            left -= len(value)
            if left < 0:
                raise ValueError("too much text")
            return text(value)
        if isinstance(value, dict):
            return {str(clean(str(key), depth + 1)): clean(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [clean(inner, depth + 1) for inner in value]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_INTEGER:
            return "a number of more than 64 bits"
        return value

    return clean(value, 0)
