"""What the rest of kioskd knows of a kind of tool. Each kind declares it in one object, which `registry` lists."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from kioskd import ports, regular_file
from kioskd.tools.guard import Guard
from kioskd.tools.program_settings import ProgramSettings
from kioskd.yamlconf.document import ValuePath

if TYPE_CHECKING:
    from kioskd.tools.contract import ToolSource

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
        """Return a fresh JPEG; None: the model was given one in this turn already.

        Raises:
            DeviceLost: the camera does not deliver.
        """


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


class ToolKind(ABC, Generic[S]):
    """One kind of tool; `S` is its settings model.

    A subclass sets the attributes and `build`, and overrides the methods whose answer is another one for its kind. This
    module, the settings and the subclasses import no library that only a tool in use needs: `build` does.
    """

    name: str
    """As `kind` has it in the YAML."""
    settings: type[S]
    package: str | None = None
    """A package that the kind needs beyond those of kioskd; the extra that brings it is named as the kind."""
    names_in: str = "name"
    """The setting that names the tools; it is where a name that another tool has is reported."""
    twice: tuple[str, str] | None = None
    """For two entries of this kind with one label: the setting to report, and the fault. None: the names say it."""
    connects: bool = False
    """Whether it knows only after it has connected to something what it offers."""

    def label(self, tool: S) -> str:
        """Return what lists and the journal call one entry."""
        return str(getattr(tool, "name", self.name))

    def title(self, tool: S) -> str:
        """Return the kind, and the label of an entry that has a name."""
        return f"{self.name} {self.label(tool)}" if hasattr(tool, "name") else self.name

    def names(self, tool: S) -> Sequence[str]:
        """Return the names by which the model calls the tools of one entry."""
        return (self.label(tool),)

    def credentials(self, tool: S) -> Mapping[ValuePath, str]:
        """Return the values that may refer to secrets, each by its place within the entry."""
        del tool
        return {}

    def faults(self, tool: S) -> Iterator[tuple[ValuePath, str]]:
        """Yield what keeps the tool from working on this machine, beside its package and its secrets: where, and what."""
        if (program := self.program(tool)) is not None:
            yield from program.faults()

    def program(self, tool: S) -> ProgramSettings | None:
        """Return the settings of the program that it starts, if it starts one."""
        settings: object = tool  # a type checker knows no tool that has both
        return settings if isinstance(settings, ProgramSettings) and settings.words else None

    def web_address(self, tool: S) -> str | None:
        """Return the address that the daemon asks through the proxy of the environment, if there is one."""
        del tool
        return None

    def looks(self, tool: S) -> bool:
        """Return whether the model may take a picture by it."""
        del tool
        return False

    def start_s(self, tool: S) -> float:
        """Return the seconds that it may take to start, beside those that any connection takes."""
        del tool
        return 0.0

    def goes_to(self, tool: S) -> str | None:
        """Return in words where a call goes, for `kioskd privacy`; None where it stays within the kiosk."""
        program = self.program(tool)
        return None if program is None else f"a program on this device, {program.reach()}"

    def insecure(self, tool: S) -> bool:
        """Return whether a credential leaves this machine without encryption, as the owner insists."""
        return bool(getattr(tool, "insecure", False))

    def risk(self, tool: S) -> str | None:
        """Return what an owner should know of the risk, after the name of the tool; None where there is none."""
        program = self.program(tool)
        if program is not None and not program.sandbox:
            return "runs as the daemon itself (sandbox: false): it may read the key"
        return "sends its credential without encryption (insecure: true)" if self.insecure(tool) else None

    @abstractmethod
    def build(self, tool: S, context: BuildContext) -> "ToolSource":
        """Return the tool.

        Raises:
            ConfigError: a secret or an entry point is not there.
        """


def file_faults(setting: str, path: Path | None) -> Iterator[tuple[ValuePath, str]]:
    """Yield why the file that `setting` names cannot be read, if it cannot."""
    try:
        if path is not None:
            regular_file.check(path)
    except OSError as err:
        yield (setting,), f"cannot be read: {err.strerror}; correct the path or the file's permissions"
