"""A generated block of a Markdown file, between two comments with its name: write it, or check it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

MANUAL: Final = Path(__file__).resolve().parents[1] / "daemon" / "kioskd" / "manual"


def keep_fresh(name: str, content: Callable[[], str], *, file: Path, about: str, stale: str) -> int:
    """Do as the command line asks; return the exit code.

    The block stands in `file`, between `<!-- NAME -->` and `<!-- /NAME -->`. `about` says what the script
    does, and `stale` what to do about an old block. With --check nothing is written, and the code is 1 if the
    block is old.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the block is stale")
    parser.add_argument("--file", type=Path, default=file, help=f"another file than {file.name}")
    options = parser.parse_args()
    path: Path = options.file
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        sys.stderr.write(f"{path}: needs one line {begin} and, after it, one line {end}; add them\n")
        return 1
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    fresh = f"{head}{begin}\n{content()}\n{end}{tail}"
    if fresh == text:
        return 0
    if options.check:
        sys.stderr.write(f"{path}: {stale}\n")
        return 1
    path.write_text(fresh, encoding="utf-8")
    return 0
