"""The generated parts of the manual show the program as it is now, and a stale part is found."""

from pathlib import Path

import pytest
from tests.support.generated import generate

SCRIPT, BLOCK = "endings", "endings"
"""The quick one of the scripts, which all write their blocks by `scripts/generated_block.py`."""


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    """Return a chapter with an empty block."""
    path = tmp_path / "chapter.md"
    path.write_text(f"# Title\n\n<!-- {BLOCK} -->\n<!-- /{BLOCK} -->\n\nMore.\n")
    return path


@pytest.mark.parametrize("script", ["endings", "state-diagram"])
def test_the_manual_shows_the_program_as_it_is_in_each_process(script: str) -> None:
    checked = generate(script, "--check", seed=2)
    assert checked.returncode == 0, checked.stderr


def test_a_stale_block_is_found_and_left_alone(chapter: Path) -> None:
    before = chapter.read_text()
    checked = generate(SCRIPT, "--check", "--file", str(chapter))
    assert checked.returncode == 1
    assert f"run scripts/{SCRIPT}" in checked.stderr
    assert chapter.read_text() == before


def test_a_written_block_is_fresh_and_a_changed_one_is_not(chapter: Path) -> None:
    assert generate(SCRIPT, "--file", str(chapter), seed=1).returncode == 0
    text = chapter.read_text()
    assert text.startswith(f"# Title\n\n<!-- {BLOCK} -->\n")
    assert text.endswith(f"<!-- /{BLOCK} -->\n\nMore.\n")
    assert generate(SCRIPT, "--check", "--file", str(chapter), seed=2).returncode == 0
    lines = text.splitlines(keepends=True)
    chapter.write_text("".join(lines[:-4] + lines[-3:]))
    assert generate(SCRIPT, "--check", "--file", str(chapter)).returncode == 1


def test_a_chapter_without_a_place_for_the_block_is_refused(chapter: Path) -> None:
    chapter.write_text("# Title\n")
    written = generate(SCRIPT, "--file", str(chapter))
    assert written.returncode == 1
    assert f"<!-- {BLOCK} -->" in written.stderr
