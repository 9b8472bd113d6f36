"""The sentences that the kiosk speaks by itself when it cannot reach the service.

texts (a YAML a language) ─► espeak-ng ─► cache ─┐
the owner's WAVs ────────────────────────────────┴─► a sound for each `errors.Code`
"""

from kioskd.prompts.library import PromptLibrary, cache_directory, render_all
from kioskd.prompts.speech import TextToSpeech

__all__ = ["PromptLibrary", "TextToSpeech", "cache_directory", "render_all"]
