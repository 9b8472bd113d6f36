"""The README's table of endings is the adapter's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kioskd.adapters.gemini.errors import ENDINGS

SCRIPT = Path(__file__).parents[2] / "scripts" / "endings"
EMPTY = "# Title\n\n<!-- endings -->\n<!-- /endings -->\n\nMore.\n"


def write(*arguments: str, seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the script as `scripts/check` does."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    """Return a README in which nothing is written yet."""
    path = tmp_path / "README.md"
    path.write_text(EMPTY)
    return path


def test_a_stale_table_is_found_and_left_alone(readme: Path) -> None:
    checked = write("--check", "--readme", str(readme))
    assert checked.returncode == 1
    assert "run scripts/endings" in checked.stderr
    assert readme.read_text() == EMPTY


def test_every_ending_has_its_line(readme: Path) -> None:
    assert write("--readme", str(readme), seed=1).returncode == 0
    text = readme.read_text()
    assert text.startswith("# Title\n\n<!-- endings -->\n")
    assert text.endswith("<!-- /endings -->\n\nMore.\n")
    lines = text.splitlines()
    table = lines[lines.index("<!-- endings -->") + 3 : lines.index("<!-- /endings -->")]
    cells = [line.split("|") for line in table]
    assert [cell[1].strip() for cell in cells] == [row.name for row in ENDINGS]
    assert [cell[4].strip() for cell in cells] == [row.remedy.value for row in ENDINGS]
    assert "| service unavailable | HTTP 408, 425, 500-599 |  | resume |" in table
    assert write("--check", "--readme", str(readme), seed=2).returncode == 0


def test_a_readme_without_a_place_for_the_table_is_refused(readme: Path) -> None:
    readme.write_text("# Title\n")
    written = write("--readme", str(readme))
    assert written.returncode == 1
    assert "<!-- endings -->" in written.stderr
