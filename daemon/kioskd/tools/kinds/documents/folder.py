"""The files of a folder of documents. Every function blocks, so a thread calls it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from kioskd.tools.kinds.documents.index import FileState

SUFFIXES: Final = (".pdf", ".docx", ".html", ".htm", ".xhtml", ".md", ".markdown", ".txt")
"""Ends of the names of documents; the keys of `READERS` in `formats`, which loads large libraries."""
MOST_FILES: Final = 10_000
"""Documents of a folder. The rest is left out."""
DEEPEST: Final = 16


class FoundDocument(NamedTuple):
    """A document that was found."""

    path: Path
    state: FileState


def documents(folder: Path, hidden: Sequence[Path]) -> dict[str, FoundDocument]:
    """Return the documents below `folder` in their order, by their paths within it.

    There are at most `MOST_FILES` + 1.

    `hidden`: files and folders that are left out, as they hold secrets.

    Raises:
        OSError: the folder itself cannot be read. Folders within it that cannot be read are left out.
    """
    found: dict[str, FoundDocument] = {}
    root = os.path.realpath(folder)
    shut = {os.path.realpath(each) for each in hidden}
    for path, status in _files(root, shut, 0):
        name = os.fsencode(os.path.relpath(path, root)).decode(errors="backslashreplace")
        found[name] = FoundDocument(Path(path), FileState.of(status))
        if len(found) > MOST_FILES:
            break
    return found


def _files(folder: str, shut: set[str], depth: int) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            there = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        if depth:
            return
        raise
    for entry in there:
        if entry.name.startswith(".") or entry.path in shut:
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth < DEEPEST:
                    yield from _files(entry.path, shut, depth + 1)
            elif entry.is_file(follow_symlinks=False) and entry.name.lower().endswith(SUFFIXES):
                yield entry.path, entry.stat(follow_symlinks=False)
        except OSError:
            continue  # it was removed in between
