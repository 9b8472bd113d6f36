"""Takes the text out of files: PDF, Word, HTML, Markdown and plain text.

Only the reader process imports this.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Final, NamedTuple

import docx
import markdown_it
import pypdfium2
from docx.text.paragraph import Paragraph
from lxml import etree, html


class Unreadable(Exception):
    """The file has no text to search. The text says why, and what to do."""


class Block(NamedTuple):
    """A paragraph or a heading."""

    text: str
    page: int | None = None
    """Its page, counted from 1; None in a file without fixed pages."""
    level: int = 0
    """The level of a heading, from 1; 0 for a paragraph."""


_SKIPPED: Final = frozenset(
    {"script", "style", "nav", "template", "noscript", "svg", "form", "button", "head"}
)
_INLINE: Final = frozenset(
    {
        *(
            "a",
            "abbr",
            "acronym",
            "b",
            "bdi",
            "bdo",
            "big",
            "cite",
            "code",
            "data",
            "del",
            "dfn",
            "em",
            "font",
        ),
        *("i", "ins", "kbd", "mark", "q", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub"),
        *("sup", "time", "tt", "u", "var", "wbr", "img"),
    }
)
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
MOST_BOOKMARKS: Final = 20_000
LONGEST_HEADING: Final = 3
"""Lines of a heading in a PDF."""
LEAST_REPEATS: Final = 4
"""Pages with the same first or last line, which then is no part of the text."""
LEAST_LEADERS: Final = 6
"""Rows of dots on a page that is a table of contents."""
_LEADER: Final = re.compile(r"(?:\.\s*){5,}|^\s*\.\s*$")
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0"
"""The first bytes of a Word file that is encrypted, or older than 2007."""
_DAMAGED: Final = "is damaged or not complete; copy it again"


def text_blocks(suffix: str, data: bytes) -> Iterator[Block]:
    """Yield the text of a file in its order. `suffix` is a key of `READERS`.

    Unreadable: see there.
    """
    return READERS[suffix](data)


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", errors="replace")
    if "\0" in text:
        raise Unreadable("is not text, although its name says so; remove it, or correct its name")
    return text


def _of_text(data: bytes) -> Iterator[Block]:
    for paragraph in re.split(r"\n[ \t]*\n", _decoded(data).replace("\r\n", "\n")):
        yield Block(paragraph)


def _of_markdown(data: bytes) -> Iterator[Block]:
    made = markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table").render(_decoded(data))
    return _of_html(made.encode())


def _of_html(data: bytes) -> Iterator[Block]:
    try:
        data.decode("utf-8")
        parser = etree.HTMLParser(encoding="utf-8")
    except UnicodeDecodeError:
        parser = etree.HTMLParser()  # it looks for the encoding in the file
    try:
        root = html.document_fromstring(data, parser=parser)
    except (etree.LxmlError, ValueError):
        return
    parts: list[str] = []
    walk = etree.iterwalk(root, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        tag = element.tag
        if event == "start":
            if tag in _SKIPPED or element.get("role") == "navigation":
                walk.skip_subtree()
                continue
            if tag not in _INLINE and parts:
                yield Block("".join(parts))
                parts.clear()
            parts.append(element.text or "")
            continue
        if event == "end" and tag not in _INLINE and tag not in _SKIPPED:
            if tag in {"td", "th"}:
                parts.append(" ")
            elif parts:
                yield Block("".join(parts), level=_HEADINGS.get(tag, 0))
                parts.clear()
        parts.append(element.tail or "")
    yield Block("".join(parts))


def _of_docx(data: bytes) -> Iterator[Block]:
    if data.startswith(_OLD_OFFICE):
        raise Unreadable("is encrypted or an old Word file; save it as .docx without a password")
    try:
        document = docx.Document(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception as error:  # python-docx lets the errors of zipfile, lxml and its own parts through
        raise Unreadable(_DAMAGED) from error
    levels: dict[str, int] = {}
    for part in document.iter_inner_content():
        if isinstance(part, Paragraph):
            name = part.style.name if part.style is not None else ""
            if name not in levels:
                found = re.fullmatch(r"Heading ([1-9])", name or "")
                levels[name or ""] = int(found[1]) if found else int(name == "Title")
            yield Block(part.text, level=levels[name or ""])
        else:
            for row in part.rows:
                yield Block(" ".join(cell.text for cell in row.cells))


def _of_pdf(data: bytes) -> Iterator[Block]:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY}:
            raise Unreadable("is encrypted; save it without a password") from error
        raise Unreadable(_DAMAGED) from error
    headings, page_count = _outline(document), len(document)
    pages: list[str] = []
    damaged = False
    for number in range(page_count):
        try:
            with closing(document[number]) as page, closing(page.get_textpage()) as text_page:
                # PDFium writes this character for a hyphen at the end of a line.
                pages.append(text_page.get_text_bounded().replace("\x02", ""))
        except pypdfium2.PdfiumError:
            damaged = True  # the other pages are as good as before
            pages.append("")
    letters = sum(len(text.strip()) for text in pages)
    if not letters and (damaged or not page_count):
        raise Unreadable(_DAMAGED)
    if letters < 5 * page_count:
        raise Unreadable("holds pictures and no text; let a program such as ocrmypdf read it first")
    for number, lines in enumerate(_without_margins(pages)):
        if sum(len(_LEADER.findall(line)) for line in lines) < LEAST_LEADERS:  # else a table of contents
            yield from _page_blocks(lines, number + 1, headings.get(number, []))


def _without_margins(pages: list[str]) -> Iterator[list[str]]:
    """Yield the lines of each page, without those at its edges that many pages have."""
    split = [[line for line in text.splitlines() if line.strip()] for text in pages]
    count = Counter(_unnumbered(line) for lines in split for line in {*lines[:1], *lines[-1:]})
    for lines in split:
        if lines and (not _unnumbered(lines[-1]) or count[_unnumbered(lines[-1])] >= LEAST_REPEATS):
            lines.pop()
        if lines and (not _unnumbered(lines[0]) or count[_unnumbered(lines[0])] >= LEAST_REPEATS):
            del lines[0]
        yield lines


def _unnumbered(line: str) -> str:
    return re.sub(r"[\W\d_]+", "", line)


def _outline(document: pypdfium2.PdfDocument) -> dict[int, list[tuple[str, int]]]:
    """Return the titles of the bookmarks with their levels, by the index of their page."""
    found: dict[int, list[tuple[str, int]]] = {}
    for bookmark in islice(document.get_toc(), MOST_BOOKMARKS):
        place = bookmark.get_dest()
        page, title = None if place is None else place.get_index(), " ".join(bookmark.get_title().split())
        if page is not None and title:
            found.setdefault(page, []).append((title, bookmark.level + 1))
    return found


def _page_blocks(lines: list[str], page: int, headings: list[tuple[str, int]]) -> Iterator[Block]:
    """Yield the text of a page, with each heading at its line.

    A heading that no line is like comes first.
    """
    at: dict[int, tuple[str, int, int]] = {}
    for title, level in headings:
        first, count = _place(title, lines)
        if count and first not in at:
            at[first] = (title, level, count)
        else:
            yield Block(title, page, level)
    part: list[str] = []
    number = 0
    while number < len(lines):
        if number not in at:
            part.append(lines[number])
            number += 1
            continue
        title, level, count = at[number]
        yield Block("\n".join(part), page)
        part = []
        yield Block(title, page, level)
        number += count
    yield Block("\n".join(part), page)


def _place(title: str, lines: list[str]) -> tuple[int, int]:
    """Return the first line of a heading and the number of its lines; no line if it is not there."""
    wanted = _plain(title)
    for number in range(len(lines)):
        written = ""
        for count, line in enumerate(lines[number : number + LONGEST_HEADING], 1):
            written = _plain(f"{written} {line}") if written else _plain(line)
            if written and written == wanted:
                return number, count
            if not wanted.startswith(written):
                break
    return 0, 0


def _plain(title: str) -> str:
    """Return a title without its number, blanks and signs, as a page and its bookmark may write them
    differently."""
    return re.sub(r"^[\d.]+|[\W_]+", "", re.sub(r"^(chapter|kapitel)\s+\d+", "", title.strip().lower()))


READERS: Final[Mapping[str, Callable[[bytes], Iterator[Block]]]] = {
    ".pdf": _of_pdf,
    ".docx": _of_docx,
    **dict.fromkeys((".html", ".htm", ".xhtml"), _of_html),
    **dict.fromkeys((".md", ".markdown"), _of_markdown),
    ".txt": _of_text,
}
"""Readers by the ends of the names of their files."""
