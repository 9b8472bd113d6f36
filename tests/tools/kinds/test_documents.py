"""The owner's documents: what is found in them, how the index keeps up with them, and what breaks nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.documents import HOSTILE, pdf, word
from tests.support.until import until

from kioskd.adapters.clock import SystemClock
from kioskd.cli.tools import _Alone
from kioskd.tools.contract import ToolResult
from kioskd.tools.kinds.documents.kind import DOCUMENTS
from kioskd.tools.kinds.documents.settings import DocumentsSettings
from kioskd.tools.kinds.documents.tool import DocumentsTool
from kioskd.tools.tool_kind import BuildContext

LONGEST_S = 120.0


class Shelf:
    """A folder of documents, and a tool for it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "documents"
        self.cache = path / "cache"
        self.path.mkdir()
        self.cache.mkdir()

    @property
    def index(self) -> Path:
        return self.cache / "documents-manual.sqlite"

    def put(self, name: str, content: bytes | str) -> None:
        """Write a document."""
        place = self.path / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    @asynccontextmanager
    async def tool(self, **settings: object) -> AsyncIterator[DocumentsTool]:
        """Run a tool that has read all documents once."""
        words = {
            "kind": "documents",
            "name": "manual",
            "description": "d",
            "folder": self.path,
            "refresh_s": 5,
        }
        made = DocumentsSettings.model_validate(words | settings)
        environ = {"CACHE_DIRECTORY": str(self.cache)}
        hidden = [self.path / "key.txt"]
        tool = DOCUMENTS.build(made, BuildContext(environ, _Alone(), SystemClock(), hidden))
        assert isinstance(tool, DocumentsTool)
        async with asyncio.timeout(LONGEST_S), asyncio.TaskGroup() as group:
            running = group.create_task(tool.run())
            await tool.ready()
            yield tool
            running.cancel()

    async def ask(self, question: str, **settings: object) -> ToolResult:
        """Read the documents, and ask once."""
        async with self.tool(**settings) as tool:
            return await tool.call("manual", {"question": question})


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def passages(result: ToolResult) -> list[dict[str, Any]]:
    """Return the passages of a result."""
    assert result.status == "ok", result
    assert isinstance(result.data, dict)
    found: list[dict[str, Any]] = result.data["passages"]
    return found


async def test_a_passage_of_a_pdf_comes_with_its_page_and_heading(shelf: Shelf) -> None:
    pages = ["Opening hours\nThe museum opens at nine.", "Tickets\nA ticket for children costs two florins."]
    shelf.put("house.pdf", pdf(pages, titles=["Opening hours", "Tickets"]))
    first = passages(await shelf.ask("price of a ticket for a child"))[0]
    assert first == {
        "document": "house.pdf",
        "page": 2,
        "heading": "Tickets",
        "text": "A ticket for children costs two florins.",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", word("Boats", "The ferry to the island leaves at noon.")),
        (
            "a.html",
            "<nav>ferry noon</nav><h1>Boats</h1><p>The ferry to the <b>island</b> leaves at noon.",
        ),
        ("a.md", "# Boats\n\nThe ferry to the *island* leaves at noon.\n"),
    ],
)
async def test_a_passage_of_each_format_comes_with_its_heading(
    shelf: Shelf, name: str, content: bytes | str
) -> None:
    shelf.put(name, content)
    [found] = passages(await shelf.ask("When does the ferry leave?"))
    assert found == {"document": name, "heading": "Boats", "text": "The ferry to the island leaves at noon."}


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Der Dom öffnet um acht Uhr seine Türen.", "Wann öffnet der Dom seine Turen?"),
        ("Les églises sont fermées le lundi.", "eglise fermée lundi"),
        ("Музей закрыт по понедельникам.", "музей закрыт понедельник"),
        ("博物館は月曜日に閉まります。", "月曜日 博物館"),
        ("เปิดทำการทุกวันจันทร์", "วันจันทร์"),
        ("박물관은 월요일에 문을 닫습니다.", "월요일 박물관"),
    ],
)
async def test_a_question_finds_other_forms_of_its_words_in_many_scripts(
    shelf: Shelf, text: str, question: str
) -> None:
    shelf.put("other.txt", "Nothing of this kind is here.")
    shelf.put("folder/right.txt", text)
    [found] = passages(await shelf.ask(question))
    assert found == {"document": "folder/right.txt", "text": text}


