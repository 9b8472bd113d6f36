"""The README's drawing of the two machines is the core's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "state-diagram"
EMPTY = "# Title\n\n<!-- states -->\n<!-- /states -->\n\nMore.\n"


def draw(*arguments: str, seed: int = 0) -> subprocess.CompletedProcess[str]:
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
    """Return a README in which nothing is drawn yet."""
    path = tmp_path / "README.md"
    path.write_text(EMPTY)
    return path


def test_the_readme_shows_the_machines_as_they_are() -> None:
    checked = draw("--check")
    assert checked.returncode == 0, checked.stderr


def test_a_stale_drawing_is_found_and_left_alone(readme: Path) -> None:
    checked = draw("--check", "--readme", str(readme))
    assert checked.returncode == 1
    assert "run scripts/state-diagram" in checked.stderr
    assert readme.read_text() == EMPTY


def test_a_drawing_is_fresh_once_drawn_in_whatever_process(readme: Path) -> None:
    assert draw("--readme", str(readme), seed=1).returncode == 0
    text = readme.read_text()
    assert text.startswith("# Title\n\n<!-- states -->\n")
    assert text.endswith("<!-- /states -->\n\nMore.\n")
    assert draw("--check", "--readme", str(readme), seed=2).returncode == 0
    readme.write_text(text.replace("idle timer", "boredom"))
    assert draw("--check", "--readme", str(readme)).returncode == 1


def test_the_drawing_shows_the_arrows_that_matter(readme: Path) -> None:
    assert draw("--readme", str(readme)).returncode == 0
    lines = readme.read_text().splitlines()
    assert lines.count("stateDiagram-v2") == 2
    assert "  [*] --> asleep" in lines
    assert "  [*] --> down" in lines
    assert "  listening --> thinking: talk ended, asked, voice ended, up" in lines
    assert "  ringing --> speaking: reply began" in lines
    assert "  down --> dialing: conversation begins, settings changed, probe timer" in lines
    assert "  draining --> dialing: quiet moment, lost, rollover timer" in lines
    assert "  waiting --> dialing: network changed, settings changed, retry timer" in lines
    wakes = "started, pressed, woken, talk began, look asked, asked, restored, again timer"
    assert f"  asleep --> listening: {wakes}" in lines
    assert "  dialing --> down: conversation ends, probe over, lost" in lines
    arrows = [line.split(":")[0].split() for line in lines if " --> " in line]
    assert {phase for arrow in arrows for phase in (arrow[0], arrow[2])} == {
        *("[*]", "asleep", "listening", "thinking", "speaking", "ringing"),
        *("down", "dialing", "up", "draining", "waiting"),
    }


def test_a_readme_without_a_place_for_the_drawing_is_refused(readme: Path) -> None:
    readme.write_text("# Title\n")
    checked = draw("--readme", str(readme))
    assert checked.returncode == 1
    assert "<!-- states -->" in checked.stderr
