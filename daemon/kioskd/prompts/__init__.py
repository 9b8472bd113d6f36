"""What the kiosk says by itself, to a stranger, when the service that speaks for it cannot be had.

texts (a YAML a language) ─► espeak-ng ─► cache ─┐
the owner's WAVs ────────────────────────────────┴─► a sound for each `errors.Code`
"""

from kioskd.prompts.library import PromptLibrary, cache_directory, render_all
from kioskd.prompts.speech import TextToSpeech

__all__ = ["PromptLibrary", "TextToSpeech", "cache_directory", "render_all"]