async def test_a_question_about_other_things_has_no_results(shelf: Shelf) -> None:
    shelf.put("house.txt", "The museum opens at nine. The painters of the house are in the hall.")
    assert (await shelf.ask("boiling time of an egg")).status == "no_results"
    assert (await shelf.ask('"*; OR NOT ( -')).status == "no_results"


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_costs_one_line(
    shelf: Shelf, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, words = HOSTILE[name]
    shelf.put(name, make())
    shelf.put("well.txt", "The museum opens at nine.")
    for _ in range(2):  # the second daemon knows it, and tells nothing
        assert len(passages(await shelf.ask("when does the museum open", file_s=20))) == 1
    [line] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line.startswith(f"document left out: tool=manual file={name} cause=it {words}")


async def test_a_file_of_a_gigabyte_is_not_read(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.put("huge.pdf", "")
    os.truncate(shelf.path / "huge.pdf", 1_000_000_000)
    assert (await shelf.ask("anything")).status == "no_results"
    [line] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert "file=huge.pdf cause=it has 1000 MB, and file_mb allows 50; split it, or raise file_mb" in line


async def test_the_condition_tells_documents_left_out_and_a_folder_that_is_gone(shelf: Shelf) -> None:
    shelf.put("well.txt", "The museum opens at nine.")
    shelf.put("empty.pdf", "")
    async with shelf.tool() as tool:
        assert tool.condition == "manual: documents 1, passages 1, left out 1"
        shelf.path.rename(shelf.path.with_name("elsewhere"))
        await until(lambda: "the folder cannot be read" in tool.condition)
        assert tool.condition.startswith(
            "manual: documents 1, passages 1, left out 1; the folder cannot be read"
        )


async def test_a_document_that_does_not_fit_into_the_index_is_left_out(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.put("a.txt", "The museum opens at nine.")
    shelf.put("b.txt", "\n\n".join(f"paragraph {number} of an endless tale" for number in range(20_000)))
    assert passages(await shelf.ask("when does the museum open", index_mb=1))
    [line] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert "file=b.txt cause=it does not fit into the index" in line
    assert shelf.index.stat().st_size < 1_500_000


async def test_secrets_hidden_files_links_and_other_files_are_left_out(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("sesame")
    (shelf.path / "link.txt").symlink_to(tmp_path / "outside.txt")
    for name in ("key.txt", ".hidden.txt", "program.exe"):
        shelf.put(name, "sesame")
    os.mkfifo(shelf.path / "pipe.txt")
    async with shelf.tool() as tool:
        assert (await tool.call("manual", {"question": "sesame"})).status == "no_results"
        assert tool.condition == "manual: documents 0, passages 0"


async def test_new_changed_and_removed_files_are_noticed(shelf: Shelf) -> None:
    shelf.put("changed.txt", "The lion sleeps.")
    shelf.put("removed.txt", "The tiger sleeps.")
    await shelf.ask("lion")
    shelf.put("changed.txt", "The zebra sleeps.")
    shelf.put("new.txt", "The camel sleeps.")
    (shelf.path / "removed.txt").unlink()
    async with shelf.tool() as tool:
        for animal, status in (
            ("lion", "no_results"),
            ("tiger", "no_results"),
            ("zebra", "ok"),
            ("camel", "ok"),
        ):
            assert (await tool.call("manual", {"question": animal})).status == status, animal


async def test_a_look_that_finds_no_change_writes_nothing(shelf: Shelf) -> None:
    shelf.put("a.txt", "The lion sleeps.")
    await shelf.ask("lion")
    before = shelf.index.read_bytes(), shelf.index.stat().st_mtime_ns, shelf.cache.stat().st_mtime_ns
    assert passages(await shelf.ask("lion"))
    assert before == (
        shelf.index.read_bytes(),
        shelf.index.stat().st_mtime_ns,
        shelf.cache.stat().st_mtime_ns,
    )


async def test_a_damaged_index_is_made_again_with_one_line(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.put("a.txt", "The lion sleeps.")
    await shelf.ask("lion")
    shelf.index.write_bytes(b"no index" * 1_000)
    assert passages(await shelf.ask("lion"))
    [line] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line.startswith(
        "documents are read again, the older index was thrown away: tool=manual cause=it is damaged"
    )


async def test_an_answer_keeps_within_its_bytes(shelf: Shelf) -> None:
    for number in range(6):
        shelf.put(f"{number}.txt", f"The lion number {number} sleeps. " + "Many words follow here. " * 20)
    result = await shelf.ask("lion", passages=6, result_bytes=1200)
    assert 1 <= len(passages(result)) < 6
    assert "cut" not in result.as_json(1200)
