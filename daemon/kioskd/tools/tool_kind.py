"""What the rest of kioskd knows of a kind of tool. Each kind declares it in one object, which `registry` lists."""

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
    """The kiosk, as far as its own tools may touch it."""

    @property
    def notes(self) -> MutableMapping[str, str]:
        """What was noted in this conversation, by title; empty when another begins."""

    def end_conversation(self) -> None:
        """Fall asleep when the reply that is being spoken has been heard."""

    def set_volume(self, percent: int) -> int:
        """Speak as loudly as asked, as far as the owner lets it; return the percentage that it has come to."""

    async def look(self) -> bytes | None:
        """Return a fresh JPEG; None: the model has one of this turn. Raises DeviceLost if the camera delivers none."""


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What a tool is made of beside its settings."""

    environ: Mapping[str, str]
    """The environment of the daemon: where its credentials are, and the variables that programs may be given."""
    host: KioskControls
    clock: ports.Clock
    hidden: Sequence[Path] = ()
    """Files and folders that no program of a tool may read."""
    camera: bool = True
    """Whether the kiosk has a camera."""


def program_of(tool: object) -> ProgramSettings | None:
    """Return the settings of the program that a tool starts, if it starts one."""
    return tool if isinstance(tool, ProgramSettings) and tool.words else None


def insecure(tool: object) -> bool:
    """Return whether a credential leaves this machine without encryption, as the owner insists."""
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
        return "runs as the daemon itself (sandbox: false): it may read the key"
    return "sends its credential without encryption (insecure: true)" if insecure(tool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolKind(Generic[S]):
    """One kind of tool; `S` is its settings model.

    This module, the settings and the kind objects import no library that only a tool in use needs: `build` does. Some
    settings mean the same for each kind that has them: `name`, `url`, `headers`, `ca_file`, `insecure`, and those of
    `ProgramSettings`.
    """

    name: str
    """As `kind` has it in the YAML."""
    settings: type[S]
    build: Callable[[S, BuildContext], ToolSource]
    """Makes the tool. It raises ConfigError where a secret or an entry point is not there."""
    package: str | None = None
    """A package that the kind needs beyond those of kioskd; the extra that brings it is named as the kind."""
    names: Callable[[S], Sequence[str]] = _own_name
    """The names by which the model calls the tools of one entry."""
    names_in: str = "name"
    """The setting that names the tools; it is where a name that another tool has is reported."""
    twice: tuple[str, str] | None = None
    """For two entries of this kind with one label: the setting to report, and the fault. None: the names say it."""
    connects: bool = False
    """Whether it knows only after it has connected to something what it offers."""
    start_s: Callable[[S], float] = lambda _tool: 0.0
    """The seconds that it may take to start, beside those that any connection takes."""
    credentials: Callable[[S], Mapping[ValuePath, str]] = _headers
    """The values that may refer to secrets, each by its place within the entry."""
    faults: Callable[[S], Iterator[tuple[ValuePath, str]]] = _usual_faults
    """What keeps the tool from working on this machine, beside its package and its secrets: where, and what."""
    web_address: Callable[[S], str | None] = lambda tool: getattr(tool, "url", None)
    """The address that the daemon asks through the proxy of the environment, if there is one."""
    goes_to: Callable[[S], str | None] = _to_its_program
    """Where a call goes, in words for `kioskd privacy`; None where it stays within the kiosk."""
    risk: Callable[[S], str | None] = _usual_risk
    """What an owner should know of the risk, after the name of the tool; None where there is none."""
    looks: Callable[[S], bool] = lambda _tool: False
    """Whether the model may take a picture by it."""

    def label(self, tool: S) -> str:
        """Return what lists and the journal call one entry."""
        return str(getattr(tool, "name", self.name))

    def title(self, tool: S) -> str:
        """Return the kind, and the label of an entry that has a name."""
        return f"{self.name} {self.label(tool)}" if hasattr(tool, "name") else self.name
