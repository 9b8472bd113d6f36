"""The full-text index of one tool: an SQLite file in the daemon's cache, which can be made again at any time.

Every method blocks, so a thread calls it. One thread at a time writes; any may search meanwhile.
"""

import contextlib
import math
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self
from urllib.parse import quote

from kioskd.tools.kinds.documents.passages import terms

VERSION: Final = 1
"""A change of the tables, of the passages or of the terms needs another number."""
MOST_TERMS: Final = 64
"""Terms of a question that count."""
HEADING_WEIGHT: Final = 2.0
"""Weight of a word in a heading, compared with one in the text."""
COMMON: Final = 0.3
"""A term that more of the passages have does not count. It would take most of the time, and tells little."""
RARE: Final = 30
"""A term in so few passages counts in any case: in a small folder each word is in many of them."""
LEAST_SHARE: Final = 0.25
"""Share of a question's weight that one of the passages must have. Otherwise there is no answer."""
_BUSY_S: Final = 2.0
"""Seconds that a search waits while the writer commits a document."""
_SPARE_PAGES: Final = 64
"""Pages above the bound of the index, for the remark that a document did not fit."""
_DISK_FULL_BYTES: Final = 4_000_000
_CACHE_KIB: Final = 8_000

_TABLES: Final = """
CREATE TABLE documents(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, bytes INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL, passages INTEGER NOT NULL, fault TEXT);
CREATE TABLE passages(id INTEGER PRIMARY KEY, document INTEGER NOT NULL, page INTEGER, heading TEXT NOT NULL,
    text TEXT NOT NULL);
CREATE INDEX of_document ON passages(document);
CREATE VIRTUAL TABLE terms USING fts5(heading, text, detail=column,
    tokenize="unicode61 remove_diacritics 0 categories 'L* N* Co M*'");
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(terms, row);
"""

Row = Sequence[object]
"""Page, heading, text, terms of the heading, terms of the text: a passage as the reader process sends it."""


class FileState(NamedTuple):
    """The size of a file and the time of its last change, which tell whether it has changed."""

    bytes: int
    changed_ns: int
    """The time of the last change of its contents, its name or its permissions."""

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the state that the system tells."""
        return cls(status.st_size, status.st_ctime_ns)


class Hit(NamedTuple):
    """A passage that was found."""

    document: str
    page: int | None
    heading: str
    text: str


class Counts(NamedTuple):
    """The numbers of documents, passages and unreadable documents of an index."""

    documents: int
    passages: int
    unreadable: int


class IndexFull(Exception):
    """The document does not fit into the index."""


class IndexDamaged(Exception):
    """The file is no index, or its contents contradict each other."""


class IndexUnavailable(Exception):
    """The disk is full, read-only or broken. The text is the system's reason."""


class _NoRoomError(IndexUnavailable):
    """The disk is full, or the bound of the index is reached."""


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR:
            raise IndexDamaged(str(error)) from None  # a table is missing
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise _NoRoomError(str(error)) from None
        raise IndexUnavailable(str(error)) from None
    except sqlite3.DatabaseError as error:
        raise IndexDamaged(str(error)) from None


