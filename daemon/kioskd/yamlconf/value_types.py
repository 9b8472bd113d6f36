"""Types and markers of values in the YAML, for the fields of the models.

Each raises the whole text of a fault (error type `said`). `load` adds its place.
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
"""Length of the longest text that a fault repeats. A longer one can be a secret in the wrong place, and would
hide the message."""

_CLOCK: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"

# fmt: off
VoiceName = Literal[
    "Zephyr", "Puck", "Charon", "Kore", "Fenrir", "Leda", "Orus", "Aoede", "Callirrhoe", "Autonoe",
    "Enceladus", "Iapetus", "Umbriel", "Algieba", "Despina", "Erinome", "Algenib", "Rasalgethi",
    "Laomedeia", "Achernar", "Alnilam", "Schedar", "Gacrux", "Pulcherrima", "Achird", "Zubenelgenubi",
    "Vindemiatrix", "Sadachbia", "Sadaltager", "Sulafat",
]
# fmt: on


def alone(value: object) -> str:
    """Return words that say how to write one text or number in the place of `value`."""
    match value:
        case dict():
            return "write one value on the line of this setting, without names below it"
        case list() | tuple():
            return "write one value on the line of this setting, without brackets or -"
        case _:
            return "write one, in quotes if it has unusual characters"


def shown(value: object) -> str:
    """Return `value` for the text of a fault: short, on one line, and as it is written in YAML."""
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
    """Return an error with the whole text of a fault."""
    return PydanticCustomError("said", "{text}", {"text": text})


def at(path: Sequence[str | int], what: str) -> ValidationError:
    """Return an error that points at the place `path` within a value."""
    return at_each([(path, what)])


def at_each(faults: Iterable[tuple[Sequence[str | int], str]]) -> ValidationError:
    """Return an error with one message for each of several places within a value."""
    return ValidationError.from_exception_data(
        "settings", [InitErrorDetails(type=said(what), loc=tuple(path), input=None) for path, what in faults]
    )


@dataclass(frozen=True, slots=True)
class Range:
    """Marker of a number that must lie within [least, most]. `why` is the reason, as a clause."""

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
        use = f"write {shown(self.least)} to {shown(self.most)}"
        raise said(f"{shown(value)} is {side} {shown(limit)} ({self.why}); {use}")


@dataclass(frozen=True, slots=True)
class UnusedAt:
    """Marker of a setting that has no effect if the setting `name` above it has the value `value`.

    `why` is the reason and the remedy.
    """

    name: str
    value: object
    why: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def _check(self, given: Any, info: ValidationInfo) -> Any:
        if given and self.name in info.data and info.data[self.name] == self.value:
            raise said(f"has no effect: {self.why}")
        return given


def form(pattern: str, fault: str) -> AfterValidator:
    """Return the check of a text that `pattern` must match as a whole. In the message, `fault` follows the
    text."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise said(f"{shown(text)} {fault}")
        return text

    return AfterValidator(check)


def _sentence(text: str) -> str:
    if not text.strip():
        raise said("is empty; write a text, or remove the line")
    return text


def split_address(text: str, fault: str) -> SplitResult:
    """Return the parts of an address. Raises an error with the text `fault` if its host or port cannot be
    read."""
    try:
        url = urlsplit(text)
        _ = url.hostname, url.port
    except ValueError:
        raise said(fault) from None
    return url


def _endpoint(text: str) -> str:
    form = "write https://HOST or https://HOST:PORT"
    url = split_address(text, f"has a host or port that cannot be read; {form}")
    if url.scheme != "https":
        raise said("must begin with https://, because kioskd connects with TLS only; write https://HOST:PORT")
    if not url.hostname or url.port == 0 or not text.isprintable() or " " in text:
        raise said(f"is not an address with a host; {form}")
    if url.username is not None or url.query or url.fragment:
        raise said(
            "has more than host, port and path, and others could read it; remove name, password and query"
        )
    return text


