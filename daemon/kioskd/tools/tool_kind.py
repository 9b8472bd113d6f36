"""The interface of a kind of tool to the rest of kioskd. Each kind declares one object for `registry`."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from kioskd import ports, regular_file
from kioskd.tools.contract import ToolSource
from kioskd.tools.guard import Guard
from kioskd.tools.program_settings import ProgramSettings
from kioskd.yamlconf.document import ValuePath

S = TypeVar("S", bound=Guard)


class KioskControls(Protocol):
    """The parts of the kiosk that its own tools can use."""

    @property
    def notes(self) -> MutableMapping[str, str]:
        """Notes of this conversation by title; a new conversation begins without notes."""

    def end_conversation(self) -> None:
        """Fall asleep after the visitor has heard the present reply."""

    def set_volume(self, percent: int) -> int:
        """Set the volume within speaker.volume_floor and volume_ceiling; return the result in percent."""

    async def look(self) -> bytes | None:
        """Return a new JPEG; None if the model has one of this turn.

        Raises DeviceLost if the camera delivers no picture.
        """

    async def more_time(self) -> float | None:
        """Put off the end of the conversation. Return the seconds until it; None: that cannot be done now."""

    def choose_profile(self, profile: str) -> str:
        """Use another profile until the conversation ends; return its instructions for the model."""


@dataclass(frozen=True, slots=True)
class BuildContext:
    """Parts that a tool needs beside its settings."""

    environ: Mapping[str, str]
    """The daemon's environment: the place of its credentials, and variables that programs may get."""
    host: KioskControls
    clock: ports.Clock
    hidden: Sequence[Path] = ()
    """Files and folders that no program of a tool may read."""
    useless: frozenset[str] = frozenset()
    """Names of the kiosk's own tools that this kiosk has no use for, for example `look` without a camera."""
    profiles: Sequence[str] = ()
    """Names of the profiles that a visitor can have."""


def program_of(tool: object) -> ProgramSettings | None:
    """Return the settings of the program that a tool starts; None if it starts none."""
    return tool if isinstance(tool, ProgramSettings) and tool.words else None


def insecure(tool: object) -> bool:
    """Return whether the owner lets a credential leave this machine without encryption."""
    return bool(getattr(tool, "insecure", False))


def _headers(tool: object) -> Mapping[ValuePath, str]:
    return {("headers", name): value for name, value in getattr(tool, "headers", {}).items()}


def _own_name(tool: Guard) -> Sequence[str]:
    return (str(getattr(tool, "name", "")),)


def _usual_faults(tool: Guard) -> Iterator[tuple[ValuePath, str]]:
    try:
        if (ca_file := getattr(tool, "ca_file", None)) is not None:
            regular_file.check(ca_file)
    except OSError as err:
        yield ("ca_file",), f"cannot be read: {err.strerror}; correct the path or the file's permissions"
    if (program := program_of(tool)) is not None:
        yield from program.faults()


def _to_its_program(tool: Guard) -> str | None:
    program = program_of(tool)
    return None if program is None else program.reach()


def _usual_risk(tool: Guard) -> str | None:
    program = program_of(tool)
    if program is not None and not program.sandbox:
        return "runs as the daemon itself (sandbox: false): it can read the key"
    return "sends its credential without encryption (insecure: true)" if insecure(tool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolKind(Generic[S]):
    """One kind of tool; `S` is its settings model.

    This module, the settings and the kind objects import no library that only some tools need; `build` does.
    Some settings mean the same for each kind that has them: `name`, `url`, `headers`, `ca_file`, `insecure`,
    and those of `ProgramSettings`.
    """

    name: str
    """Its name in the YAML's `kind`."""
    settings: type[S]
    build: Callable[[S, BuildContext], ToolSource]
    """Makes the tool. It raises ConfigError if a secret or an entry point is missing."""
    package: str | None = None
    """A package that only this kind needs. The package's extra has the same name as the kind."""
    names: Callable[[S], Sequence[str]] = _own_name
    """The names by which the model calls the tools of one entry."""
    names_in: str = "name"
    """The setting that names the tools. A name that another tool already has is reported there."""
    twice: tuple[str, str] | None = None
    """If two entries of this kind have the same label: the setting to report, and the fault. None: the names
    already report it."""
    connects: bool = False
    """Whether it must connect to a server to find out its tools."""
    start_s: Callable[[S], float] = lambda _tool: 0.0
    """Seconds that it may take to start, beside those of any connection."""
    credentials: Callable[[S], Mapping[ValuePath, str]] = _headers
    """The values that can refer to secrets, each by its place within the entry."""
    faults: Callable[[S], Iterator[tuple[ValuePath, str]]] = _usual_faults
    """Yields the faults that keep the tool from working on this machine, each with its place.

    The package and the secrets are checked elsewhere.
    """
    web_address: Callable[[S], str | None] = lambda tool: getattr(tool, "url", None)
    """Returns the address that the daemon asks through the environment's proxy, if there is one."""
    goes_to: Callable[[S], str | None] = _to_its_program
    """Returns in words for `kioskd privacy` where a call goes; None if it stays within the kiosk."""
    sends: Callable[[S], str | None] = lambda _tool: None
    """Returns in words for `kioskd privacy` what an answer takes to the service, if it is the owner's own."""
    keeps: Callable[[S], tuple[str, str, str] | None] = lambda _tool: None
    """Returns in words for `kioskd privacy` what this machine keeps, where and how long; None: nothing."""
    risk: Callable[[S], str | None] = _usual_risk
    """Returns a remark on the risk, which follows the tool's name; None if there is no risk."""
    looks: Callable[[S], bool] = lambda _tool: False
    """Whether the model can take a picture with it."""

    def label(self, tool: S) -> str:
        """Return the name of one entry for lists and for the journal."""
        return str(getattr(tool, "name", self.name))

    def title(self, tool: S) -> str:
        """Return the kind, followed by the label if the entry has a name."""
        return f"{self.name} {self.label(tool)}" if hasattr(tool, "name") else self.name
