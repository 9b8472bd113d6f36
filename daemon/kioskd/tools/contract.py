"""What all kinds of tools have in common: what they declare, what guards them, and what a call comes to.

A result is data for the model and nothing else: nobody reads settings or instructions out of it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

from kioskd.tools.guard import Guard, NamedSettings
from kioskd.tools.json_text import encode, size
from kioskd.tools.kinds.value_types import AnswerForm

ToolStatus = Literal["ok", "no_results", "error", "timeout", "refused", "busy"]

CUT: Final = " [cut here: the rest is too long]"
HIDDEN: Final = "(hidden)"
LONGEST_MESSAGE: Final = 300
DEEPEST_DATA: Final = 40
MOST_VALUES: Final = 5_000
"""Of an answer: to go through more would hold the loop up, and the model is told a small part of it anyway."""
MOST_MARKS: Final = 20_000
"""Commas and brackets of a message that is parsed as a whole: a megabyte of empty lists took a fifth of a second."""
NO_JSON: Final = "its answer is no JSON"
TOO_MANY: Final = f"its answer has more than {MOST_VALUES} values"
NOTHING: Final = "nothing was found; the same call again will find nothing again"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call."""

    status: ToolStatus
    message: str
    """One plain sentence for the model."""
    data: object = field(default=None, repr=False)
    """JSON; None where there is none to give."""
    retryable: bool = False
    """Whether the same call may do better a little later, and does no harm."""
    picture: bytes | None = field(default=None, repr=False)
    """A JPEG that the model shall see."""

    def as_json(self, limit_bytes: int) -> dict[str, object]:
        """Return what the model is told, at most `limit_bytes` (512 or more) of JSON in UTF-8.

        Data that is too long becomes the beginning of its text, with a marker at the end and `cut: true`.

        Raises:
            ValueError, TypeError, RecursionError: the data is no JSON.
        """
        message = self.message[:LONGEST_MESSAGE]
        head: dict[str, object] = {"status": self.status, "retryable": self.retryable, "message": message}
        while size(head) > limit_bytes:  # characters of several bytes
            message = message[: len(message) // 2]
            head["message"] = message
        if self.data is None:
            return head
        whole = head | {"data": self.data}
        if size(whole) <= limit_bytes:
            return whole
        text = self.data if isinstance(self.data, str) else encode(self.data)
        room = limit_bytes - size(head | {"data": CUT, "cut": True})
        return head | {"data": _beginning(text, room) + CUT, "cut": True}


def _beginning(text: str, room: int) -> str:
    text = text[: max(room, 0)]
    while text and (taken := size(text) - 2) > room:
        text = text[: min(len(text) - 1, len(text) * room // taken)]
    return text


def found(data: object, message: str = "done") -> ToolResult:
    """Return `data` as a result that says so plainly when there is nothing in it."""
    return ToolResult("no_results", NOTHING) if _empty(data) else ToolResult("ok", message, data)


def inside(data: object) -> Iterable[object]:
    """Return what is in a group or list of JSON; nothing for any other value."""
    if isinstance(data, Mapping):
        return data.values()
    return data if isinstance(data, list | tuple) else ()


def _empty(data: object) -> bool:
    """Whether nothing but empty texts and empty groups is in it; a number or truth value is something."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            waiting.extend(inside(value))
        elif not (value is None or (isinstance(value, str) and not value.strip())):
            return False
    return True


def read_answer(raw: bytes, how: AnswerForm, charset: str = "utf-8") -> ToolResult:
    """Return what a tool has answered in bytes, read as the owner says it is. `charset` is one that Python has."""
    if how == "none":
        return ToolResult("ok", "done")
    text = raw.decode(charset, errors="replace").removeprefix("\ufeff")  # a byte order mark
    if how == "text":
        return found(text.strip())
    if not text.strip():
        return found(None)
    return _json_answer(text)


def _json_answer(text: str) -> ToolResult:
    if sum(map(text.count, ",[{")) > 2 * MOST_VALUES:
        return failed(TOO_MANY)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return failed(NO_JSON)
    fault = unfit(data)
    return found(data) if fault is None else failed(fault)


def failed(message: str, *, retryable: bool = False, data: object = None) -> ToolResult:
    """Return the result of a call that came to nothing."""
    return ToolResult("error", message, data, retryable=retryable)


def refused(message: str) -> ToolResult:
    """Return the result of a call that was not carried out at all."""
    return ToolResult("refused", message)


def marks(raw: bytes) -> int:
    """Return how many values `raw` may have as JSON, at the most and at no cost."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def too_many(data: object) -> bool:
    """Whether `data` has more values than are gone through."""
    waiting, left = [data], MOST_VALUES
    while waiting and len(waiting) <= left:
        left -= 1
        waiting.extend(inside(waiting.pop()))
    return bool(waiting)


def too_deep(data: object) -> bool:
    """Whether `data` is nested deeper than any answer is."""
    level = [data]
    for _ in range(DEEPEST_DATA):
        level = [inner for outer in level for inner in inside(outer)]
        if not level:
            return False
    return True


def unfit(data: object) -> str | None:
    """Return why `data` cannot be told to the model; None where it can."""
    if too_many(data):
        return TOO_MANY
    if too_deep(data):
        return "its answer is nested too deeply"
    try:
        encode(data).encode()  # NaN and half characters are no JSON
    except (TypeError, ValueError, RecursionError):
        return NO_JSON
    return None


def hide(data: object, secrets: Sequence[SecretStr]) -> object:
    """Return `data` with every secret in its texts replaced, also as it stands in a URL. `data` is not nested too deeply."""
    plain = [secret.get_secret_value() for secret in secrets]
    if not plain:
        return data
    written = {form for secret in plain for form in (secret, quote(secret, safe=""), quote_plus(secret))}
    return _without(data, sorted(written, key=len, reverse=True))


def _without(data: object, words: Sequence[str]) -> object:
    if isinstance(data, str):
        for word in words:
            data = data.replace(word, HIDDEN)
        return data
    if isinstance(data, Mapping):
        return {str(_without(name, words)): _without(value, words) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without(value, words) for value in data]
    return data


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the model is told of a tool; a `ports.Tool`."""

    name: str
    description: str
    parameters: Mapping[str, object]
    blocking: bool = False
    repeatable: bool = False
    """Whether calling it twice does no more than calling it once: it only looks something up."""


def declared(tool: NamedSettings, *, repeatable: bool = False) -> Declaration:
    """Return what the settings say of a tool."""
    return Declaration(tool.name, tool.description, tool.parameters, tool.blocking, repeatable)


class ToolSource(Protocol):
    """One configured tool, or a server that has several."""

    @property
    def declarations(self) -> Sequence[Declaration]:
        """What it offers now: the same objects until something has changed."""

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Carry out one call; `arguments` have passed the schema. Several may run at once.

        Cancelling it ends whatever it has begun, and returns soon.
        """

    async def ready(self) -> None:
        """Return when it has found out once what it offers, or that it cannot; `run` must be running."""

    async def run(self) -> None:
        """Keep what it needs between calls (a connection) until cancelled; return at once if that is nothing.

        Trouble of the world stays inside.
        """


class FixedTool:
    """A tool that offers only what its settings say, and needs nothing between calls: a `ToolSource` but for `call`."""

    def __init__(self, *declarations: Declaration) -> None:
        self.declarations = declarations

    async def ready(self) -> None:
        """Return at once."""

    async def run(self) -> None:
        """Return at once."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A tool and what guards it."""

    source: ToolSource
    guard: Guard
    secrets: Sequence[SecretStr] = ()
    """What must never be in a result."""
    place: str = ""
    """Where the owner has set it."""
