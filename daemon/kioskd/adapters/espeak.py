"""Speech by espeak-ng: it turns a sentence into a WAV, in one short-lived process for each sentence.

The text is passed by standard input, and the sound by standard output: no file and no shell. Of the daemon's
environment, which may hold the service key, the process receives the search path only.
"""

import asyncio
import contextlib
import os
import signal
from typing import Final

from kioskd.errors import KioskError

WORDS_PER_MINUTE: Final = 150
"""Slower than espeak-ng's default of 175: strangers hear the sentence once, in a room."""

DEADLINE_S: Final = 10.0
"""Seconds for a sentence. It takes 0.05 s on a desktop, and less than 1 s on the slowest Pi."""

_CHINESE: Final = ("zh", "cmn")
_CHINESE_VOICE: Final = "cmn-latn-pinyin"
"""The voice for Mandarin. The voice cmn reads the tones of some words as English numbers."""

_KILLED_S: Final = 1.0


class RenderingFailed(KioskError):
    """Speech for a sentence could not be made; the message says why and what to do."""


class Espeak:
    """Renderer of sentences to sound. Several may be rendered at once."""

    def __init__(self, program: str = "espeak-ng", *, deadline_s: float = DEADLINE_S) -> None:
        """`program`: a name in PATH, or a path; `deadline_s`: seconds for each run."""
        self._program = program
        self._deadline_s = deadline_s

    async def version(self) -> str:
        """Return version and speed, which change the sound. RenderingFailed: the program failed."""
        output = await self._run("--version")
        # "eSpeak NG text-to-speech: 1.51  Data at: ...": the path of its data does not change the sound.
        return f"{output.decode(errors='replace').split('Data at')[0].strip()} {WORDS_PER_MINUTE}"

    async def render(self, text: str, language: str) -> bytes:
        """Return the speech for `text` as a WAV of 16-bit mono; the header's length is not set.

        `language`: a tag such as `en-US`; an unknown region falls back to the language. Safe to cancel.
        RenderingFailed: espeak-ng is missing, does not know the language, or missed the deadline.
        """
        voice = _CHINESE_VOICE if language.split("-", maxsplit=1)[0] in _CHINESE else language.lower()
        wav = await self._run(*("-v", voice, "-s", str(WORDS_PER_MINUTE), "--stdin", "--stdout"), text=text)
        if not wav.startswith(b"RIFF"):
            raise RenderingFailed(
                f"{self._program}: it made no sound for the language {language}; "
                f"choose a language from `{self._program} --voices`"
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
            raise RenderingFailed(
                f"{self._program}: it is not installed; run `apt install espeak-ng`"
            ) from None
        except OSError as error:
            raise RenderingFailed(
                f"{self._program}: it cannot be started ({error.strerror}); reinstall it"
            ) from error
        done = False
        try:
            async with asyncio.timeout(self._deadline_s):
                out, complaint = await process.communicate(text.encode())
            done = True
        except TimeoutError:
            raise RenderingFailed(
                f"{self._program}: it took longer than {self._deadline_s:g} s; "
                "check whether the machine is overloaded"
            ) from None
        finally:
            if not done:
                await _kill(process)
        if process.returncode:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:]
            raise RenderingFailed(
                f"{self._program}: it failed: exit={process.returncode} {''.join(last)}; "
                f"choose a language from `{self._program} --voices`"
            )
        return out


async def _kill(process: asyncio.subprocess.Process) -> None:
    # Also kill its children, which would keep its pipes open.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILLED_S):
            await process.communicate(b"")  # reads each pipe to its end, or the pipe would stay open
