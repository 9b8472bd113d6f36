"""scripts/lock and scripts/wheels: each requirement has one version, with hashes of its wheels."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = ROOT / "scripts" / "locks"
FROM_DEBIAN: Final = ("pyaudio", "systemd-python", "evdev")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the files that the lock is about."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def check(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "scripts/lock", "--check"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def entries(group: str) -> list[str]:
    """Return the packages of a group, each with its hashes, on one line."""
    text = (LOCKS / f"{group}.txt").read_text().replace(" \\\n    ", " ")
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_lock_has_what_pyproject_asks_for() -> None:
    done = check(ROOT)
    assert done.returncode == 0, done.stderr


def test_a_requirement_that_the_lock_does_not_meet_is_named(checkout: Path) -> None:
    pyproject = checkout / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"aiomqtt>=2.5,<3"', '"aiomqtt>=2.99"'))
    done = check(checkout)
    assert done.returncode == 1
    assert re.search(
        r"locks/mqtt: aiomqtt>=2\.99 is asked for, and the lock has 2\.\S+ for Python 3", done.stderr
    )
    assert done.stderr.endswith("the lock is stale: run .venv/bin/python scripts/lock\n")


def test_an_optional_part_without_a_lock_is_named_and_so_is_a_lock_without_one(checkout: Path) -> None:
    (checkout / "scripts/locks/echo.txt").rename(checkout / "scripts/locks/choir.txt")
    done = check(checkout)
    assert "locks/echo: there is no file for it\n" in done.stderr
    assert "locks/choir: there is no such group in pyproject.toml\n" in done.stderr


def test_each_optional_part_has_a_file_which_the_installer_can_name() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {path.stem for path in LOCKS.iterdir()} == {"build", "kioskd", "tools", *extras}


@pytest.mark.parametrize("group", sorted(path.stem for path in LOCKS.iterdir()))
def test_each_package_has_one_version_and_hashes_and_no_address(group: str) -> None:
    for entry in entries(group):
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+]+(; [^:]+?)?( --hash=sha256:[0-9a-f]{64})+", entry), entry
    assert "://" not in (LOCKS / f"{group}.txt").read_text()


def test_libraries_that_debian_brings_are_not_in_the_lock() -> None:
    listed = {entry.partition("==")[0] for path in LOCKS.iterdir() for entry in entries(path.stem)}
    assert listed.isdisjoint(FROM_DEBIAN)
    assert {"google-genai", "numpy", "websockets"} <= listed


def test_a_package_has_the_same_version_in_each_group() -> None:
    versions: dict[str, set[str]] = {}
    for path in LOCKS.iterdir():
        for entry in entries(path.stem):
            name, _, rest = entry.partition("==")
            versions.setdefault(name, set()).add(rest)
    several = {name: found for name, found in versions.items() if len(found) > 1}
    assert all(all("; python_full_version" in one for one in found) for found in several.values()), several


def test_wheels_of_another_machine_than_the_locked_ones_are_rejected(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/wheels", "--machine", "riscv64", tmp_path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "'riscv64' (choose from" in done.stderr
