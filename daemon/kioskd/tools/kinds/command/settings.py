"""Settings of a tool that runs a program."""

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
    """A tool that runs a program, without a shell."""

    kind: Literal["command"]
    """Kind of this tool: it runs a program."""
    argv: Annotated[ProgramArguments, Field(examples=[["./tools-door", "--door={door}"]])]
    """Program and its arguments. {parameter} is replaced by that argument of the call, and stays within its
    word. The program gets the arguments that `argv` does not name on stdin, as JSON."""
    answer: AnswerForm = "text"
    """Form of the program's output. With none, the program acts, and its output is ignored."""
    environment: Annotated[tuple[Variable, ...], Field(max_length=40, examples=[["TZ"]])] = ()
    """Variables of the daemon's environment that the program gets. It also gets PATH and LANG, and nothing
    else."""
    working_directory: PathOnDisk = Path("/")
    """Folder in which the program runs. The program is allowed to read and change the files there, as far as
    their permissions allow."""
    output_bytes: HeldBytes = 65_536
    """Most bytes that the program may print. A program that prints more is stopped. It has no effect with
    `answer: none`."""
    arguments_are_data: Annotated[bool, Field(validate_default=True)] = False
    """Your statement that the program takes each {parameter} in `argv` as data. It must not take it as a
    command, a script or a query. It is needed for programs of the system that kioskd does not know. Your own
    programs and stdin do not need it."""

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
            return value  # these have faults of their own
        unknown = takes_data(argv) if parameters["properties"] else None
        if unknown is not None and not value:
            raise said(
                f"is not true: {unknown}; let a program of your own read the arguments from stdin, "
                "or write arguments_are_data: true if you are sure"
            )
        if value and unknown is None:
            raise said("has no effect: kioskd knows that this program takes its arguments as data; remove it")
        return value
