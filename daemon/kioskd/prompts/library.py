"""A sound for each code: the owner's, a cached one, or one rendered now."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from kioskd.adapters.espeak import Espeak, RenderingFailed
from kioskd.errors import SPOKEN, Code
from kioskd.prompts import questions, renderings, texts, wav

log = logging.getLogger(__name__)

_FOLDER: Final = "prompts"


class Renderer(Protocol):
    """What reads a sentence aloud; see `adapters.espeak`."""

    async def version(self) -> str:
        """Return what a rendering depends on beside text and language."""

    async def render(self, text: str, language: str) -> bytes:
        """Return `text` read aloud, as a WAV."""


class PromptLibrary:
    """The prompts of one language. Knows none until `prepare` is done."""

    def __init__(
        self, language: str, owner: Path | None, cache: Path | None, renderer: Renderer | None = None
    ) -> None:
        """Read nothing yet.

        Args:
            language: a tag such as `de-AT`; it needs texts in `de-AT.yaml` or `de.yaml`, or English is spoken.
            owner: the owner's folder: LANGUAGE/CODE.wav and LANGUAGE.yaml in it go before what is shipped.
            cache: where renderings are kept, or None to render at each start.
            renderer: other than espeak-ng.
        """
        self._language = language
        self._owner = owner
        self._kept = None if cache is None else renderings.Renderings(cache / _FOLDER)
        self._renderer = renderer or Espeak()
        self._language_spoken: str | None = None
        self._sounds: Mapping[Code, bytes] = {}
        self._why = "there is no text for them; add CODE: sentence to the owner's LANGUAGE.yaml"

    def get(self, code: Code) -> bytes | None:
        """Return what is said for `code`, as 24 kHz PCM; None where there is nothing."""
        return self._sounds.get(code)

    async def prepare(self) -> None:
        """Find or render each prompt, off the loop. Takes 20 ms from the cache, 2 s else. Safe to cancel.

        What cannot be had costs one line in the journal, and is left out: no prompt is worth a kiosk that does not start.
        """
        sounds = await asyncio.to_thread(self._read_owned)
        owned = len(sounds)
        if missing := [code for code in SPOKEN if code not in sounds]:
            read = await asyncio.to_thread(texts.read, self._language, self._owner)
            sounds |= await self._spoken(
                read.language, {code: read.sentences[code] for code in missing if code in read.sentences}
            )
        self._sounds = sounds
        if silent := [code for code in SPOKEN if code not in sounds]:
            log.warning(
                "prompts missing, the lamp alone tells: language=%s codes=%s: %s",
                self._language,
                ",".join(silent),
                self._why,
            )
        log.debug("prompts ready: language=%s count=%d owned=%d", self._language, len(sounds), owned)

    async def _spoken(self, language: str, sentences: Mapping[Code, str]) -> dict[Code, bytes]:
        files: dict[Code, str] = {}
        found: dict[Code, bytes] = {}
        fresh: dict[Code, bytes] = {}
        try:
            version = await self._renderer.version()
            files = {code: renderings.name(text, language, version) for code, text in sentences.items()}
            found = await asyncio.to_thread(self._load, files)
            for code, text in sentences.items():
                if code in found:
                    continue
                rendered = await self._renderer.render(text, language)
                found[code] = fresh[code] = await asyncio.to_thread(wav.read, rendered)
        except (RenderingFailed, wav.UnfitWav) as error:
            lacking = {code: text for code, text in sentences.items() if code not in found}
            found |= await asyncio.to_thread(self._load_older, language, lacking)
            self._why = f"{error}; or give speaker.prompts_folder a folder of WAVs"
            await asyncio.to_thread(self._save, files, fresh)
        else:
            await asyncio.to_thread(self._save, files, fresh)
            await asyncio.to_thread(self._tidy, files, fresh)
        return found

    async def question(self, name: str, words: str) -> bytes | None:
        """Return a question for a press aloud; see `ports.Prompts`. Takes 0.05 s, or below 1 s on the slowest Pi."""
        try:
            if self._language_spoken is None:
                read = await asyncio.to_thread(texts.read, self._language, None)
                self._language_spoken = read.language
            text = questions.question(name, words, self._language_spoken)
            return await asyncio.to_thread(wav.read, await self._renderer.render(text, self._language_spoken))
        except (RenderingFailed, wav.UnfitWav) as error:
            log.warning("question not said, the lamp alone asks: tool=%s: %s", name, error)
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
                "prompts of the owner left out: speaker.prompts_folder=%s cannot be read: %s; mend the path or its permissions",
                self._owner,
                error.strerror,
            )
            return found
        for code in SPOKEN:
            for tag in texts.tags(self._language):
                path = self._owner / tag / f"{code}.wav"
                try:
                    found[code] = wav.read(path)
                except FileNotFoundError:
                    continue
                except wav.UnfitWav as error:
                    log.warning("prompt left out: file=%s %s", path, error)
                else:
                    break
        return found

    def _load(self, files: Mapping[Code, str]) -> dict[Code, bytes]:
        if self._kept is None:
            return {}
        loaded = {code: self._kept.load(file) for code, file in files.items()}
        return {code: sound for code, sound in loaded.items() if sound is not None}

    def _load_older(self, language: str, sentences: Mapping[Code, str]) -> dict[Code, bytes]:
        if self._kept is None:
            return {}
        loaded = {code: self._kept.load_any(text, language) for code, text in sentences.items()}
        return {code: sound for code, sound in loaded.items() if sound is not None}

    def _save(self, files: Mapping[Code, str], fresh: Mapping[Code, bytes]) -> None:
        if self._kept is None or not fresh:
            return
        try:
            for code, sound in fresh.items():
                self._kept.save(files[code], sound)
        except OSError as error:
            log.warning(
                "prompts not kept, rendering them at each start: error=%s; make room in the cache directory",
                error.strerror,
            )

    def _tidy(self, files: Mapping[Code, str], fresh: Mapping[Code, bytes]) -> None:
        # Only what was made anew can have put anything out of date, and only once all of it is there.
        if self._kept is not None and fresh:
            self._kept.keep_only(set(files.values()))


async def render_all(language: str, owner: Path | None, cache: Path | None) -> bool:
    """Prepare the prompts of `language` once, at installation; return whether there is one for each code."""
    prompts = PromptLibrary(language, owner, cache)
    await prompts.prepare()
    return all(prompts.get(code) is not None for code in SPOKEN)


def cache_directory(environ: Mapping[str, str]) -> Path | None:
    """Return the directory that the service manager made for what can be made anew (CacheDirectory=), else for state."""
    for variable in ("CACHE_DIRECTORY", "STATE_DIRECTORY"):
        if first := environ.get(variable, "").split(":")[0]:
            return Path(first)
    return None
