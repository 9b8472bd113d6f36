"""Writes the manual's pages into a folder, as Markdown for a converter: `python -m kioskd.manual FOLDER`."""

import sys
from pathlib import Path

from kioskd.manual import man_pages


def main(folder: str) -> None:
    """Write `NAME.SECTION.md` for each page."""
    for name, text in man_pages():
        Path(folder, f"{name}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
