"""A tool that searches the owner's documents, and keeps its index up to date in the background."""

import asyncio
import logging
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NoReturn

from kioskd import sanitize
from kioskd.confined.process import ChildNotStarted
from kioskd.tools.contract import Declaration, FixedTool, ToolResult, failed, found
from kioskd.tools.json_text import size
from kioskd.tools.kinds.documents import folder
from kioskd.tools.kinds.documents.index import (
    Counts,
    DocumentIndex,
    FileState,
    Hit,
    IndexDamaged,
    IndexFull,
    IndexUnavailable,
    Row,
)
from kioskd.tools.kinds.documents.reader import ChangedDocument, DocumentReader, UnreadableDocument
from kioskd.tools.kinds.documents.settings import PARAMETERS, QUESTION, DocumentsSettings
from kioskd.tools.tool_kind import BuildContext
from kioskd.tools.waiting import within

log = logging.getLogger(__name__)

_NOT_YET: Final = "the documents are still being read; ask again in a minute"
_HEAD_BYTES: Final = 300
"""Room in an answer for its status and its message."""


class DocumentsTool(FixedTool):
    """Searches the documents of one folder.

    `run` looks for changed files again and again, and has a process of its own read them. Calls search what
    has been read so far.
    """

    def __init__(self, settings: DocumentsSettings, context: BuildContext) -> None:
        super().__init__(
            Declaration(settings.name, settings.description, PARAMETERS, settings.blocking, repeatable=True)
        )
        self._settings, self._hidden, self._clock = settings, context.hidden, context.clock
        cache = context.environ.get("CACHE_DIRECTORY", "").partition(":")[0]
        self._cache = Path(cache) if cache.startswith("/") else None
        self._index: DocumentIndex | None = None
        self._looked, self._look_now = asyncio.Event(), asyncio.Event()
        self._seen: dict[str, FileState] = {}
        self._waiting = 0
        self._counts = Counts(0, 0, 0)
        self._trouble = ""
        """The trouble with the folder or the index that the journal has told; empty if there is none."""

    @property
    def condition(self) -> str:
        """The numbers of documents that were read, that were left out, and that wait."""
        documents, passages, unreadable = self._counts
        words = [f"{self._settings.name}: documents {documents}, passages {passages}"]
        words += [f"left out {unreadable}"] if unreadable else []
        words += [f"waiting {self._waiting}"] if self._waiting else []
        return "; ".join([", ".join(words), *([self._trouble] if self._trouble else [])])

    async def call(self, _name: str, arguments: Mapping[str, object]) -> ToolResult:
        """Return the passages that fit the question best."""
        index = self._index
        if index is None:
            return ToolResult("busy", _NOT_YET, retryable=True)
        try:
            hits = await asyncio.to_thread(index.search, str(arguments[QUESTION]), self._settings.passages)
        except IndexDamaged:
            self._look_now.set()
            return ToolResult("busy", _NOT_YET, retryable=True)
        except IndexUnavailable:
            return failed("the index of the documents cannot be read at the moment", retryable=True)
        if not hits and not self._looked.is_set():
            return ToolResult("busy", _NOT_YET, retryable=True)
        return found(_that_fit(hits, self._settings.result_bytes - _HEAD_BYTES))

    async def ready(self) -> None:
        """Return when all documents have been read for the first time."""
        await self._looked.wait()

    async def run(self) -> NoReturn:
        """Keep the index up to date until cancelled."""
        with tempfile.TemporaryDirectory(prefix="kioskd-") as own:
            place = self._cache or Path(own)
            made_for = self._settings.model_dump_json(include={"folder", "file_mb", "file_s", "index_mb"})
            path = place / f"documents-{self._settings.name}.sqlite"
            index = DocumentIndex(path, made_for, self._settings.index_mb * 1_000_000)
            try:
                while True:
                    await self._look(index)
                    await self._pause()
            finally:
                index.interrupt()
                await asyncio.shield(asyncio.to_thread(index.close))

    async def _pause(self) -> None:
        self._look_now.clear()
        try:
            await within(self._clock, self._settings.refresh_s, self._look_now.wait())
        except TimeoutError:
            return
        self._index = None  # it is damaged

    async def _look(self, index: DocumentIndex) -> None:
        """Bring the index up to date with the folder. Trouble is told once, and the next look tries again."""
        try:
            there = await asyncio.to_thread(folder.documents, self._settings.folder, self._hidden)
        except OSError as error:
            self._tell(f"the folder cannot be read: {error.strerror}; see kioskd check")
            return
        try:
            if self._index is None:
                await self._open(index)
            await self._take_over(index, there)
        except IndexDamaged as error:
            self._index = None
            self._tell(f"the index is damaged and will be made again ({error})")
        except IndexUnavailable as error:
            self._tell(f"the index cannot be written: {error}; see kioskd doctor")
        except ChildNotStarted as error:
            self._tell(f"no process can be started to read documents: {error}; restart kioskd")
        else:
            if self._trouble:
                log.info("documents back: tool=%s", self._settings.name)
            self._trouble = ""
            self._looked.set()

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("documents not up to date: tool=%s cause=%s", self._settings.name, trouble)
        self._trouble = trouble

    async def _open(self, index: DocumentIndex) -> None:
        if why := await asyncio.to_thread(index.open):
            log.warning(
                "documents are read again, the older index was thrown away: tool=%s cause=%s",
                *(self._settings.name, why),
            )
        self._seen = await asyncio.to_thread(index.files)
        self._counts = await asyncio.to_thread(index.counts)
        self._index = index

    async def _take_over(self, index: DocumentIndex, there: Mapping[str, folder.FoundDocument]) -> None:
        began = self._clock.now()
        names = list(there)[: folder.MOST_FILES]
        if len(there) > folder.MOST_FILES and len(self._seen) < folder.MOST_FILES:
            log.warning(
                "documents left out, the folder has more than %d: tool=%s; divide it among several tools",
                *(folder.MOST_FILES, self._settings.name),
            )
        gone = self._seen.keys() - set(names)
        for name in gone:
            await asyncio.to_thread(index.remove, name)
            del self._seen[name]
        changed = [name for name in names if self._seen.get(name) != there[name].state]
        # Between looks no process runs, which would take memory for nothing.
        with closing(DocumentReader(most_mb=self._settings.file_mb, cpu_s=self._settings.file_s)) as reader:
            for number, name in enumerate(changed):
                self._waiting = len(changed) - number
                await self._read(index, reader, name, there[name])
                self._counts = await asyncio.to_thread(index.counts)
        self._waiting = 0
        if gone or changed:
            self._counts = await asyncio.to_thread(index.counts)
            log.info(
                "documents read: tool=%s new=%d gone=%d documents=%d passages=%d unreadable=%d took=%.1fs",
                *(self._settings.name, len(changed), len(gone), *self._counts, self._clock.now() - began),
            )

    async def _read(
        self, index: DocumentIndex, reader: DocumentReader, name: str, document: folder.FoundDocument
    ) -> None:
        fault = ""
        rows: Sequence[Row] = ()
        try:
            rows = await asyncio.to_thread(reader.read, document.path, document.state)
            await asyncio.to_thread(index.replace, name, document.state, rows)
        except ChangedDocument:
            return
        except UnreadableDocument as error:
            fault = str(error)
        except IndexFull:
            fault = f"does not fit into the index (index_mb: {self._settings.index_mb}); raise index_mb"
        if fault:
            await asyncio.to_thread(index.refuse, name, document.state, fault)
            log.warning(
                "document left out: tool=%s file=%s cause=it %s",
                *(self._settings.name, sanitize.printable(name), fault),
            )
        self._seen[name] = document.state


def _that_fit(hits: Sequence[Hit], room: int) -> dict[str, object]:
    """Return as many of the best passages as fit into `room` bytes; at least one."""
    passages: list[dict[str, object]] = []
    for hit in hits:
        told = {key: value for key, value in hit._asdict().items() if value not in {None, ""}}
        if passages and size([*passages, told]) > room:
            break
        passages.append(told)
    return {"passages": passages} if passages else {}
