"""What an owner grants to a program that a tool runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationInfo, field_validator

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


GRANTS: Final[Mapping[str, object]] = {
    name: field.default for name, field in ProgramSettings.model_fields.items()
}
"""The settings above, and their values where nothing is set."""
