"""Speech by a program of the owner: the text on standard input, a WAV on standard output."""

from dataclasses import replace
from typing import Final

from kioskd.adapters.espeak import RenderingFailed
from kioskd.ports import Clock
from kioskd.tools.argv import SEARCH
from kioskd.tools.process import run_to_end
from kioskd.tools.program import Program
from kioskd.tools.waiting import within

DEADLINE_S: Final = 30.0
"""Seconds for a text. A neural voice takes several on the slowest Pi, where it also has to load its model."""

MOST_BYTES: Final = 12_000_000
"""Most bytes of a WAV: a minute in the quality of a compact disc."""


class VoiceProgram:
    """A `prompts.speech.TextReader` that runs one program for each text, in its sandbox."""

    def __init__(self, program: Program, clock: Clock, *, deadline_s: float = DEADLINE_S) -> None:
        self._program = replace(program, environment={"PATH": SEARCH, "LANG": "C.UTF-8"})
        self._clock = clock
        self._deadline_s = deadline_s

    async def render(self, text: str, language: str) -> bytes:
        """Return the spoken `text` as a WAV. Safe to cancel.

        RenderingFailed: the program cannot be started, failed, or exceeded a limit.
        """
        environment = {**self._program.environment, "KIOSKD_LANGUAGE": language}
        try:
            ended = await within(
                self._clock,
                self._deadline_s,
                run_to_end(
                    replace(self._program, environment=environment),
                    clock=self._clock,
                    stdin=f"{text}\n".encode(),
                    output_bytes=MOST_BYTES,
                ),
            )
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise self._failed(f"took longer than {self._deadline_s:g} s") from None
            raise self._failed(f"cannot be started: {error.strerror}") from None
        if ended.code is None:
            raise self._failed(f"printed more than {MOST_BYTES // 1_000_000} MB")
        if ended.code != 0:
            raise self._failed(f"ended with code {ended.code}")
        if not ended.output.startswith(b"RIFF"):
            raise self._failed("printed no WAV")
        return ended.output

    def _failed(self, what: str) -> RenderingFailed:
        return RenderingFailed(
            f"announcements.voice: {self._program.argv[0]} {what}; run it by hand with a text on its stdin"
        )
