"""The manual: one Markdown file for each chapter, in this folder. `kioskd help` and `man` show the same text.

A chapter's first line is its title, and one line that sums it up follows. A new file is a new chapter.
"""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from kioskd import __version__

__all__ = ["Chapter", "chapters", "find", "man_pages", "plain"]

_READ_FIRST: Final = ("talking", "buttons-lamp-camera", "tools", "operating", "privacy-and-cost")
"""The order of the list for these chapters; the others follow by name."""

_LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)\s]+)\)")
"""A link to a file of the repository: its text, and its target."""

_PAGES: Final = {"commands": ("kioskd", 1), "settings": ("kioskd.yaml", 5)}
"""Chapters whose man page has a name of its own, and its section."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of the manual."""

    topic: str
    """The word after `kioskd help`, which is the file's name."""
    title: str
    summary: str
    text: str
    """The whole file, in Markdown."""

    @property
    def page(self) -> tuple[str, int]:
        """Return the name of its man page, and that page's section."""
        return _PAGES.get(self.topic, (f"kioskd-{self.topic}", 7))


@functools.cache
def chapters() -> Sequence[Chapter]:
    """Return all chapters in the order of the list."""
    found = []
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".md"):
            text = file.read_text(encoding="utf-8")
            title, summary = text.split("\n\n", 2)[:2]
            found.append(Chapter(file.name.removesuffix(".md"), title.removeprefix("# "), summary, text))
    order = {topic: number for number, topic in enumerate(_READ_FIRST)}
    return tuple(sorted(found, key=lambda each: (order.get(each.topic, len(order)), each.topic)))


def find(word: str) -> Sequence[Chapter]:
    """Return the chapter with this topic, else all chapters with this word in their topic, as in `camera`."""
    known = chapters()
    word = word.lower().removesuffix(".md")
    exact = [each for each in known if each.topic == word]
    return exact or [each for each in known if word in each.topic.split("-")]


def plain(text: str) -> str:
    """Return Markdown for a terminal: other chapters are named by the command that shows them."""
    return _without_links(text, lambda chapter: f"`kioskd help {chapter.topic}`")


def man_pages() -> Iterator[tuple[str, str]]:
    """Yield each man page: its file name, and its text in Markdown with metadata for the converter."""
    for chapter in chapters():
        name, section = chapter.page
        _title, _summary, body = chapter.text.split("\n\n", 2)
        body = _without_links(body, lambda other: "**{}**({})".format(*other.page))
        metadata = (
            f"title: {name}\nsection: {section}\nsource: kioskd {__version__}\nvolume: {chapter.title}\n"
        )
        head = f"# NAME\n\n{name} - {chapter.summary}\n\n# DESCRIPTION\n\n"
        yield f"{name}.{section}", f"{metadata}\n{head}{body}"


def _without_links(text: str, named: Callable[[Chapter], str]) -> str:
    """Replace links to files by their text; `named` returns the name of a chapter for its readers."""
    by_file = {f"{each.topic}.md": each for each in chapters()}

    def replaced(link: re.Match[str]) -> str:
        chapter = by_file.get(link[2].partition("#")[0])
        return f"{link[1]} ({named(chapter)})" if chapter else link[1]

    return re.sub(r"<!-- .*? -->\n", "", _LINK.sub(replaced, text))
