"""Provides a sound for each code: the owner's recording, a cached rendering, or a new rendering."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
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
    """The prompts of one language at a time. It has no sounds until `prepare` is done.

    Only the sounds of the present language are in memory, about 4 MB. Those of the others are in the cache.
    """

    def __init__(
        self,
        language: str,
        owner: Path | None,
        cache: Path | None,
        renderer: Renderer | None = None,
        *,
        others: Sequence[str] | None = (),
    ) -> None:
        """Store the arguments; `prepare` reads the files.

        Args:
            language: a tag such as `de-AT`; it needs texts in `de-AT.yaml` or `de.yaml`, or English is
                spoken.
            owner: the owner's folder. LANGUAGE/CODE.wav and LANGUAGE.yaml in it replace the shipped texts.
            cache: the folder for renderings, or None to render at each start.
            renderer: a renderer in place of espeak-ng.
            others: the other languages that visitors may speak; None: any.
        """
        self._first = language
        self._others = others
        self._wanted = language
        self._changed = asyncio.Event()
        self._files: set[str] = set()
        self._language = language
        self._owner = owner
        self._cached = renderings.Renderings(cache and cache / _FOLDER)
        self._renderer = renderer or Espeak()
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
        self._sounds = await self._load(self._language)

    async def run(self) -> None:
        """Do `prepare`, then render the other languages, and follow the visitors' languages."""
        await self.prepare()
        if self._others == ():
            return
        unrendered = list(self._others or ())
        while True:
            if (wanted := self._wanted) != self._language:
                await self._change(wanted)
            elif unrendered:
                await self._load(unrendered.pop(0))
            else:
                await self._changed.wait()
                self._changed.clear()

    def heard(self, language: str) -> None:
        """Speak the next prompts in `language`, which is the visitor's, if the kiosk may speak it."""
        if (allowed := self._allowed(language)) is not None:
            self._want(allowed)

    def forget(self) -> None:
        """Return to the first language, as the visitor has left."""
        self._want(self._first)

    def _want(self, language: str) -> None:
        self._wanted = language
        self._changed.set()

    def _allowed(self, language: str) -> str | None:
        """Return the listed language that `language` is closest to; None if the kiosk may not speak it."""
        listed = (self._first, *(self._others or ()))
        tags = texts.tags(language)
        near = [tag for tag in listed if tags and texts.tags(tag)[-1] == tags[-1]]
        if near:
            return language if language in near else near[0]
        return language if self._others is None and tags else None

    async def _change(self, language: str) -> None:
        """Take the sounds of `language` in place of the present ones, or keep these if it has no texts."""
        if not await asyncio.to_thread(texts.known, language, self._owner):
            log.debug("prompts keep their language: language=%s wanted=%s", self._language, language)
            self._wanted = self._language
            return
        sounds = await self._load(language)
        self._language, self._sounds = language, sounds
        log.info("prompts change their language: language=%s", language)

    async def _load(self, language: str) -> dict[Code, bytes]:
        sounds = await asyncio.to_thread(self._read_owned, language)
        owned = len(sounds)
        if missing := [code for code in SPOKEN if code not in sounds]:
            read = await asyncio.to_thread(texts.read, language, self._owner)
            sentences: dict[Code, str] = {
                code: read.sentences[code] for code in missing if code in read.sentences
            }
            sounds |= await self._spoken(read.language, sentences)
        if silent := [code for code in SPOKEN if code not in sounds]:
            log.warning(
                "prompts missing, only the lamp shows these codes: language=%s codes=%s: %s",
                language,
                ",".join(silent),
                self._why,
            )
        log.debug("prompts ready: language=%s count=%d owned=%d", language, len(sounds), owned)
        return sounds

    async def _spoken(self, language: str, sentences: Mapping[Code, str]) -> dict[Code, bytes]:
        found: dict[Code, bytes] = {}
        fresh: dict[str, bytes] = {}
        files: dict[Code, str] = {}
        outdated = False
        try:
            version = await self._renderer.version()
            files = {code: renderings.name(text, language, version) for code, text in sentences.items()}
            self._files.update(files.values())
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
            await asyncio.to_thread(self._cached.keep_only, self._files)
        return found

    async def question(self, name: str, words: str) -> bytes | None:
        """Return the sound of a question that asks for a press; see `ports.Prompts`.

        Takes 0.05 s, or below 1 s on the slowest Pi.
        """
        try:
            read = await asyncio.to_thread(texts.read, self._language, self._owner)
            text = texts.question(name, words, read)
            if text is None:
                read = await asyncio.to_thread(texts.read, texts.DEFAULT, None)
                text = texts.question(name, words, read)
            assert text is not None
            return await read_aloud(self._renderer, text, read.language)
        except UNREADABLE as error:
            log.warning("question not spoken, only the lamp asks: tool=%s: %s", name, error)
            return None

    # In a thread: files.

    def _read_owned(self, language: str) -> dict[Code, bytes]:
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
            for tag in texts.tags(language):
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
