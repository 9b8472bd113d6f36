"""Text and JSON of peers and files, made harmless.

`text` and `json_value` are for values that come in. The other functions are for text that a person's terminal, editor or
journal shows.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Final

DEEPEST: Final = 64
"""Levels of nesting that a JSON value may have."""

LARGEST_INTEGER: Final = 2**63 - 1

_BLANKS: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\U000e0100-\U000e01ef]")
"""Characters that Python calls printable and that show nothing."""


def text(value: str) -> str:
    """Return `value` with each half of a character (a lone surrogate) replaced by U+FFFD, so that UTF-8 can hold it."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


def printable(value: str) -> str:
    """Return `value` with an escape such as `\\x1b` or `\\u202e` for each character that could mislead its reader.

    These are control characters, direction marks, characters without width, line breaks and half characters.
    """
    return _without_unprintable(value, lambda char: char.encode("unicode_escape").decode())


def replaced(value: str) -> str:
    """Return `value` with U+FFFD for each character that `printable` would escape: for a terminal, where width counts."""
    return _without_unprintable(value, lambda _: "\ufffd")


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return `value` as JSON that a terminal can show: what `printable` would escape is escaped as JSON does it."""
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
    """Return a JSON value that every JSON reader takes.

    Text is made whole. A number that JSON or 64 bits cannot hold becomes text, so that a check of its type fails.

    Raises:
        ValueError: the value is nested deeper than `DEEPEST`, or all its text has more than `most_chars` characters.
    """
    left = most_chars

    def clean(value: object, depth: int) -> object:
        nonlocal left
        if depth > DEEPEST:
            raise ValueError("nested too deep")
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
