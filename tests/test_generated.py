"""Generated blocks show what the program has now. A stale block is found."""

from pathlib import Path

import pytest
from tests.support.generated import generate

pytestmark = pytest.mark.parametrize(
    ("script", "block"), [("endings", "endings"), ("state-diagram", "states")]
)


@pytest.fixture
def readme(tmp_path: Path, block: str) -> Path:
    """Return a README whose block is empty."""
    path = tmp_path / "README.md"
    path.write_text(f"# Title\n\n<!-- {block} -->\n<!-- /{block} -->\n\nMore.\n")
    return path


@pytest.mark.usefixtures("block")
def test_the_block_is_fresh(script: str) -> None:
    checked = generate(script, "--check")
    assert checked.returncode == 0, checked.stderr


def test_a_stale_block_is_found_and_left_alone(script: str, readme: Path) -> None:
    before = readme.read_text()
    checked = generate(script, "--check", "--readme", str(readme))
    assert checked.returncode == 1
    assert f"run scripts/{script}" in checked.stderr
    assert readme.read_text() == before


def test_a_block_that_was_written_is_fresh_in_every_process(script: str, block: str, readme: Path) -> None:
    assert generate(script, "--readme", str(readme), seed=1).returncode == 0
    text = readme.read_text()
    assert text.startswith(f"# Title\n\n<!-- {block} -->\n")
    assert text.endswith(f"<!-- /{block} -->\n\nMore.\n")
    assert generate(script, "--check", "--readme", str(readme), seed=2).returncode == 0
    lines = text.splitlines(keepends=True)
    readme.write_text("".join(lines[:-4] + lines[-3:]))
    assert generate(script, "--check", "--readme", str(readme)).returncode == 1


def test_a_readme_without_a_place_for_the_block_is_refused(script: str, block: str, readme: Path) -> None:
    readme.write_text("# Title\n")
    written = generate(script, "--readme", str(readme))
    assert written.returncode == 1
    assert f"<!-- {block} -->" in written.stderr