class DocumentIndex:
    """One index, made for the settings that `made_for` names."""

    def __init__(self, path: Path, made_for: str, most_bytes: int) -> None:
        self.path = path
        self._made_for = f"{VERSION} {made_for}"
        self._most_bytes = most_bytes
        self._writer: sqlite3.Connection | None = None
        self._turn = threading.RLock()

    def open(self) -> str | None:
        """Open or make the file. Return why an older one was thrown away; None if none was.

        IndexUnavailable: neither can be done.
        """
        with self._turn:
            return self._opened()

    def _opened(self) -> str | None:
        self.close()
        why = None
        if self.path.exists():
            try:
                with _explained():
                    self._writer = self._connect()
                    if self._fits(self._writer):
                        return None
                why = "it was made for other settings, or by another version"
            except IndexDamaged as error:
                why = f"it is damaged ({error})"
            self.close()
            try:
                for name in ("", "-journal"):
                    self.path.with_name(self.path.name + name).unlink(missing_ok=True)
            except OSError as error:
                raise IndexUnavailable(error.strerror) from None
        with _explained():
            self._writer = self._connect()
            with self._writer:
                self._writer.executescript(f"BEGIN; {_TABLES}")
                self._writer.execute("CREATE TABLE made_for(words TEXT)")
                self._writer.execute("INSERT INTO made_for VALUES(?)", (self._made_for,))
        return why

    def close(self) -> None:
        """Close the file. Searches remain possible."""
        with self._turn:
            if self._writer is not None:
                self._writer.close()
            self._writer = None

    def interrupt(self) -> None:
        """End the writing in another thread soon; it raises IndexUnavailable. Does not block."""
        if (writer := self._writer) is not None:
            writer.interrupt()

    def files(self) -> dict[str, FileState]:
        """Return the documents that the index has read, or has found unreadable."""
        with self._turn, _explained():
            rows = self._open.execute("SELECT name, bytes, changed_ns FROM documents")
            return {name: FileState(*state) for name, *state in rows}

    def replace(self, name: str, state: FileState, passages: Iterable[Row], fault: str | None = None) -> None:
        """Put the present contents of a document in the place of its older ones, whole or not at all.

        IndexFull: it does not fit.
        """
        try:
            with self._turn, _explained():
                self._limit_pages(0)
                self._written(name, state, passages, fault)
        except _NoRoomError:
            if shutil.disk_usage(self.path.parent).free < _DISK_FULL_BYTES:
                raise
            raise IndexFull from None

    def refuse(self, name: str, state: FileState, fault: str) -> None:
        """Remember why a document is not in the index, so that it is not tried again before it changes."""
        with self._turn, _explained():
            self._limit_pages(_SPARE_PAGES)
            self._written(name, state, (), fault)

    def remove(self, name: str) -> None:
        """Take a document out."""
        with self._turn, _explained(), self._open as writer:
            self._removed(writer, name)

    def counts(self) -> Counts:
        """Return what is in the index."""
        with _explained(), contextlib.closing(self._reader()) as reader:
            return Counts(
                *reader.execute(
                    "SELECT count(*) - count(fault), coalesce(sum(passages), 0), count(fault) FROM documents"
                ).fetchone()
            )

    def search(self, question: str, most: int) -> list[Hit]:
        """Return the `most` best passages for a question, the best one first."""
        asked = list(dict.fromkeys(terms(question)))[:MOST_TERMS]
        with _explained(), contextlib.closing(self._reader()) as reader:
            total = reader.execute("SELECT coalesce(sum(passages), 0) FROM documents").fetchone()[0]
            counts: dict[str, int] = {}
            for term in asked:
                row = reader.execute("SELECT doc FROM vocabulary WHERE term = ?", (term,)).fetchone()
                counts[term] = 0 if row is None else row[0]
            known = sorted((term for term in asked if counts[term]), key=counts.__getitem__)
            if not known:
                return []
            common = max(COMMON * total, RARE)
            telling = [term for term in known if counts[term] <= common] or known[:2]
            rows = reader.execute(
                "SELECT d.name, p.page, p.heading, p.text FROM "
                "(SELECT rowid, bm25(terms, ?, 1.0) AS score FROM terms WHERE terms MATCH ? "
                "ORDER BY score LIMIT ?) AS best "
                "JOIN passages AS p ON p.id = best.rowid JOIN documents AS d ON d.id = p.document "
                "ORDER BY best.score",
                (HEADING_WEIGHT, " OR ".join(f'"{term}"' for term in telling), most),
            )
            hits = [Hit(*row) for row in rows]
        weights = {
            term: math.log((total + RARE) / (count + 1))
            for term, count in counts.items()
            if not count or term in telling
        }
        enough = LEAST_SHARE * sum(weights.values())
        return hits if any(_shared(weights, hit) >= enough for hit in hits) else []

    @property
    def _open(self) -> sqlite3.Connection:
        if self._writer is None:
            raise IndexUnavailable("it is not open")
        return self._writer

    def _connect(self) -> sqlite3.Connection:
        # Threads take turns; sqlite3 itself is built for several.
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return connection

    def _reader(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True, timeout=_BUSY_S)

    def _fits(self, connection: sqlite3.Connection) -> bool:
        """Return whether the file was made for these settings. IndexDamaged: its contents are not sound."""
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'made_for'").fetchone():
            return False
        if connection.execute("SELECT words FROM made_for").fetchone() != (self._made_for,):
            return False
        (told,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if told != "ok":
            raise IndexDamaged(told)
        return True

    def _limit_pages(self, spare: int) -> None:
        (page_bytes,) = self._open.execute("PRAGMA page_size").fetchone()
        self._open.execute(f"PRAGMA max_page_count = {self._most_bytes // page_bytes + spare}")

    def _written(self, name: str, state: FileState, passages: Iterable[Row], fault: str | None) -> None:
        with self._open as writer:
            self._removed(writer, name)
            document = writer.execute(
                "INSERT INTO documents(name, bytes, changed_ns, passages, fault) VALUES(?, ?, ?, 0, ?)",
                (name, *state, fault),
            ).lastrowid
            count = 0
            for page, heading, text, *found_by in passages:
                row = writer.execute(
                    "INSERT INTO passages(document, page, heading, text) VALUES(?, ?, ?, ?)",
                    (document, page, heading, text),
                ).lastrowid
                writer.execute("INSERT INTO terms(rowid, heading, text) VALUES(?, ?, ?)", (row, *found_by))
                count += 1
            writer.execute("UPDATE documents SET passages = ? WHERE id = ?", (count, document))

    @staticmethod
    def _removed(writer: sqlite3.Connection, name: str) -> None:
        of_it = "(SELECT id FROM documents WHERE name = ?)"
        writer.execute(
            f"DELETE FROM terms WHERE rowid IN (SELECT id FROM passages WHERE document = {of_it})",  # noqa: S608 - a constant
            (name,),
        )
        writer.execute(f"DELETE FROM passages WHERE document = {of_it}", (name,))  # noqa: S608 - a constant
        writer.execute("DELETE FROM documents WHERE name = ?", (name,))


def _shared(weights: dict[str, float], hit: Hit) -> float:
    """Return the weight of those terms of the question that the passage has."""
    return sum(weights.get(term, 0.0) for term in {*terms(hit.heading), *terms(hit.text)})
