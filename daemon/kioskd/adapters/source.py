"""Sources in the settings (such as "gpio:pi/17"): the facts that each kind declares about itself.

The settings, checks and device lists read these facts. A kind imports its adapter in `build` only.
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
    """Device nodes that a source opens, and who may open them."""

    group: str
    """Unix group that may open the nodes; its name is the same on Debian and Raspberry Pi OS."""
    nodes: tuple[tuple[str, str], ...]
    """Glob pattern of the nodes' paths, and the kernel subsystem that creates them."""
    written: bool = True
    """Whether the nodes are opened for writing, too."""


@dataclass(frozen=True, slots=True)
class Library:
    """Python module that a source needs."""

    module: str
    extra: str = ""
    """The extra of kioskd that installs the module, if there is one."""
    debian: str = ""
    """The Debian package with the module, if the package index does not have it."""


@dataclass(frozen=True, slots=True)
class DeviceListing:
    """List that `kioskd devices` prints."""

    title: str
    setting: str
    """The setting that takes the listed names."""
    find: Callable[[Path, Path], Sequence[Any]]
    """Function that returns the devices, given the paths of /dev and /sys. Blocks."""
    line: Callable[[Any], str] = str
    """Function that returns the text of one device."""
    none: str = "none"
    """Text that is printed if there are no devices."""

    @property
    def key(self) -> str:
        """The list's name in `kioskd devices --json`."""
        return self.title.lower().replace(" ", "_")


class Source:
    """Parsed source of the settings."""

    prefix: ClassVar[str]
    """The text before the colon, which selects the kind."""
    form: ClassVar[str]
    """The form of the text, for messages: "v4l2:NAME", for example."""
    pattern: ClassVar[str]
    """A regular expression for the whole text, with a group for each part."""
    library: ClassVar[Library | None] = None
    access: ClassVar[DeviceAccess | None] = None
    listing: ClassVar[DeviceListing | None] = None

    def __init__(self, text: str) -> None:
        """Parse `text`. ValueError: `text` does not have the form of this kind."""
        found = re.fullmatch(self.pattern, text)
        if found is None:
            raise ValueError(text)
        self.text = text
        self.parts = found.groups("")

    @property
    def folder(self) -> Path | None:
        """The folder that the source reads; None if it reads none."""
        return None

    @property
    def attributes(self) -> tuple[str, ...]:
        """The paths of the files in /sys that the source writes."""
        return ()

    @property
    def wires(self) -> tuple[str, ...]:
        """The lines, channels, LEDs or keys that the source uses: two sources must not share one."""
        return (self.text,)

    def resolved(self, info: ValidationInfo) -> str:
        """Return the text to store in the settings. PydanticCustomError: the source cannot work."""
        return self.text


AnySource = TypeVar("AnySource", bound=Source)


def by_prefix(*kinds: type[AnySource]) -> dict[str, type[AnySource]]:
    """Return a table of the kinds by their prefixes."""
    return {kind.prefix: kind for kind in kinds}


def kind_of(kinds: Mapping[str, type[AnySource]], text: str) -> type[AnySource] | None:
    """Return the kind that has the prefix of `text`; None if no kind has it."""
    return kinds.get(text.partition(":")[0])


def parsed(kinds: Mapping[str, type[AnySource]], text: str) -> AnySource:
    """Return `text`, parsed by the kind that has its prefix.

    ValueError: no kind has that prefix, or the rest of the text has the wrong form.
    """
    kind = kind_of(kinds, text)
    if kind is None:
        raise ValueError(text)
    return kind(text)


def forms(kinds: Mapping[str, type[Source]]) -> str:
    """Return the forms of these kinds for a message: "A, B or C"."""
    *others, last = (kind.form for kind in kinds.values())
    return f"{', '.join(others)} or {last}"


def source_text(parse: Callable[[str], Source], refusal: Callable[[str], str]) -> AfterValidator:
    """Return the validator of a source setting. `refusal` returns the message's end, after the text."""

    def check(text: str, info: ValidationInfo) -> str:
        try:
            source = parse(text)
        except ValueError:
            raise said(f"{shown(text)} {refusal(text)}") from None
        return source.resolved(info)

    return AfterValidator(check)
