"""Speech as PCM for the speaker: a converted WAV file, or a text that this machine reads aloud."""

import asyncio
import io
import logging
from pathlib import Path
from typing import Final, Protocol

from kioskd import regular_file
from kioskd.adapters.espeak import Espeak, RenderingFailed
from kioskd.media import pcm
from kioskd.media.wav import UnfitWav, decoded
from kioskd.prompts.texts import DEFAULT

log = logging.getLogger(__name__)

LONGEST_S: Final = 30.0
"""Longest prompt in seconds. A prompt is a sentence or two; longer sounds would only take memory."""

UNREADABLE: Final = (RenderingFailed, UnfitWav)
"""The errors of `read_aloud`."""


class TextReader(Protocol):
    """A program that reads a text aloud."""

    async def render(self, text: str, language: str) -> bytes:
        """Return the spoken `text` as a WAV."""


class Renderer(TextReader, Protocol):
    """A `TextReader` whose sounds can be cached; see `adapters.espeak`."""

    async def version(self) -> str:
        """Return the renderer's version: with another version the same text may sound different."""


def read_wav(source: Path | bytes, most_s: float = LONGEST_S) -> bytes:
    """Return a WAV (see `media.wav`; any rate, channels averaged) as 24 kHz 16-bit mono PCM.

    Raises:
        UnfitWav: it is no WAV, is empty, or is longer than `most_s`.
        FileNotFoundError: the file does not exist.
    """
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else regular_file.opened(source) as file:
            return decoded(file, pcm.DOWNLINK_HZ, most_s=most_s)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnfitWav(f"cannot be read ({error.strerror or error}); save it as 16-bit PCM WAV") from error


async def read_aloud(reader: TextReader, text: str, language: str, *, most_s: float = LONGEST_S) -> bytes:
    """Return the spoken `text` as 24 kHz 16-bit mono PCM. Safe to cancel. Raises `UNREADABLE`."""
    return await asyncio.to_thread(read_wav, await reader.render(text, language), most_s)


class TextToSpeech:
    """The kiosk's own voice in one language, for a reply that came as text.

    Costs nothing until it is needed.
    """

    def __init__(self, language: str, renderer: Renderer | None = None) -> None:
        """`language`: a tag such as `de-AT`. It speaks English if espeak-ng does not know the language.

        `renderer`: a renderer in place of espeak-ng.
        """
        self._languages = dict.fromkeys((language, DEFAULT))
        self._renderer = renderer or Espeak()

    async def read(self, text: str) -> bytes | None:
        """Return the spoken `text` as 24 kHz PCM; None if that fails (the journal says why).

        Safe to cancel.
        """
        for language in self._languages:
            try:
                return await read_aloud(self._renderer, text, language)
            except UNREADABLE as error:
                log.warning("text cannot be read aloud: language=%s %s", language, error)
        return None
