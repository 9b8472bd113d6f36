"""The captions on a screen of characters: what fits, in lines of the terminal's width."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

CUT: Final = "…"
"""Stands at the end of a reply that was silenced."""

_BEGIN: Final = "\x1b[0m\x1b[?25l\x1b[H"
"""Plain text, no cursor, and on from the first line."""
_NEXT: Final = "\x1b[K\r\n"
_REST: Final = "\x1b[K\x1b[J"
"""Deletes the rest of the line and all lines below. So the screen does not flicker as an empty one would."""
_BOLD: Final = "\x1b[1m"
_PLAIN: Final = "\x1b[0m"

END: Final = "\x1b[0m\x1b[2J\x1b[3J\x1b[H\x1b[?25h"
"""Leaves an empty screen with a cursor, and no memory of earlier lines."""


def width(text: str) -> int:
    """Return the number of columns that `text` takes: two for a wide character, none for a combining one."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def wrapped(text: str, columns: int) -> Iterator[str]:
    """Yield `text` in lines of at most `columns` columns, broken at spaces where there are some."""
    line, used = "", 0
    for word in text.split(" "):
        need = width(word)
        if line and used + 1 + need <= columns:
            line, used = f"{line} {word}", used + 1 + need
            continue
        if line:
            yield line
        line, used = "", 0
        for char in word:
            if used + _columns(char) > columns:
                yield line
                line, used = "", 0
            line, used = line + char, used + _columns(char)
    if line:
        yield line


def screen(lines: Sequence[Mapping[str, Any]], status: Mapping[str, Any], columns: int, rows: int) -> str:
    """Return the text that draws the captions on a terminal of that size, the newest line last."""
    labels = status["labels"]
    head = [harmless(_state(status))]
    if status["code"]:
        head += wrapped(harmless(status["words"] or status["code"]), columns)
    shown: list[str] = []
    for line in lines:
        text = f"{labels[line['who']]}: {line['text']}" + (f" {CUT}" if line["cut"] else "")
        bold = line["who"] == "kiosk"
        shown += [f"{_BOLD}{part}{_PLAIN}" if bold else part for part in wrapped(harmless(text), columns)]
    room = max(rows - len(head) - 1, 1)
    return _BEGIN + _NEXT.join([*head, "", *shown[-room:]]) + _REST


def _state(status: Mapping[str, Any]) -> str:
    if (left_s := status["ends_in_s"]) is None:
        return str(status["label"])
    return f"{status['label']}    {status['labels']['left']}: {left_s // 60}:{left_s % 60:02}"


def harmless(text: str) -> str:
    """Return `text` without the characters that steer a terminal or turn directions."""
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co"))
