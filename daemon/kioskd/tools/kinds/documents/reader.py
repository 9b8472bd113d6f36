"""Reads documents by the reader process, which a malicious file can break without harm.

Every method blocks, so a thread calls it.
"""

import json
from pathlib import Path
from typing import Final

from kioskd import regular_file
from kioskd.confined.process import ChildLost, ConfinedProcess
from kioskd.tools.kinds.documents.index import FileState, Row

_PROGRAM: Final = "kioskd.tools.kinds.documents.reader_process"
_TOO_MUCH: Final = "takes more memory or time to read than kioskd allows; split it, or raise file_s"
_MOST_FRAME_BYTES: Final = 4_000_000
_WAIT: Final = 4
"""The deadline of a document, as a multiple of its processor time: the visitor's sound goes first."""


class UnreadableDocument(Exception):
    """The document has no text to search. The text says why, and what to do."""


class ChangedDocument(Exception):
    """The document was changed or removed since it was found: the next look finds it again."""


class DocumentReader:
    """The bounds for documents, and the process that reads them.

    The process runs from the first document until `close`, which is for good.
    """

    def __init__(self, *, most_mb: int, cpu_s: int) -> None:
        self._most_mb, self._cpu_s = most_mb, cpu_s
        self._child = ConfinedProcess(_PROGRAM, most_bytes=_MOST_FRAME_BYTES)

    def read(self, path: Path, expected: FileState) -> list[Row]:
        """Return the passages of a document.

        UnreadableDocument, ChangedDocument: see there.
        ChildNotStarted: no document can be read at present.
        """
        if expected.bytes > self._most_mb * 1_000_000:
            said = f"has {expected.bytes / 1e6:.0f} MB, and file_mb allows {self._most_mb}"
            raise UnreadableDocument(f"{said}; split it, or raise file_mb")
        try:
            data, status = regular_file.read(path, expected.bytes + 1)
        except (FileNotFoundError, regular_file.NotRegularError):
            raise ChangedDocument from None
        except OSError as error:
            raise UnreadableDocument(f"cannot be read: {error.strerror}; correct its permissions") from None
        if FileState.of(status) != expected or len(data) != expected.bytes:
            raise ChangedDocument
        return self._passages(data, path.suffix.lower())

    def close(self) -> None:
        """End the process at once."""
        self._child.close()

    def _passages(self, data: bytes, suffix: str) -> list[Row]:
        rows: list[Row] = []
        options = {"suffix": suffix, "cpu_s": self._cpu_s}
        try:
            for letter, content in self._child.ask(data, options, deadline_s=_WAIT * self._cpu_s):
                if letter == b"E":
                    raise UnreadableDocument(content.decode(errors="replace"))
                if letter == b"p":
                    rows += json.loads(content)
        except ChildLost:
            raise UnreadableDocument(_TOO_MUCH) from None
        return rows
