"""Public questions over public documents: Debian's FAQ in eight languages, among other manuals of Debian.

Each heading of the FAQ that asks a question is one, and the text below it is its answer. The headings can be
taken out of the documents. Tables of contents, and links that repeat a heading, are always taken out. Without
its heading, a question shares only those words with its answer that its authors used twice.
"""

import gzip
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lxml import html

LANGUAGES: Final = ("de", "en", "fr", "it", "ja", "nl", "ru", "zh-cn")
PACKAGES: Final = (
    "debian-faq",
    *(f"debian-faq-{language}" for language in LANGUAGES if language != "en"),
    *("debian-policy", "debian-reference-en", "developers-reference"),
)
"""Debian's packages of documents, each some hundred kilobytes."""
LEAST_LETTERS: Final = 80
"""A shorter answer only names another place."""

FOREIGN: Final = (
    "How long do I have to boil an egg until it is hard?",
    "Which painter cut off his own ear?",
    "Where are the toilets, and are they free of charge?",
    "What did the dinosaurs eat in winter?",
    "How much is a ticket for children under six?",
    "When does the last tram to the harbour leave?",
    "Wie lange muss ein Ei kochen, bis es hart ist?",
    "Welcher Maler hat sich das Ohr abgeschnitten?",
    "Was kostet der Eintritt für Kinder unter sechs Jahren?",
    "Wann fährt die letzte Straßenbahn zum Hafen?",
    "Combien de temps faut-il cuire un œuf dur ?",
    "À quelle heure part le dernier tramway pour le port ?",
    "Quanto costa il biglietto per i bambini sotto i sei anni?",
    "Quale pittore si tagliò un orecchio?",
    "Hoe lang moet een ei koken tot het hard is?",
    "Wanneer vertrekt de laatste tram naar de haven?",
    "Сколько минут нужно варить яйцо вкрутую?",
    "Какой художник отрезал себе ухо?",  # noqa: RUF001 - Russian
    "ゆで卵は何分ゆでればいいですか。",
    "最后一班有轨电车几点开？",  # noqa: RUF001 - a Chinese question mark
)
"""Questions that none of these documents answers."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the place of its answer."""

    language: str
    text: str
    document: str
    answer: str
    """The letters of the answer without blanks."""


def fetch(folder: Path) -> Path:
    """Unpack the packages below `folder`, and return their /usr/share."""
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = folder / "unpacked"
    if not unpacked.exists():
        subprocess.run(["apt-get", "download", "--quiet=2", *PACKAGES], cwd=folder, check=True)
        for package in sorted(folder.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, folder / "part"], check=True)
        (folder / "part").rename(unpacked)
    return unpacked / "usr/share"


def books(share: Path, target: Path) -> None:
    """Write the PDF files of manuals other than the FAQ into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(share / "debian-reference/debian-reference.en.pdf", target)
    shutil.copy(share / "developers-reference/developers-reference.pdf", target)
    for packed in (share / "doc/debian-policy/policy.pdf.gz", share / "doc/debian-policy/fhs/fhs-3.0.pdf.gz"):
        (target / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def faq_books(share: Path, target: Path) -> None:
    """Write the FAQ as PDF files, for measuring times."""
    target.mkdir(parents=True, exist_ok=True)
    for packed in sorted((share / "doc/debian/FAQ").glob("debian-faq.??.pdf.gz")):
        if packed.stat().st_size > 50_000:  # a smaller one is no book
            (target / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def questions(share: Path, target: Path, *, headings: bool) -> list[Question]:
    """Write the FAQ as HTML files into `target`, with or without its headings, and return its questions."""
    found: list[Question] = []
    for language in LANGUAGES:
        source = share / "doc/debian/FAQ" / ("" if language == "en" else language)
        for path in sorted(source.glob(f"*.{language}.html")):
            if path.name.startswith(("index", "faqinfo")):
                continue
            name = f"{language}/{path.name}"
            page = html.document_fromstring(path.read_bytes(), parser=html.HTMLParser(encoding="utf-8"))
            found += _questions(page, language, name, headings=headings)
            (target / language).mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(html.tostring(page, encoding="utf-8"))
    return found


def _questions(page: html.HtmlElement, language: str, name: str, *, headings: bool) -> Iterator[Question]:
    for element in page.xpath(
        "//div[@class='toc' or @class='navheader' or @class='navfooter'] | //a[@class='xref']"
    ):
        element.drop_tree()
    for section in page.xpath("//div[@class='section'][div[@class='titlepage']//h2]"):
        [title] = section.xpath("./div[@class='titlepage']//h2")
        text = re.sub(r"^[\d.\s]+", "", " ".join(title.text_content().split()))
        answer = letters(section.text_content())
        if re.search("[?？]", text) and len(answer) >= LEAST_LETTERS:  # noqa: RUF001 - a Chinese question mark
            yield Question(language, text, name, answer)
        if not headings:
            for each in section.xpath(".//h2 | .//h3 | .//h4"):
                each.clear()
                each.text = "§"


def letters(text: str) -> str:
    """Return the letters and digits of a text."""
    return re.sub(r"[\W_]+", "", text).casefold()


def answers(question: Question, document: str, passage: str) -> bool:
    """Return whether the middle of a passage belongs to the answer of a question."""
    plain = letters(passage)
    middle = len(plain) // 2
    piece = plain[max(0, middle - 30) : middle + 30]
    return document == question.document and piece in question.answer
