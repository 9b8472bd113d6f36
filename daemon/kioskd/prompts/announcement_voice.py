"""Makes announcements audible: the owner's recording, the owner's voice program, or espeak-ng."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from kioskd import sanitize
from kioskd.adapters.espeak import Espeak, RenderingFailed
from kioskd.media.wav import UnfitWav
from kioskd.prompts.speech import UNREADABLE, TextReader, read_aloud, read_wav
from kioskd.prompts.texts import LONGEST

log = logging.getLogger(__name__)

LONGEST_S: Final = 60.0
"""Longest announcement in seconds."""


class AnnouncementVoice:
    """Turns texts and recordings into 24 kHz PCM."""

    def __init__(self, program: TextReader | None = None, espeak: TextReader | None = None) -> None:
        """`program`: the owner's voice program; if it fails, `espeak` speaks. None: espeak-ng itself."""
        self._program = program
        self._espeak = espeak or Espeak()

    async def read(self, text: str, language: str) -> bytes:
        """Return the spoken `text`. Safe to cancel.

        Raises:
            RenderingFailed: the text is too long, or no voice can speak it.
            UnfitWav: the spoken text is longer than `LONGEST_S`.
        """
        words = " ".join(sanitize.text(text).split())
        if not 0 < len(words) <= LONGEST:
            raise RenderingFailed(f"write a text of 1 to {LONGEST} characters")
        if self._program is not None:
            try:
                return await read_aloud(self._program, words, language, most_s=LONGEST_S)
            except UNREADABLE as error:
                log.warning("voice program failed, espeak-ng speaks in its place: %s", error)
        return await read_aloud(self._espeak, words, language, most_s=LONGEST_S)

    async def load(self, source: Path | bytes) -> bytes:
        """Return a recording, from a file or a file's content.

        Raises:
            UnfitWav: it cannot be used.
        """
        try:
            return await asyncio.to_thread(read_wav, source, LONGEST_S)
        except FileNotFoundError:
            raise UnfitWav("is not there; correct the path") from None
