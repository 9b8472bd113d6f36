"""Types that all kinds of tools share: declarations, guarded tools, and results of calls.

A result is only data for the model. The daemon never reads settings or instructions from it.
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
"""Most values of an answer. More would block the event loop, and the model gets only a small part anyway."""
MOST_MARKS: Final = 20_000
"""Most commas and brackets of a message that is parsed at once: a megabyte of empty lists took 0.2 s."""
NO_JSON: Final = "its answer is not valid JSON"
TOO_MANY: Final = f"its answer has more than {MOST_VALUES} values"
NOTHING: Final = "nothing was found; the same call would find nothing again"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Result of a call."""

    status: ToolStatus
    message: str
    """One plain sentence for the model."""
    data: object = field(default=None, repr=False)
    """JSON value; None if there is no data."""
    retryable: bool = False
    """Whether the same call may succeed a little later, and does no harm."""
    picture: bytes | None = field(default=None, repr=False)
    """JPEG that the model is to see."""

    def as_json(self, limit_bytes: int) -> dict[str, object]:
        """Return the answer for the model: at most `limit_bytes` (512 or more) of JSON in UTF-8.

        Data that is too long becomes the beginning of its text, with a marker at the end and `cut: true`.

        Raises:
            ValueError, TypeError, RecursionError: the data cannot be written as JSON.
        """
        message = self.message[:LONGEST_MESSAGE]
        head: dict[str, object] = {"status": self.status, "retryable": self.retryable, "message": message}
        while size(head) > limit_bytes:  # a character can take several bytes
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
    """Return `data` as a result; if it is empty, the result says that nothing was found."""
    return ToolResult("no_results", NOTHING) if _empty(data) else ToolResult("ok", message, data)


def inside(data: object) -> Iterable[object]:
    """Return the values within a JSON object or list; an empty tuple for any other value."""
    if isinstance(data, Mapping):
        return data.values()
    return data if isinstance(data, list | tuple) else ()


def _empty(data: object) -> bool:
    """Return whether `data` holds only empty texts and groups. A number or truth value is not empty."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            waiting.extend(inside(value))
        elif not (value is None or (isinstance(value, str) and not value.strip())):
            return False
    return True


def read_answer(raw: bytes, how: AnswerForm, charset: str = "utf-8") -> ToolResult:
    """Return a tool's answer as a result, read in the form that the owner has set.

    Python must know `charset`.
    """
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
    """Return the result of a call that failed."""
    return ToolResult("error", message, data, retryable=retryable)


def refused(message: str) -> ToolResult:
    """Return the result of a call that was not carried out."""
    return ToolResult("refused", message)


def marks(raw: bytes) -> int:
    """Return an upper limit for the number of values in `raw`, without parsing it."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def too_many(data: object) -> bool:
    """Return whether `data` has more than `MOST_VALUES` values."""
    waiting, left = [data], MOST_VALUES
    while waiting and len(waiting) <= left:
        left -= 1
        waiting.extend(inside(waiting.pop()))
    return bool(waiting)


def too_deep(data: object) -> bool:
    """Return whether `data` is nested deeper than `DEEPEST_DATA` levels."""
    level = [data]
    for _ in range(DEEPEST_DATA):
        level = [inner for outer in level for inner in inside(outer)]
        if not level:
            return False
    return True


def unfit(data: object) -> str | None:
    """Return why `data` cannot be sent to the model; None if it can."""
    if too_many(data):
        return TOO_MANY
    if too_deep(data):
        return "its answer is nested too deeply"
    try:
        encode(data).encode()  # fails for NaN and half characters
    except (TypeError, ValueError, RecursionError):
        return NO_JSON
    return None


def hide(data: object, secrets: Sequence[SecretStr]) -> object:
    """Return `data` with every secret in its texts replaced, also in the forms used in URLs.

    `data` must not be nested too deeply.
    """
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
    """Declaration of a tool to the model; a `ports.Tool`."""

    name: str
    description: str
    parameters: Mapping[str, object]
    blocking: bool = False
    repeatable: bool = False
    """Whether calling it twice does the same as calling it once, as for a look-up."""


def declared(tool: NamedSettings, *, repeatable: bool = False) -> Declaration:
    """Return the declaration that the settings of a tool describe."""
    return Declaration(tool.name, tool.description, tool.parameters, tool.blocking, repeatable)


class ToolSource(Protocol):
    """One configured tool, or a server with several tools."""

    @property
    def declarations(self) -> Sequence[Declaration]:
        """The tools on offer now: the same objects until something changes."""

    @property
    def condition(self) -> str:
        """The source's name and its condition, in words for `kioskd status`; empty: there is none to tell."""

    async def call(self, name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Carry out one call; `arguments` have passed the schema. Several calls can run at once.

        Cancelling ends everything that the call has started, and returns soon.
        """

    async def ready(self) -> None:
        """Return after the first attempt to find out the tools on offer; `run` must be running."""

    async def run(self) -> None:
        """Keep a connection between calls, if the tool needs one, until cancelled; else return at once.

        Faults of the connection are never raised.
        """


class FixedTool:
    """A tool that its settings describe completely; a `ToolSource` without `call`.

    It needs no connection between calls.
    """

    def __init__(self, *declarations: Declaration) -> None:
        self.declarations = declarations

    @property
    def condition(self) -> str:
        """Nothing: it is always there."""
        return ""

    async def ready(self) -> None:
        """Return at once."""

    async def run(self) -> None:
        """Return at once."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A tool with its guard."""

    source: ToolSource
    guard: Guard
    secrets: Sequence[SecretStr] = ()
    """Secrets that must never be in a result."""
    place: str = ""
    """Place of the tool in the owner's settings."""
