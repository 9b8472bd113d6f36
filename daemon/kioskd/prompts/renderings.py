"""Rendered prompts on disk: written once, so that a start needs no renderer.

A file's name holds text, language and version, so its content is never out of date. The file begins with the
digest of its content. So a file that a power cut left short, or full of zeros, is ignored.
"""

import contextlib
import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, TypeVar

_SUFFIX: Final = ".prompt"
_DIGEST_BYTES: Final = hashlib.sha256().digest_size

KeyT = TypeVar("KeyT")


def name(text: str, language: str, version: str) -> str:
    """Return the file name of a rendering: text and language first, then the renderer's version."""
    return f"{_stem(text, language)}-{_short(version)}{_SUFFIX}"


def _stem(text: str, language: str) -> str:
    return _short(f"{language.lower()}\n{text}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Renderings:
    """A folder of renderings that only its owner can read. Each call reads or writes files."""

    def __init__(self, directory: Path | None) -> None:
        """Use `directory`, which the first `save` creates; None: store nothing."""
        self._directory = directory

    def load_all(self, files: Mapping[KeyT, str]) -> dict[KeyT, bytes]:
        """Return those of the named renderings that exist and are whole."""
        if self._directory is None:
            return {}
        loaded = {key: _content(self._directory / file) for key, file in files.items()}
        return {key: sound for key, sound in loaded.items() if sound is not None}

    def load_any_version(self, sentences: Mapping[KeyT, str], language: str) -> dict[KeyT, bytes]:
        """Return the whole renderings of these texts, made by any version of the renderer."""
        found: dict[KeyT, bytes] = {}
        for key, text in sentences.items():
            for path in self._paths(f"{_stem(text, language)}-"):
                if key not in found and (sound := _content(path)) is not None:
                    found[key] = sound
        return found

    def save(self, file: str, sound: bytes) -> None:
        """Write a rendering as a whole.

        Raises:
            OSError: it cannot be written.
        """
        if self._directory is None:
            return
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The draft has a fixed name, so a kill leaves one at most. Two writers at once break the rendering.
        draft = self._directory / f".{file}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(hashlib.sha256(sound).digest() + sound)
        draft.replace(self._directory / file)

    def keep_only(self, files: Collection[str]) -> None:
        """Remove all other renderings, and drafts."""
        with contextlib.suppress(OSError):
            for path in self._paths():
                if path.name not in files:
                    path.unlink(missing_ok=True)

    def _paths(self, beginning: str = "") -> list[Path]:
        with contextlib.suppress(OSError):
            return sorted(self._directory.glob(f"{beginning}*{_SUFFIX}")) if self._directory else []
        return []


def _content(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, sound = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return sound if sound and hashlib.sha256(sound).digest() == digest else None