def _proxy(text: str) -> str:
    # The text is not repeated, because it may hold a password.
    fault = (
        "is not the address of an HTTP proxy; write http://HOST:PORT, for example http://proxy.example:3128"
    )
    url = split_address(text, fault)
    if url.scheme != "http" or not url.hostname or not url.port or not text.isprintable() or " " in text:
        raise said(fault)
    if url.username is not None or url.path.strip("/") or url.query or url.fragment:
        raise said(
            "has more than host and port, and others could read it; remove name, password, path and query"
        )
    return text


def _sound_device(text: str) -> str:
    # No card's id begins with a digit: the kernel sees to that.
    if re.search(r"^[0-9]+$|hw:(?:CARD=)?[0-9]", text, re.IGNORECASE):
        raise said(
            f"{shown(text)} is the number of a card, which can change at a restart; "
            "write a name that kioskd devices prints, or hw:CARD=NAME"
        )
    return text


def resolved_path(value: object, info: ValidationInfo) -> object:
    """Return `value` as a path. A relative path starts at the folder of the YAML file.

    Raises:
        PydanticCustomError: `value` is not a path.
    """
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.isprintable() or not value.strip():
        raise said(f"{shown(value)} is not a path; {alone(value)}")
    if value.startswith("~"):
        raise said(
            f"{shown(value)} begins with ~, but the daemon has no home folder; write the path from / on"
        )
    return Path((info.context or {}).get("folder", "."), value)


def program(word: str, info: ValidationInfo) -> str:
    """Return a program as it is started: a name to find in PATH, or a path that starts at the YAML file's
    folder."""
    if "/" not in word:
        return word
    return str((info.context or {}).get("folder", Path()).absolute() / word)


OwnerText = Annotated[str, AfterValidator(_sentence)]
Name = Annotated[OwnerText, StringConstraints(max_length=200)]
ApiVersion = Annotated[
    str, form(r"v[0-9]+((alpha|beta)[0-9]*)?", "is not a version; write one, for example v1beta")
]
HttpProxy = Annotated[str, AfterValidator(_proxy)]
ClockTime = Annotated[str, form(_CLOCK, 'is not a time of day; write HH:MM in quotes, for example "22:00"')]
Https = Annotated[str, AfterValidator(_endpoint)]
Language = Annotated[
    str,
    form(
        "[a-z]{2,3}-[A-Z]{2}",
        "is not a language with a country; write, for example, en-US, de-DE or no-NO",
    ),
]
LanguageOrAuto = Annotated[
    str,
    form(
        "auto|[a-z]{2,3}-[A-Z]{2}",
        "is not a language with a country; write, for example, en-US, de-DE or no-NO, or auto",
    ),
]
Location = Annotated[
    str,
    StringConstraints(max_length=60),
    # It becomes part of the service's host name.
    form("[a-z]+(-[a-z0-9]+)*", "is not a Google Cloud location; write, for example, global or europe-west4"),
]
Project = Annotated[
    str,
    StringConstraints(max_length=100),
    form("[a-z0-9.-]+(:[a-z0-9-]+)?", "is not a Google Cloud project; write its ID, for example my-project"),
]
QuietHours = Annotated[
    str,
    form(
        rf"({_CLOCK})-(?!\1){_CLOCK}",
        'is not a span of time; write HH:MM-HH:MM in quotes, for example "22:00-07:00"',
    ),
]
SoundDeviceName = Annotated[Name, AfterValidator(_sound_device)]
_WORD: Final = re.compile("[a-z0-9_]{1,40}")


def _wake_word(value: str, info: ValidationInfo) -> str:
    if value.endswith(".json"):
        return str(resolved_path(value, info))
    if not _WORD.fullmatch(value):
        raise said(
            f"{shown(value)} is not a wake word; write small letters, digits and _, for example hey_jarvis, "
            "or the path of a model's .json file"
        )
    return value


WakeWord = Annotated[str, AfterValidator(_wake_word)]
"""A wake word of the library, or the path of a model's description. A relative path starts at the folder of
the YAML file."""
PathOnDisk = Annotated[Path, BeforeValidator(resolved_path, json_schema_input_type=str)]
"""A path. A relative one starts at the folder of the YAML file."""
