"""espeak-ng, which reads a sentence aloud into a WAV: one short-lived process a sentence.

The text goes in by its standard input, the sound comes out by its standard output: no file, no shell, and of our own
environment, which may hold the service key, nothing but the search path.
"""

import asyncio
import contextlib
import os
import signal
from typing import Final

from kioskd.errors import KioskError

WORDS_PER_MINUTE: Final = 150
"""Slower than its default of 175: heard by strangers, in a room, once."""

DEADLINE_S: Final = 10.0
"""A sentence takes 0.05 s on a desktop, and below 1 s on the slowest Pi."""

_KILLED_S: Final = 1.0


class RenderingFailed(KioskError):
    """A sentence could not be read aloud; the message says why and what to do."""


class Espeak:
    """Renders sentences. Any number at once."""

    def __init__(self, program: str = "espeak-ng", *, deadline_s: float = DEADLINE_S) -> None:
        """`program`: a name to be found in PATH, or a path; `deadline_s`: for each run of it."""
        self._program = program
        self._deadline_s = deadline_s

    async def version(self) -> str:
        """Return what a rendering depends on beside text and language. RenderingFailed: it is not there, or fails."""
        output = await self._run("--version")
        # "eSpeak NG text-to-speech: 1.51  Data at: ...": where its data are changes no sound.
        return f"{output.decode(errors='replace').split('Data at')[0].strip()} {WORDS_PER_MINUTE}"

    async def render(self, text: str, language: str) -> bytes:
        """Return `text` read aloud, as a WAV of 16-bit mono whose header does not know its length.

        `language`: a tag such as `en-US`; a region it does not know falls back to the language. Safe to cancel.
        RenderingFailed: it is not there, does not know the language, or was not done by the deadline.
        """
        wav = await self._run(
            *("-v", language.lower(), "-s", str(WORDS_PER_MINUTE), "--stdin", "--stdout"), text=text
        )
        if not wav.startswith(b"RIFF"):
            raise RenderingFailed(
                f"{self._program}: gave no sound for language {language}; see `{self._program} --voices`"
            )
        return wav

    async def _run(self, *arguments: str, text: str = "") -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                self._program,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            )
        except FileNotFoundError:
            raise RenderingFailed(f"{self._program}: is not installed; run `apt install espeak-ng`") from None
        except OSError as error:
            raise RenderingFailed(
                f"{self._program}: cannot be run: {error.strerror}; reinstall it"
            ) from error
        done = False
        try:
            async with asyncio.timeout(self._deadline_s):
                out, complaint = await process.communicate(text.encode())
            done = True
        except TimeoutError:
            raise RenderingFailed(
                f"{self._program}: was not done within {self._deadline_s:g} s; see whether the machine is overloaded"
            ) from None
        finally:
            if not done:
                await _kill(process)
        if process.returncode:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:]
            raise RenderingFailed(
                f"{self._program}: failed: exit={process.returncode} {''.join(last)}; see `{self._program} --voices`"
            )
        return out


async def _kill(process: asyncio.subprocess.Process) -> None:
    # With what it started itself, which would hold its pipes open.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILLED_S):
            await process.communicate(b"")  # to the end of each pipe, or it would stay open
