"""Any text, read aloud by the machine itself: for a reply that came in writing."""

import asyncio
import logging

from kioskd.adapters.espeak import Espeak, RenderingFailed
from kioskd.prompts import wav
from kioskd.prompts.library import Renderer
from kioskd.prompts.texts import DEFAULT

log = logging.getLogger(__name__)


class TextToSpeech:
    """The kiosk's own voice, in one language. Costs nothing until it is needed."""

    def __init__(self, language: str, renderer: Renderer | None = None) -> None:
        """`language`: a tag such as `de-AT`; English where espeak-ng does not know it. `renderer`: in place of espeak-ng."""
        self._languages = dict.fromkeys((language, DEFAULT))
        self._renderer = renderer or Espeak()

    async def read(self, text: str) -> bytes | None:
        """Return `text` as 24 kHz PCM; None where it cannot be said (one line in the journal says why). Safe to cancel."""
        for language in self._languages:
            try:
                return await asyncio.to_thread(wav.read, await self._renderer.render(text, language))
            except (RenderingFailed, wav.UnfitWav) as error:
                log.warning("text cannot be read aloud: language=%s %s", language, error)
        return None
