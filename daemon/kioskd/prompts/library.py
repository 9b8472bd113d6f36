"""Provides a sound for each code: the owner's recording, a cached rendering, or a new rendering."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kioskd.adapters.espeak import Espeak
from kioskd.errors import SPOKEN, Code
from kioskd.media.wav import UnfitWav
from kioskd.prompts import renderings, texts
from kioskd.prompts.speech import UNREADABLE, Renderer, read_aloud, read_wav

log = logging.getLogger(__name__)

_FOLDER: Final = "prompts"


class PromptLibrary:
    """The prompts of one language. It has no sounds until `prepare` is done."""

    def __init__(
        self, language: str, owner: Path | None, cache: Path | None, renderer: Renderer | None = None
    ) -> None:
        """Store the arguments; `prepare` reads the files.

        Args:
            language: a tag such as `de-AT`; it needs texts in `de-AT.yaml` or `de.yaml`, or English is
                spoken.
            owner: the owner's folder. LANGUAGE/CODE.wav and LANGUAGE.yaml in it replace the shipped texts.
            cache: the folder for renderings, or None to render at each start.
            renderer: a renderer in place of espeak-ng.
        """
        self._language = language
        self._owner = owner
        self._cached = renderings.Renderings(cache and cache / _FOLDER)
        self._renderer = renderer or Espeak()
        self._language_spoken: str | None = None
        self._sounds: Mapping[Code, bytes] = {}
        self._why = "there is no text for them; add CODE: sentence to the owner's LANGUAGE.yaml"

    def get(self, code: Code) -> bytes | None:
        """Return the sound of `code` as 24 kHz PCM; None if there is none."""
        return self._sounds.get(code)

    async def prepare(self) -> None:
        """Find or render each prompt, off the loop. Takes 20 ms from the cache, else 2 s. Safe to cancel.

        The kiosk starts without the prompts that can be neither found nor rendered; a line in the journal
        names them.
        """
        sounds = await asyncio.to_thread(self._read_owned)
        owned = len(sounds)
        if missing := [code for code in SPOKEN if code not in sounds]:
            read = await asyncio.to_thread(texts.read, self._language, self._owner)
            sentences: dict[Code, str] = {
                code: read.sentences[code] for code in missing if code in read.sentences
            }
            sounds |= await self._spoken(read.language, sentences)
        self._sounds = sounds
        if silent := [code for code in SPOKEN if code not in sounds]:
            log.warning(
                "prompts missing, only the lamp shows these codes: language=%s codes=%s: %s",
                self._language,
                ",".join(silent),
                self._why,
            )
        log.debug("prompts ready: language=%s count=%d owned=%d", self._language, len(sounds), owned)

    async def _spoken(self, language: str, sentences: Mapping[Code, str]) -> dict[Code, bytes]:
        found: dict[Code, bytes] = {}
        fresh: dict[str, bytes] = {}
        files: dict[Code, str] = {}
        outdated = False
        try:
            version = await self._renderer.version()
            files = {code: renderings.name(text, language, version) for code, text in sentences.items()}
            found = await asyncio.to_thread(self._cached.load_all, files)
            for code, file in files.items():
                if code not in found:
                    found[code] = fresh[file] = await read_aloud(self._renderer, sentences[code], language)
            # Old renderings are out of date only after all new ones are there.
            outdated = bool(fresh)
        except UNREADABLE as error:
            missing = {code: text for code, text in sentences.items() if code not in found}
            found |= await asyncio.to_thread(self._cached.load_any_version, missing, language)
            self._why = f"{error}; or give speaker.prompts_folder a folder of WAVs"
        await asyncio.to_thread(self._save, fresh)
        if outdated:
            await asyncio.to_thread(self._cached.keep_only, set(files.values()))
        return found

    async def question(self, name: str, words: str) -> bytes | None:
        """Return the sound of a question that asks for a press; see `ports.Prompts`.

        Takes 0.05 s, or below 1 s on the slowest Pi.
        """
        try:
            if self._language_spoken is None:
                read = await asyncio.to_thread(texts.read, self._language, None)
                self._language_spoken = read.language
            text = texts.question(name, words, self._language_spoken)
            return await read_aloud(self._renderer, text, self._language_spoken)
        except UNREADABLE as error:
            log.warning("question not spoken, only the lamp asks: tool=%s: %s", name, error)
            return None

    # In a thread: files.

    def _read_owned(self) -> dict[Code, bytes]:
        found: dict[Code, bytes] = {}
        if self._owner is None:
            return found
        try:
            next(self._owner.iterdir(), None)
        except OSError as error:
            log.warning(
                "prompts of the owner not used: speaker.prompts_folder=%s cannot be read: %s; "
                "correct the path or its permissions",
                self._owner,
                error.strerror,
            )
            return found
        for code in SPOKEN:
            for tag in texts.tags(self._language):
                path = self._owner / tag / f"{code}.wav"
                try:
                    found[code] = read_wav(path)
                except FileNotFoundError:
                    continue
                except UnfitWav as error:
                    log.warning("prompt not used: file=%s %s", path, error)
                else:
                    break
        return found

    def _save(self, sounds: Mapping[str, bytes]) -> None:
        try:
            for file, sound in sounds.items():
                self._cached.save(file, sound)
        except OSError as error:
            log.warning(
                "prompts not stored, so each start renders them: error=%s; free space in the cache directory",
                error.strerror,
            )


async def render_all(language: str, owner: Path | None, cache: Path | None) -> bool:
    """Prepare the prompts of `language` once, at installation; return whether there is one for each code."""
    prompts = PromptLibrary(language, owner, cache)
    await prompts.prepare()
    return all(prompts.get(code) is not None for code in SPOKEN)


def cache_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the service manager's cache directory (CacheDirectory=), else its state directory."""
    for variable in ("CACHE_DIRECTORY", "STATE_DIRECTORY"):
        if first := environ.get(variable, "").split(":")[0]:
            return Path(first)
    return None
