"""Rendered prompts on disk: written once, so that a start needs no renderer.

A file is named by what it was made from, so nothing in it is ever out of date; and it begins with its content's digest, so
one that a power cut left short, or full of zeros, is none.
"""

import contextlib
import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".prompt"
_DIGEST_BYTES: Final = hashlib.sha256().digest_size


def name(text: str, language: str, version: str) -> str:
    """Return the name of a rendering: of `text` in `language` first, then of the renderer's version."""
    return f"{_stem(text, language)}-{_short(version)}{_SUFFIX}"


def _stem(text: str, language: str) -> str:
    return _short(f"{language.lower()}\n{text}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Renderings:
    """A folder of renderings, readable by its owner alone. Each call reads or writes files."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`; it is made when it is needed."""
        self._directory = directory

    def load(self, file: str) -> bytes | None:
        """Return a rendering by its `name`; None where there is none, or a broken one."""
        return _whole(self._directory / file)

    def load_any(self, text: str, language: str) -> bytes | None:
        """Return a rendering of `text` by whatever version."""
        with contextlib.suppress(OSError):
            for path in sorted(self._directory.glob(f"{_stem(text, language)}-*{_SUFFIX}")):
                if (sound := _whole(path)) is not None:
                    return sound
        return None

    def save(self, file: str, sound: bytes) -> None:
        """Keep a rendering: all of it or nothing.

        Raises:
            OSError: it cannot be kept.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The draft has one name, so that a kill leaves one at most; two writers at once make one that is not whole.
        draft = self._directory / f".{file}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(hashlib.sha256(sound).digest() + sound)
        draft.replace(self._directory / file)

    def keep_only(self, files: Collection[str]) -> None:
        """Remove all other renderings, and drafts."""
        with contextlib.suppress(OSError):
            for path in self._directory.glob(f"*{_SUFFIX}"):
                if path.name not in files:
                    path.unlink(missing_ok=True)


def _whole(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, sound = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return sound if sound and hashlib.sha256(sound).digest() == digest else None
