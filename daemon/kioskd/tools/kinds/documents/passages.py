"""Cuts a document into passages, and texts into the terms by which they are found."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

LEAST_WORDS: Final = 40
"""A passage with fewer words goes on over the end of a page."""
AIM_WORDS: Final = 120
"""A passage with as many words ends at the end of its paragraph."""
MOST_WORDS: Final = 180
"""A longer passage is cut at the end of a sentence."""
LONGEST_TERM: Final = 5
"""Letters of a word that count. So the forms of a word are alike in any language: see
`scripts/bench-documents`."""

_SENTENCE_END: Final = re.compile(
    r"(?<=[.!?…])\s+|(?<=[\u3002\uff01\uff1f])|\n\s*(?=[\u2022\u25e6\u25aa*\u2013-]\s)"
)
_MARKS: Final = re.compile("[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670]")
_TERM: Final = re.compile("(?:[^\\W_]|[\u0900-\u109f])+")
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters of scripts that write no blanks between words, and those of Korean, which adds endings to them."""
_RUN: Final = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_UNSPACED_LETTER: Final = re.compile(f"[{_UNSPACED}]")


class Passage(NamedTuple):
    """A piece of a document."""

    page: int | None
    heading: str
    """The headings above it, from the outermost to the innermost."""
    text: str


@dataclass
class _Cutter:
    headings: list[tuple[int, str]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    words: int = 0
    page: int | None = None

    def under(self, title: str, level: int) -> None:
        self.headings = [each for each in self.headings if each[0] < level] + [(level, title)]

    def add(self, text: str, page: int | None) -> None:
        if not self.parts:
            self.page = page
        self.parts.append(text)
        self.words += _count(text)

    def passage(self) -> Iterator[Passage]:
        if self.parts:
            heading = " > ".join(title for _, title in self.headings)
            yield Passage(self.page, heading, "\n".join(self.parts))
        self.parts, self.words = [], 0


def cut(blocks: Iterable[tuple[str, int | None, int]]) -> Iterator[Passage]:
    """Yield the passages of a document. A block is a text, its page, and its level as a heading, else 0."""
    cutter = _Cutter()
    for raw, page, level in blocks:
        text = _tidy(raw)
        if not text:
            continue
        if level:
            yield from cutter.passage()
            cutter.under(text[:200], level)
            continue
        if page != cutter.page and cutter.words >= LEAST_WORDS:
            yield from cutter.passage()
        for sentence in _sentences(text):
            if cutter.words and cutter.words + _count(sentence) > MOST_WORDS:
                yield from cutter.passage()
            cutter.add(sentence, page)
        if cutter.words >= AIM_WORDS:
            yield from cutter.passage()
    yield from cutter.passage()


def _tidy(text: str) -> str:
    text = "".join(ch if ch.isprintable() or ch == "\n" else " " for ch in text)
    text = re.sub(
        r"(?<=[^\W\d_])[-\u00ad]\n(?=[^\W\d_])", "", text
    )  # a word that is parted at the end of its line
    return re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()


def _sentences(text: str) -> Iterator[str]:
    """Yield a short paragraph as a whole, otherwise its sentences, and pieces of very long ones."""
    if _count(text) <= MOST_WORDS:
        yield text.replace("\n", " ")
        return
    for sentence in _SENTENCE_END.split(text):
        words = sentence.split()
        if _count(sentence) <= MOST_WORDS:
            pieces = [" ".join(words)]
        elif len(words) > 1 and not _UNSPACED_LETTER.search(sentence):
            pieces = [" ".join(words[at : at + AIM_WORDS]) for at in range(0, len(words), AIM_WORDS)]
        else:
            pieces = [sentence[at : at + 2 * AIM_WORDS] for at in range(0, len(sentence), 2 * AIM_WORDS)]
        yield from filter(None, pieces)


def _count(text: str) -> int:
    """Return the number of words. Two letters of a script without blanks count as one; so do 20 others."""
    unspaced = 0 if text.isascii() else len(_UNSPACED_LETTER.findall(text))
    return max(text.count(" ") + text.count("\n") + 1, len(text) // 20) + unspaced // 2


def terms(text: str) -> list[str]:
    """Return the terms of a text: the beginnings of its words, without accents.

    Where a script writes no blanks, they are pairs of letters.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
    found: list[str] = []
    for word in _TERM.findall(text):
        if word.isascii():
            found.append(word[:LONGEST_TERM])
            continue
        for run in _RUN.findall(word):
            if not _UNSPACED_LETTER.match(run):
                found.append(run[:LONGEST_TERM])
            elif len(run) == 1:
                found.append(run)
            else:
                found.extend(run[at : at + 2] for at in range(len(run) - 1))
    return found
