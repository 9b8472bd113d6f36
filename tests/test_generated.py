"""The generated parts of the manual show the program as it is now, and a stale part is found."""

from pathlib import Path

import pytest
from tests.support.generated import generate

pytestmark = pytest.mark.parametrize(
    ("script", "block"), [("endings", "endings"), ("state-diagram", "states")]
)


@pytest.fixture
def chapter(tmp_path: Path, block: str) -> Path:
    """Return a chapter with an empty block."""
    path = tmp_path / "chapter.md"
    path.write_text(f"# Title\n\n<!-- {block} -->\n<!-- /{block} -->\n\nMore.\n")
    return path


@pytest.mark.usefixtures("block")
def test_the_manual_shows_the_program_as_it_is(script: str) -> None:
    checked = generate(script, "--check")
    assert checked.returncode == 0, checked.stderr


def test_a_stale_block_is_found_and_left_alone(script: str, chapter: Path) -> None:
    before = chapter.read_text()
    checked = generate(script, "--check", "--file", str(chapter))
    assert checked.returncode == 1
    assert f"run scripts/{script}" in checked.stderr
    assert chapter.read_text() == before


def test_a_block_is_fresh_once_written_in_whatever_process(script: str, block: str, chapter: Path) -> None:
    assert generate(script, "--file", str(chapter), seed=1).returncode == 0
    text = chapter.read_text()
    assert text.startswith(f"# Title\n\n<!-- {block} -->\n")
    assert text.endswith(f"<!-- /{block} -->\n\nMore.\n")
    assert generate(script, "--check", "--file", str(chapter), seed=2).returncode == 0
    lines = text.splitlines(keepends=True)
    chapter.write_text("".join(lines[:-4] + lines[-3:]))
    assert generate(script, "--check", "--file", str(chapter)).returncode == 1


def test_a_chapter_without_a_place_for_the_block_is_refused(script: str, block: str, chapter: Path) -> None:
    chapter.write_text("# Title\n")
    written = generate(script, "--file", str(chapter))
    assert written.returncode == 1
    assert f"<!-- {block} -->" in written.stderr
