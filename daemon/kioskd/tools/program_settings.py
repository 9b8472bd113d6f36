"""What an owner grants to a program that a tool runs."""

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
"""Folders of the daemon's: its secrets, its socket, its state."""


class ProgramSettings(Section):
    """The sandbox of a program. It reaches nothing of the daemon's, and no network, and changes no file unless granted."""

    reads: Annotated[tuple[PathOnDisk, ...], Field(max_length=40)] = ()
    """Files and folders that the program may read, beside the system's own, its own file, and what `argv` names."""
    writes: Annotated[tuple[PathOnDisk, ...], Field(max_length=40)] = ()
    """Files, folders and devices that the program may change, beside what is in `working_directory`."""
    network: bool = False
    """Whether the program may use the network."""
    sandbox: bool = True
    """false: the program runs as the daemon itself, and may read the daemon's key, memory and state."""

    @field_validator("sandbox")
    @classmethod
    def _grants_nothing(cls, value: bool, info: ValidationInfo) -> bool:
        for name in ("reads", "writes", "network"):
            if not value and info.data.get(name):
                raise said(
                    f"is false, so {name} goes unused: the program may do all; take one of the two out"
                )
        return value

    @field_validator("reads", "writes")
    @classmethod
    def _there(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for path in value:
            for own in OWN:
                if path == own or own in path.parents:
                    raise said(f"{path} is the daemon's own, which no program may reach; take it out")
        return value

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments; empty where none is started."""
        return getattr(self, "argv", None) or ()

    @property
    def folder(self) -> Path:
        """The folder that the program runs in."""
        return getattr(self, "working_directory", Path("/"))

    def passed(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of `environ` that the owner passes on to the program."""
        return {name: environ[name] for name in getattr(self, "environment", ()) if name in environ}

    def reach(self) -> str:
        """Return in words where a call goes, and what the program may do with what it is told."""
        here = "a program on this device"
        if not self.sandbox:
            able = "it may send it on, and may read the key, memory and state"
            return f"{here}, which runs as the daemon itself (sandbox: false): {able}"
        changed = [*self.writes, *([] if self.folder == Path("/") else [self.folder])]
        files = [f"reads {path}" for path in self.reads] + [f"changes {path}" for path in changed]
        network = "which may send it on" if self.network else "which can use no network"
        kept = "reaches neither key nor memory nor state of the daemon"
        return "; ".join([f"{here}, {network}, and {kept}", *files])

    def faults(self) -> Iterator[tuple[ValuePath, str]]:
        """Yield what keeps the program from being started on this machine."""
        if program(self.words) is None:
            yield ("argv",), "its program is not there or cannot be run; install it, or correct the path"
        # Path.is_dir() raises PermissionError for a folder in one that this user may not enter.
        if not os.path.isdir(self.folder):  # noqa: PTH112
            yield ("working_directory",), "is no folder here; create it, or correct the path"


def program(argv: Sequence[str]) -> str | None:
    """Return the path of the program that `argv` begins with; None where there is none that can be run."""
    return shutil.which(argv[0], path=SEARCH)


GRANTS: Final[Mapping[str, object]] = {
    name: field.default for name, field in ProgramSettings.model_fields.items()
}
"""The settings above, and their values where nothing is set."""
