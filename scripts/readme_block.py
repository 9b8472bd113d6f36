"""A part of README.md that is generated, between `<!-- NAME -->` and `<!-- /NAME -->`: written, or checked."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

README: Final = Path(__file__).resolve().parents[1] / "README.md"


def keep_fresh(name: str, content: Callable[[], str], *, about: str, stale: str) -> int:
    """Do as the command line asks; return the exit code.

    `about`: what the script does. `stale`: what to say of an old block, and what to do. With --check nothing is written;
    exit 1 if README.md shows something else.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if README.md is stale")
    parser.add_argument("--readme", type=Path, default=README, help="another file than README.md")
    options = parser.parse_args()
    readme: Path = options.readme
    text = readme.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        sys.stderr.write(f"{readme}: needs one line {begin} and, after it, one line {end}; add them\n")
        return 1
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    fresh = f"{head}{begin}\n{content()}\n{end}{tail}"
    if fresh == text:
        return 0
    if options.check:
        sys.stderr.write(f"{readme}: {stale}\n")
        return 1
    readme.write_text(fresh, encoding="utf-8")
    return 0
