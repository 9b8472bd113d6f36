"""Settings by which an owner grants rights to a tool's program."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator

from kioskd.tools.argv import SEARCH
from kioskd.yamlconf.document import ValuePath
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import PathOnDisk, said

OWN: Final = tuple(map(Path, ("/run/credentials", "/run/kioskd", "/var/lib/kioskd", "/var/cache/kioskd")))
"""Folders of the daemon: its secrets, its socket and its state."""


class ProgramSettings(Section):
    """Sandbox of a tool's program.

    Without these grants the program reaches no data of the daemon and no network, and changes no file.
    """

    reads: Annotated[tuple[PathOnDisk, ...], Field(max_length=40)] = ()
    """Files and folders that the program may read, beside the system's, its own file and those that `argv`
    names."""
    writes: Annotated[tuple[PathOnDisk, ...], Field(max_length=40)] = ()
    """Files, folders and devices that the program may change, beside its `working_directory`."""
    network: bool = False
    """Whether the program may use the network."""
    sandbox: bool = True
    """Whether the program runs in a sandbox. false: it runs as the daemon itself, and can read the daemon's
    key, memory and state."""

    @field_validator("sandbox")
    @classmethod
    def _grants_nothing(cls, value: bool, info: ValidationInfo) -> bool:
        for name in ("reads", "writes", "network"):
            if not value and info.data.get(name):
                raise said(
                    f"is false, so {name} has no effect: the program may do everything; remove one of the two"
                )
        return value

    @field_validator("reads", "writes")
    @classmethod
    def _there(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in value:
            for own in OWN:
                if path == own or own in path.parents:
                    raise said(f"{path} belongs to the daemon, and no program may reach it; remove it")
        return value

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments; empty if the tool starts none."""
        return getattr(self, "argv", None) or ()

    @property
    def folder(self) -> Path:
        """Folder that the program runs in."""
        return getattr(self, "working_directory", Path("/"))

    def passed(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of `environ` that the owner passes to the program."""
        return {name: environ[name] for name in getattr(self, "environment", ()) if name in environ}

    def reach(self) -> str:
        """Return in words where a call goes, and what the program can do with it."""
        here = "a program on this device"
        if not self.sandbox:
            able = "it can pass the call on, and can read the key, memory and state"
            return f"{here}, which runs as the daemon itself (sandbox: false): {able}"
        changed = [*self.writes, *([] if self.folder == Path("/") else [self.folder])]
        files = [f"reads {path}" for path in self.reads] + [f"changes {path}" for path in changed]
        network = "which can pass the call on" if self.network else "which cannot use the network"
        kept = "cannot reach the daemon's key, memory and state"
        return "; ".join([f"{here}, {network}, and {kept}", *files])

    def faults(self) -> Iterator[tuple[ValuePath, str]]:
        """Yield the faults that keep the program from starting on this machine."""
        if program(self.words) is None:
            yield ("argv",), "its program is missing or cannot be run; install it, or correct the path"
        # Path.is_dir() raises PermissionError if this user may not enter a parent folder.
        if not os.path.isdir(self.folder):  # noqa: PTH112
            yield ("working_directory",), "is not a folder on this machine; create it, or correct the path"


def program(argv: Sequence[str]) -> str | None:
    """Return the path of the program that `argv` begins with; None if no such program can be run."""
    return shutil.which(argv[0], path=SEARCH)


GRANTS: Final[Mapping[str, object]] = {
    name: field.default for name, field in ProgramSettings.model_fields.items()
}
"""The settings above, with their default values."""
