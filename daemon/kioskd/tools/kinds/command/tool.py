"""A tool that runs a program directly, never through a shell."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kioskd import ports
from kioskd.tools.argv import SEARCH
from kioskd.tools.contract import FixedTool, ToolResult, declared, failed, read_answer, refused
from kioskd.tools.json_text import encode
from kioskd.tools.kinds.command.settings import CommandSettings
from kioskd.tools.process import run_to_end
from kioskd.tools.program import Program
from kioskd.tools.template import FIELD, UnfitError, fields, fill, remaining

TRY_LATER: Final = 75
"""Exit code by which a program says that it may succeed later (EX_TEMPFAIL of sysexits.h)."""


class CommandTool(FixedTool):
    """Runs one program for each call.

    A word of `argv` can hold {parameter}. A value stays within its word, whatever it holds. In a word with a
    path it cannot lead to another folder. Arguments that no word uses go to stdin as a JSON object. The
    program's environment holds its own variables, PATH and LANG.
    """

    def __init__(self, settings: CommandSettings, program: Program, clock: ports.Clock) -> None:
        """`program`: the program of the settings, ready to start."""
        super().__init__(declared(settings))
        self._settings, self._clock = settings, clock
        self._program = replace(
            program, environment={"PATH": SEARCH, "LANG": "C.UTF-8", **program.environment}
        )
        self._used = {name for word in program.argv for name in fields(word)}

    async def call(self, _name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Run the program to its end."""
        try:
            program = replace(self._program, argv=self._words(arguments))
        except UnfitError as err:
            return refused(str(err))
        try:
            ended = await run_to_end(
                program,
                clock=self._clock,
                stdin=encode(remaining(arguments, self._used)).encode(),
                output_bytes=None if self._settings.answer == "none" else self._settings.output_bytes,
            )
        except OSError as err:
            return failed(f"its program cannot be started: {err.strerror}")
        if ended.code is None:
            return failed(f"its program wrote more than {self._settings.output_bytes} bytes and was stopped")
        if ended.code != 0:
            return failed(f"its program ended with code {ended.code}", retryable=ended.code == TRY_LATER)
        return read_answer(ended.output, self._settings.answer)

    def _words(self, arguments: Mapping[str, object]) -> list[str]:
        words: list[str] = []
        for template in self._program.argv:
            word = fill(template, arguments, _plain)
            if word.startswith("-") and not template.startswith("-") and "--" not in words:
                raise UnfitError("a value begins with a dash, so the program would take it for an option")
            if "/" in FIELD.sub("", template) and _steps_up(word) > _steps_up(template):
                raise UnfitError("a value holds .., so it would lead to another folder")
            words.append(word)
        return words


def _steps_up(word: str) -> int:
    """Return the number of .. steps in `word`, also in a path that follows the name of an option."""
    return re.split(r"[/=:,]", word).count("..")


def _plain(name: str, value: str) -> str:
    if "\0" in value:
        raise UnfitError(f"{name} holds a null character, which no program accepts")
    return value
