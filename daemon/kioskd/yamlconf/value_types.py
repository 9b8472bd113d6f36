"""How a value of the YAML is written: markers and types for the model's fields.

They raise the whole fault text themselves (error type `said`); `load` adds where it happened.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

LONGEST_ECHO: Final = 40
"""No fault repeats a longer text: it may be a secret in the wrong place, and it would hide the message."""

_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"

# fmt: off
VoiceName = Literal[
    "Zephyr", "Puck", "Charon", "Kore", "Fenrir", "Leda", "Orus", "Aoede", "Callirrhoe", "Autonoe", "Enceladus",
    "Iapetus", "Umbriel", "Algieba", "Despina", "Erinome", "Algenib", "Rasalgethi", "Laomedeia", "Achernar", "Alnilam",
    "Schedar", "Gacrux", "Pulcherrima", "Achird", "Zubenelgenubi", "Vindemiatrix", "Sadachbia", "Sadaltager", "Sulafat",
]
# fmt: on


def alone(value: object) -> str:
    """Return how a value is written that was written as a list or a group, or looks odd."""
    match value:
        case dict():
            return "write it alone on the line of this setting, without names below it"
        case list() | tuple():
            return "write it alone on the line of this setting, without brackets or -"
        case _:
            return "write it, in quotes if it looks odd"


def shown(value: object) -> str:
    """Return `value` as a fault text may repeat it: short, on one line, as the YAML would have it."""
    match value:
        case None:
            text = "nothing"
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:.15g}"
        case str() if len(value) > LONGEST_ECHO:
            text = f"a text of {len(value)} characters"
        case str():
            text = value if re.fullmatch(r"[A-Za-z][\w:./+-]*", value) else repr(value)
        case dict() | BaseModel():
            text = "a group of settings"
        case list() | tuple():
            text = "a list" if value else "[]"
        case _:
            text = str(value)
    return text


def said(text: str) -> PydanticCustomError:
    """Return the error that carries a whole fault text."""
    return PydanticCustomError("said", "{text}", {"text": text})


def at(path: Sequence[str | int], what: str) -> ValidationError:
    """Return the error that points at the place `path` within a value."""
    return at_each([(path, what)])


def at_each(faults: Iterable[tuple[Sequence[str | int], str]]) -> ValidationError:
    """Return the error that points at several places within a value."""
    return ValidationError.from_exception_data(
        "settings", [InitErrorDetails(type=said(what), loc=tuple(path), input=None) for path, what in faults]
    )


@dataclass(frozen=True, slots=True)
class Range:
    """Marks a number that must lie within [least, most], and says why."""

    least: float
    most: float
    why: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"minimum": self.least, "maximum": self.most}

    def _check(self, value: float) -> float:
        if self.least <= value <= self.most:
            return value
        side = "below" if value < self.least else "above"
        limit = self.least if value < self.least else self.most
        raise said(
            f"{shown(value)} is {side} {shown(limit)}, {self.why}; use {shown(self.least)} to {shown(self.most)}"
        )


@dataclass(frozen=True, slots=True)
class UnusedAt:
    """Marks a setting that goes unused where the setting `name`, which stands above it, has the value `value`."""

    name: str
    value: object
    why: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def _check(self, given: Any, info: ValidationInfo) -> Any:
        if given and self.name in info.data and info.data[self.name] == self.value:
            raise said(f"goes unused: {self.why}")
        return given


def form(pattern: str, fault: str) -> AfterValidator:
    """Return the check of a text that `pattern` has to match as a whole. `fault` follows the text in the message."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise said(f"{shown(text)} {fault}")
        return text

    return AfterValidator(check)


def _sentence(text: str) -> str:
    if not text.strip():
        raise said("is empty: a text is needed; write one, or take the line out")
    return text


def split_address(text: str, fault: str) -> SplitResult:
    """Return the parts of an address, or refuse by `fault` one whose host or port cannot be read."""
    try:
        url = urlsplit(text)
        _ = url.hostname, url.port
    except ValueError:
        raise said(fault) from None
    return url


