"""What an owner can set of a tool that runs a program."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from kioskd.tools.argv import no_script, runnable, takes_data
from kioskd.tools.guard import HeldBytes, NamedSettings
from kioskd.tools.kinds.value_types import AnswerForm, ProgramArguments, Variable, fits
from kioskd.tools.program_settings import ProgramSettings
from kioskd.yamlconf.value_types import PathOnDisk, at, said


class CommandSettings(NamedSettings, ProgramSettings):
    """A tool that runs a program, never a shell."""

    kind: Literal["command"]
    """Runs a program."""
    argv: ProgramArguments
    """Program and arguments; {parameter} stands for that argument, within its own word. The rest goes to stdin as JSON."""
    answer: AnswerForm = "text"
    """What the program prints: json, text, or none (it does something, and its output does not matter)."""
    environment: Annotated[tuple[Variable, ...], Field(max_length=40)] = ()
    """Variables of the daemon's environment to pass on; the program has PATH and LANG besides, and nothing else."""
    working_directory: PathOnDisk = Path("/")
    """Folder that it runs in. It may read and change what is there, where the permissions of the files allow it."""
    output_bytes: HeldBytes = 65_536
    """Bytes that it may print; one that prints more is stopped."""
    arguments_are_data: Annotated[bool, Field(validate_default=True)] = False
    """true: you state that the program takes each {parameter} as data, and never as a command, a script or a query. It
    is needed for programs of the system that kioskd does not know as such. What goes to stdin needs no such statement."""

    @field_validator("argv")
    @classmethod
    def _argv_fits(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for number, word in enumerate(value):
            try:
                fits(word, info)
            except PydanticCustomError as err:
                raise at([number], err.message()) from None
        return no_script(runnable(value, info))

    @field_validator("arguments_are_data")
    @classmethod
    def _stated(cls, value: bool, info: ValidationInfo) -> bool:
        argv, parameters = info.data.get("argv"), info.data.get("parameters")
        if argv is None or parameters is None:
            return value  # they have faults of their own
        unknown = takes_data(argv) if parameters["properties"] else None
        if unknown is not None and not value:
            raise said(
                f"is not true: {unknown}; leave parameters to stdin and a program of yours, "
                "or write arguments_are_data: true if you are sure"
            )
        if value and unknown is None:
            raise said("goes unused: the program is known to take its arguments as data; take it out")
        return value
