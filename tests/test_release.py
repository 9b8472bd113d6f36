"""scripts/release and scripts/floors: a release is made of a clean main with its changelog, or not at all."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import pytest
from tests.support.checkout import source_files

ROOT: Final = Path(__file__).parents[1]
NOTES: Final = (
    "# Changelog\n\n## 0.2.0 (2026-12-24)\n\n### Added\n\n- A bell.\n\n## 0.1.0 (2026-12-01)\n\n- All.\n"
)
INIT: Final = "daemon/kioskd/__init__.py"
IDENTITY: Final = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "A Developer"), ("EMAIL", "developer@kioskd.invalid"))
}


class Checkout:
    """A repository with the files of this one, whose checks and tests only note that they ran."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for path in source_files(
            "scripts/release",
            "daemon/kioskd",
            "config/prompts",
            "pyproject.toml",
            "README.md",
            "LICENSE",
            ".gitignore",
        ):
            copy = root / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        (root / "CHANGELOG.md").write_text(NOTES)
        for name in ("setup", "check", "test", "sbom", "package"):
            self.script(f"scripts/{name}", f"echo {name} >>.git/ran")
        self.script(".venv/bin/python", f'exec {sys.executable} "$@"')
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("Begin")

    def script(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def git(self, *arguments: str) -> str:
        return self._run("git", *arguments).stdout

    def commit(self, subject: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("scripts/release", *arguments, check=False)

    def refusal(self, *arguments: str) -> str:
        """Return the only line that a release says which changes nothing."""
        before = self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("tag")
        done = self.release(*arguments)
        assert done.returncode == 1
        assert (self.git("rev-parse", "HEAD"), self.git("status", "--porcelain"), self.git("tag")) == before
        [line] = done.stderr.splitlines()
        return line

    @property
    def ran(self) -> list[str]:
        ran = self.root / ".git/ran"
        return ran.read_text().split() if ran.exists() else []

    def _run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env=os.environ | IDENTITY,
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "kioskd")


def test_a_release_is_built_committed_and_tagged_and_not_pushed(checkout: Checkout) -> None:
    done = checkout.release("0.2.0", "--tested")
    assert done.returncode == 0, done.stderr
    assert checkout.ran == ["setup", "check", "sbom", "package"]
    assert '__version__ = "0.2.0"' in (checkout.root / INIT).read_text()
    assert checkout.git("log", "--format=%s").splitlines() == ["Release 0.2.0", "Begin"]
    assert checkout.git("cat-file", "-t", "v0.2.0").strip() == "tag"
    assert checkout.git("tag", "--list", "--format=%(contents)", "v0.2.0").strip() == (
        "kioskd 0.2.0\n\n### Added\n\n- A bell."
    )
    assert checkout.git("rev-parse", "v0.2.0^{commit}") == checkout.git("rev-parse", "HEAD")
    assert checkout.git("status", "--porcelain") == ""
    with zipfile.ZipFile(checkout.root / "dist/kioskd-0.2.0-py3-none-any.whl") as wheel:
        assert '__version__ = "0.2.0"' in wheel.read("kioskd/__init__.py").decode()
        assert "kioskd/prompts/shipped/en.yaml" in wheel.namelist()
    with tarfile.open(checkout.root / "dist/kioskd-0.2.0.tar.gz") as source:
        assert "kioskd-0.2.0/pyproject.toml" in source.getnames()
    assert "nothing is pushed" in done.stdout
    assert "git push origin main v0.2.0" in done.stdout


def test_the_first_release_has_the_version_that_is_there(checkout: Checkout) -> None:
    done = checkout.release("0.1.0")
    assert done.returncode == 0, done.stderr
    assert checkout.ran == ["setup", "test", "sbom", "package"]
    assert checkout.git("log", "--format=%s").splitlines() == ["Begin"]
    assert checkout.git("tag").split() == ["v0.1.0"]


@pytest.mark.parametrize("version", ["0.2", "v0.2.0", "0.2.0-rc1", "next"])
def test_a_version_of_another_form_is_rejected(checkout: Checkout, version: str) -> None:
    assert checkout.refusal(version) == (
        f"release: {version}: write three numbers, as in 0.2.0; a pre-release ends in a1, b1 or rc1"
    )


def test_another_branch_than_main_is_rejected(checkout: Checkout) -> None:
    checkout.git("switch", "--quiet", "--create", "other")
    assert "on the branch main, and this is other: git switch main" in checkout.refusal("0.2.0")
    checkout.git("switch", "--quiet", "--detach")
    assert "this is no branch" in checkout.refusal("0.2.0")


def test_a_checkout_with_changes_is_rejected(checkout: Checkout) -> None:
    (checkout.root / "README.md").write_text("Changed.\n")
    assert "the checkout has changes" in checkout.refusal("0.2.0")
    checkout.git("checkout", "--", "README.md")
    (checkout.root / "stray").touch()
    assert "the checkout has changes" in checkout.refusal("0.2.0")


def test_a_version_that_has_a_tag_is_rejected(checkout: Checkout) -> None:
    checkout.git("tag", "v0.2.0")
    assert checkout.refusal("0.2.0") == "release: the tag v0.2.0 exists: choose a newer version"


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("", 'has no line "## 0.2.0 (YYYY-MM-DD)"'),
        ("## 0.2.0 (unreleased)\n\n- A bell.\n", 'has no line "## 0.2.0 (YYYY-MM-DD)"'),
        ("## 0.2.0 (2026-12-24)\n\n", "the section 0.2.0 is empty"),
    ],
)
def test_a_changelog_without_the_version_is_rejected(checkout: Checkout, heading: str, words: str) -> None:
    (checkout.root / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}## 0.1.0 (2026-12-01)\n\n- All.\n")
    checkout.commit("Change the changelog")
    assert words in checkout.refusal("0.2.0")


