"""A source in the settings ("gpio:pi/17", say): what each kind of camera, button and lamp declares about itself.

Settings, checks and lists read the declarations. A kind imports its adapter in `build`, and not before.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import AfterValidator, ValidationInfo

from kioskd.yamlconf.value_types import said, shown


@dataclass(frozen=True, slots=True)
class DeviceAccess:
    """Device nodes that a source opens."""

    group: str
    """The Unix group that may open them; Debian and Raspberry Pi OS agree on its name."""
    nodes: tuple[tuple[str, str], ...]
    """Their paths as a glob pattern, and the kernel's subsystem that makes them."""
    written: bool = True
    """Whether they are opened for writing, too."""


@dataclass(frozen=True, slots=True)
class Library:
    """A Python module that a source needs."""

    module: str
    extra: str = ""
    """The extra of kioskd that brings it, if one does."""
    debian: str = ""
    """The Debian package that brings it, where the package index does not."""


@dataclass(frozen=True, slots=True)
class DeviceListing:
    """A list that `kioskd devices` prints."""

    title: str
    setting: str
    """The setting that takes its names."""
    find: Callable[[Path, Path], Sequence[Any]]
    """Returns what there is, given the places of /dev and /sys. Blocks."""
    line: Callable[[Any], str] = str
    """Returns the words for one of them."""
    none: str = "none"
    """What is printed where there is none."""

    @property
    def key(self) -> str:
        """Its name in `kioskd devices --json`."""
        return self.title.lower().replace(" ", "_")


class Source:
    """One source of the settings, taken apart."""

    prefix: ClassVar[str]
    """The text before the colon, by which a kind is found."""
    form: ClassVar[str]
    """The whole text as messages show it: "v4l2:NAME", say."""
    pattern: ClassVar[str]
    """A regular expression for the whole text, with a group for each part."""
    library: ClassVar[Library | None] = None
    access: ClassVar[DeviceAccess | None] = None
    listing: ClassVar[DeviceListing | None] = None

    def __init__(self, text: str) -> None:
        """Take `text` apart. ValueError: `text` is of another form."""
        found = re.fullmatch(self.pattern, text)
        if found is None:
            raise ValueError(text)
        self.text = text
        self.parts = found.groups("")

    @property
    def folder(self) -> Path | None:
        """The folder that it reads, if it reads one."""
        return None

    @property
    def attributes(self) -> tuple[str, ...]:
        """The paths of the files in /sys that it writes."""
        return ()

    @property
    def wires(self) -> tuple[str, ...]:
        """Each line, channel, LED or key that it takes; the same one has the same text in all kinds."""
        return (self.text,)

    def resolved(self, info: ValidationInfo) -> str:
        """Return the text as the settings keep it. PydanticCustomError: the text has the right form, and cannot work."""
        return self.text


AnySource = TypeVar("AnySource", bound=Source)


def by_prefix(*kinds: type[AnySource]) -> dict[str, type[AnySource]]:
    """Return a table of kinds."""
    return {kind.prefix: kind for kind in kinds}


def kind_of(kinds: Mapping[str, type[AnySource]], text: str) -> type[AnySource] | None:
    """Return the kind whose prefix `text` has; None where none has it."""
    return kinds.get(text.partition(":")[0])


def parsed(kinds: Mapping[str, type[AnySource]], text: str) -> AnySource:
    """Return `text`, taken apart by the kind whose prefix it has.

    ValueError: no kind has that prefix, or the text after it has another form.
    """
    kind = kind_of(kinds, text)
    if kind is None:
        raise ValueError(text)
    return kind(text)


def forms(kinds: Mapping[str, type[Source]]) -> str:
    """Return in words how sources of these kinds are written."""
    *others, last = (kind.form for kind in kinds.values())
    return f"{', '.join(others)} or {last}"


def source_text(parse: Callable[[str], Source], refusal: Callable[[str], str]) -> AfterValidator:
    """Return the validator of a setting that takes a source; `refusal` says what is wrong with a text."""

    def check(text: str, info: ValidationInfo) -> str:
        try:
            source = parse(text)
        except ValueError:
            raise said(f"{shown(text)} {refusal(text)}") from None
        return source.resolved(info)

    return AfterValidator(check)
