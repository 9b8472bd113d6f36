"""The scripts that write parts of the manual, run as `scripts/check` does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def generate(script: str, *arguments: str, seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `scripts/SCRIPT` in a process with its own hash seed, and so its own order of sets."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *arguments],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def generated(script: str, block: str, folder: Path) -> list[str]:
    """Return the lines that the script writes into an empty block of a chapter in `folder`."""
    chapter = folder / "chapter.md"
    chapter.write_text(f"<!-- {block} -->\n<!-- /{block} -->\n", encoding="utf-8")
    assert generate(script, "--file", str(chapter)).returncode == 0
    return chapter.read_text(encoding="utf-8").splitlines()[1:-1]


def shown(block: str, chapter: str) -> list[str]:
    """Return the lines of a block of the manual's `chapter`."""
    lines = (ROOT / "daemon" / "kioskd" / "manual" / chapter).read_text(encoding="utf-8").splitlines()
    return lines[lines.index(f"<!-- {block} -->") + 1 : lines.index(f"<!-- /{block} -->")]