def _endpoint(text: str) -> str:
    form = "write https://HOST or https://HOST:PORT"
    url = split_address(text, f"is no address: host or port cannot be read; {form}")
    if url.scheme != "https":
        raise said("must begin with https://: the service's library speaks TLS only; write https://HOST:PORT")
    if not url.hostname or url.port == 0 or not text.isprintable() or " " in text:
        raise said(f"names no host: an address is needed; {form}")
    if url.username is not None or url.query or url.fragment:
        raise said(
            "holds more than host, port and path: a name, password or query would be seen; take it out"
        )
    return text


def _proxy(text: str) -> str:
    # Not repeated: what stands there may hold a password.
    fault = "is no HTTP proxy: its form is http://HOST:PORT; write http://proxy.example:3128, say"
    url = split_address(text, fault)
    if url.scheme != "http" or not url.hostname or not url.port or not text.isprintable() or " " in text:
        raise said(fault)
    if url.username is not None or url.path.strip("/") or url.query or url.fragment:
        raise said("holds more than host and port: a name or password would be seen by others; take it out")
    return text


def _sound_device(text: str) -> str:
    # No card's id begins with a digit: the kernel sees to that.
    if re.search(r"^[0-9]+$|hw:(?:CARD=)?[0-9]", text, re.IGNORECASE):
        raise said(
            f"{shown(text)} means a card by its number, which another may have after a restart; "
            "write a name that kioskd devices prints, or hw:CARD=NAME"
        )
    return text


def resolved_path(value: object, info: ValidationInfo) -> object:
    """Return a path from / on; a relative one starts at the YAML's own folder. Raises PydanticCustomError for others."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise said(f"{shown(value)} is no path: the name of a file is needed; {alone(value)}")
    if value.startswith("~"):
        raise said(f"{shown(value)} begins with ~, which is nobody's home here; write the path from / on")
    return Path((info.context or {}).get("folder", "."), value)


def program(word: str, info: ValidationInfo) -> str:
    """Return a program as it is started: a name to be found in PATH, or a path, which starts at the YAML's own folder."""
    if "/" not in word:
        return word
    return str((info.context or {}).get("folder", Path()).absolute() / word)


OwnerText = Annotated[str, AfterValidator(_sentence)]
Name = Annotated[OwnerText, StringConstraints(max_length=200)]
ApiVersion = Annotated[
    str, form(r"v[0-9]+((alpha|beta)[0-9]*)?", "is no version of the service; write v1beta, say")
]
HttpProxy = Annotated[str, AfterValidator(_proxy)]
ClockTime = Annotated[
    str, form(_CLOCK, 'is no time of day: its form is HH:MM, in quotes; write "22:00", say')
]
Https = Annotated[str, AfterValidator(_endpoint)]
Language = Annotated[
    str,
    form(
        "[a-z]{2,3}-[A-Z]{2}",
        "is no language: it takes language and country; write en-US, de-DE or no-NO, say",
    ),
]
Location = Annotated[
    str,
    StringConstraints(max_length=60),
    # It becomes part of the service's host name.
    form("[a-z]+(-[a-z0-9]+)*", "is no location of Google Cloud's; write global, eu or europe-west4, say"),
]
Project = Annotated[
    str,
    StringConstraints(max_length=100),
    form("[a-z0-9.-]+(:[a-z0-9-]+)?", "is no project of Google Cloud's; write my-project, say"),
]
QuietHours = Annotated[
    str,
    form(
        rf"({_CLOCK})-(?!\1){_CLOCK}", "is no span of time: its form is HH:MM-HH:MM; write 22:00-07:00, say"
    ),
]
SoundDeviceName = Annotated[Name, AfterValidator(_sound_device)]
WakeWordName = Annotated[
    str,
    form(
        "[a-z0-9_]{1,40}", "is no wake word: its form is small letters, digits and _; write hey_jarvis, say"
    ),
]
PathOnDisk = Annotated[Path, BeforeValidator(resolved_path, json_schema_input_type=str)]
"""A path; a relative one starts at the YAML's own folder."""
