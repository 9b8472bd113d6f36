"""`kioskd help`: the manual, chapter by chapter."""

import argparse
import difflib
import io
import os
import shlex
import shutil
import subprocess
import sys
from typing import Final

from kioskd import manual
from kioskd.cli import COMMANDS, Exit
from kioskd.cli.output import say

_WIDEST: Final = 100
"""Columns: longer lines are hard to read."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "topic", metavar="TOPIC", nargs="?", type=_chapter, help="a chapter; else they are listed"
    )
    parser.epilog = "In a terminal a chapter opens in $PAGER, or in less. The same pages: man kioskd."


def run(arguments: argparse.Namespace) -> int:
    """List the chapters, or show one."""
    chapter: manual.Chapter | None = arguments.topic
    if chapter is None:
        say(_contents())
    elif sys.stdout.isatty():
        _page(_rendered(manual.plain(chapter.text)))
    else:
        print(manual.plain(chapter.text), end="")
    return Exit.OK


def _contents() -> str:
    known = manual.chapters()
    width = max((len(each.topic) for each in known), default=0)
    lines = [f"  {each.topic:{width}}  {each.summary}" for each in known]
    return "\n".join(["The chapters of the manual (kioskd help TOPIC):", "", *lines])


def _chapter(word: str) -> manual.Chapter:
    """Return the chapter that a person asks for. Raises ArgumentTypeError with near misses."""
    found = manual.find(word)
    if len(found) == 1:
        return found[0]
    if found:
        raise argparse.ArgumentTypeError(f"{word}: write one of {', '.join(each.topic for each in found)}")
    if word in COMMANDS:
        raise argparse.ArgumentTypeError(f"{word}: is a command, not a chapter; write kioskd {word} --help")
    topics = [each.topic for each in manual.chapters()]
    words = {part: topic for topic in topics for part in (topic, *topic.split("-"))}
    near = dict.fromkeys(words[each] for each in difflib.get_close_matches(word, words))
    hint = f"did you mean {' or '.join(near)}?" if near else "kioskd help lists the chapters"
    raise argparse.ArgumentTypeError(f"{word}: is not a chapter; {hint}")


def _rendered(text: str) -> str:
    """Return Markdown as a terminal shows it; as it is where Rich is not installed."""
    try:
        from rich.console import Console  # noqa: PLC0415 - optional
        from rich.markdown import Markdown  # noqa: PLC0415
    except ImportError:
        return text
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    console = Console(file=io.StringIO(), force_terminal=True, width=width, no_color="NO_COLOR" in os.environ)
    with console.capture() as capture:
        console.print(Markdown(text, hyperlinks=False))
    return capture.get()


def _page(text: str) -> None:
    """Show a text in the user's pager, or print it where none can be started."""
    pager = shlex.split(os.environ.get("PAGER", "less -R"))
    if pager and shutil.which(pager[0]):
        # The user chooses the program, as for git and man.
        subprocess.run(pager, input=text, text=True, check=False, env={"LESS": "FRX", **os.environ})  # noqa: S603
    else:
        print(text, end="")