def test_a_version_that_is_older_than_the_present_one_is_rejected(checkout: Checkout) -> None:
    (checkout.root / INIT).write_text('__version__ = "0.10.0"\n')
    checkout.commit("Set a version")
    assert "0.2.0 is older than 0.10.0" in checkout.refusal("0.2.0")


def test_a_prerelease_comes_before_its_release(checkout: Checkout) -> None:
    (checkout.root / "CHANGELOG.md").write_text(NOTES.replace("0.2.0", "0.2.0rc1"))
    (checkout.root / INIT).write_text('__version__ = "0.2.0"\n')
    checkout.commit("Set a version")
    assert "0.2.0rc1 is older than 0.2.0" in checkout.refusal("0.2.0rc1")


def test_a_check_that_fails_leaves_everything_as_it_was(checkout: Checkout) -> None:
    checkout.script("scripts/check", "exit 3")
    checkout.commit("Break a check")
    assert checkout.release("0.2.0", "--tested").returncode == 3
    assert checkout.git("tag") == ""


def test_a_build_that_fails_leaves_neither_a_version_nor_a_tag(checkout: Checkout) -> None:
    checkout.script(".venv/bin/python", "exit 4")
    assert checkout.release("0.2.0", "--tested").returncode == 4
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.git("log", "--format=%s").splitlines() == ["Begin"]
    assert checkout.git("tag") == ""


def test_a_package_that_cannot_be_built_leaves_neither_a_version_nor_a_tag(checkout: Checkout) -> None:
    checkout.script("scripts/package", "exit 5")
    checkout.commit("Break the package")
    assert checkout.release("0.2.0", "--tested").returncode == 5
    assert checkout.git("status", "--porcelain") == ""
    assert checkout.git("tag") == ""


def test_help_and_wrong_options_make_no_release(checkout: Checkout) -> None:
    assert "scripts/release VERSION --tested" in checkout.release("--help").stdout
    assert checkout.release().returncode == 2
    assert "--force: unknown option" in checkout.refusal("--force", "0.2.0")


PYPROJECT: Final = """\
[project]
dependencies = ["numpy>=1.24", "websockets>=15,<18", "systemd-python>=235; sys_platform == 'linux'", "typed"]

[project.optional-dependencies]
echo = ["livekit>=1.2", "numpy>=1.26"]
dev = ["kioskd[echo]", "pytest>=8.3"]
"""


def test_the_lowest_versions_are_those_of_pyproject(tmp_path: Path) -> None:
    def floors(*options: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, scripts / "floors", *options],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.split()

    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "floors").write_bytes((ROOT / "scripts/floors").read_bytes())
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    common = ["websockets==15", "systemd-python==235"]
    assert floors("--without", "echo") == ["numpy==1.24", *common, "pytest==8.3"]
    assert floors() == ["numpy==1.26", *common, "livekit==1.2", "pytest==8.3"]
