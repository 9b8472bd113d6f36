"""Text to speech: renders all replies as 24 kHz PCM in advance."""

import asyncio
import io
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kioskd.errors import ConfigError, KioskError
from kioskd.media import pcm
from kioskd.media.wav import UnfitWav, decoded
from kioskd.simulator.script import Reply

_PROGRAM: Final = "espeak-ng"
_RENDERING_S: Final = 60.0


class SpeechRenderer:
    """Sounds of replies, from texts spoken by espeak-ng and from files; each is rendered once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sounds: dict[str | Path | None, bytes] = {None: b""}

    async def prepare(self, replies: Iterable[Reply]) -> None:
        """Render the sounds of `replies`, in a thread.

        Raises:
            ConfigError: a WAV file cannot be used.
            KioskError: espeak-ng is missing, or cannot speak with this voice.
        """
        for reply in (each for given in replies for each in (given, given.meanwhile) if each):
            if reply.text is not None and reply.text not in self._sounds:
                self._sounds[reply.text] = await asyncio.to_thread(_speak, reply.text, self._name)
            if reply.wav is not None and reply.wav not in self._sounds:
                self._sounds[reply.wav] = await asyncio.to_thread(_load, reply.wav)

    def sound_of(self, reply: Reply) -> bytes:
        """Return the sound of a prepared reply; empty for a silent one."""
        return self._sounds[reply.text if reply.text is not None else reply.wav]


def _speak(text: str, voice: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  a fixed program; the voice is one argument, the text its input
            [_PROGRAM, "-v", voice, "--stdin", "--stdout"],
            input=text.encode(),
            capture_output=True,
            timeout=_RENDERING_S,
            check=False,
        )
    except FileNotFoundError:
        raise KioskError(
            "simulator: espeak-ng is not installed, so it cannot speak its replies; "
            "run `apt install espeak-ng`, or give the replies as wav files"
        ) from None
    except subprocess.TimeoutExpired:
        raise KioskError(
            f"simulator: espeak-ng did not speak a reply within {_RENDERING_S:.0f} s; shorten the reply"
        ) from None
    if done.returncode or not done.stdout:
        complaint = done.stderr.decode(errors="replace").strip().splitlines()
        raise KioskError(
            f"simulator: espeak-ng cannot speak with the voice {voice!r} "
            f"({complaint[-1] if complaint else f'exit {done.returncode}'}); "
            "`espeak-ng --voices` lists all voices"
        )
    return decoded(io.BytesIO(done.stdout), pcm.DOWNLINK_HZ)


def _load(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return decoded(file, pcm.DOWNLINK_HZ)
    except UnfitWav as error:
        raise ConfigError(f"replies: wav = {path}: {error}") from error
    except OSError as error:
        raise ConfigError(
            f"replies: wav = {path}: cannot be read ({error.strerror}); give a PCM WAV file that exists"
        ) from error
