"""The documents for developers are true, and forges and tools can read the files that are for them."""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.test_layers import ARROWS

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "daemon" / "kioskd"
CONTRIBUTING: Final = ROOT / ".github" / "CONTRIBUTING.md"

TEXT: Final = CONTRIBUTING.read_text(encoding="utf-8")
_CODE: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PATH: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
_SUFFIXES: Final = (".md", ".py", ".toml", ".yaml", ".service", ".sysusers")

MADE: Final = ("out/", "dist/", ".venv/")
"""Folders that commands make."""


def paths(text: str) -> Iterator[str]:
    """Yield the paths in backticks, without those that hold a placeholder such as NAME."""
    for code in _CODE.findall(text):
        first = code.split()[0]
        is_path = _PATH.fullmatch(first) and ("/" in first or first.endswith(_SUFFIXES))
        if is_path and not re.search(r"\b(NAME|TAG)\b|_NAME", first) and not first.startswith(MADE):
            yield first


def missing(text: str) -> list[str]:
    """Return the paths that are neither in the checkout nor in the package nor in tests/."""
    homes = (ROOT, PACKAGE, ROOT / "tests")
    return [path for path in paths(text) if not any((home / path).exists() for home in homes)]


def chapter(title: str) -> str:
    """Return the text below a heading, up to the next one of its level or above."""
    level = re.search(rf"^(#+) {re.escape(title)}$", TEXT, re.MULTILINE)
    assert level, title
    rest = TEXT[level.end() :]
    return re.split(rf"^#{{1,{len(level[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[str]:
    """Return the first cells of the tables in a chapter, without their headings."""
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    return [cell for cell in cells if cell not in ("room", "word", "---")]


def test_each_path_exists() -> None:
    assert len(list(paths(TEXT))) > 100
    assert missing(TEXT) == []


def test_a_path_that_is_gone_is_found() -> None:
    there = "`flow/audio/uplink.py`, `core/`, `scripts/test --lowest`, `tools/kinds/NAME/`"
    assert missing(f"{there}, `gone.py`, `core/gone/`") == ["gone.py", "core/gone/"]


def test_the_map_has_each_folder_and_each_module_of_the_package_once() -> None:
    folders = {f"{path.parent.relative_to(PACKAGE).as_posix()}/" for path in PACKAGE.rglob("__init__.py")} - {
        "./"
    }
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    listed = [row.strip("`") for row in rows(chapter("Map"))]
    own = [row for row in listed if not row.startswith(("tests/", "`"))]
    assert sorted(own) == sorted(folders | modules)


def test_the_map_has_each_room_with_a_row_of_arrows() -> None:
    listed = {row.strip("`/").removesuffix(".py").replace("/", ".") for row in rows(chapter("Map"))}
    assert set(ARROWS) <= listed


@pytest.mark.parametrize("way", ["a frame", "a picture", "a press", "a call", "a setting"])
def test_each_way_names_its_modules(way: str) -> None:
    steps = re.findall(r"^\d+\. .*(?:\n   .*)*", chapter(f"The way of {way}"), re.MULTILINE)
    assert len(steps) >= 5
    for step in steps:
        assert any(path.endswith(".py") for path in paths(step)), step


@pytest.mark.parametrize(
    "subject",
    [
        *("A kind of tool", "A camera", "A button or a lamp", "A check of the doctor", "A setting"),
        *("An event and an effect", "A Live model", "A prompt language"),
    ],
)
def test_each_recipe_has_steps(subject: str) -> None:
    assert len(re.findall(r"^\d+\. ", chapter(subject), re.MULTILINE)) >= 3


def test_the_glossary_explains_each_word_once() -> None:
    words = rows(chapter("Glossary"))
    assert len(words) > 50
    assert len(set(words)) == len(words)


def test_the_form_for_bugs_asks_for_the_doctors_report() -> None:
    form: dict[str, Any] = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text("utf-8"))
    assert form["name"]
    assert form["description"]
    fields = {field["id"]: field for field in form["body"] if field["type"] != "markdown"}
    assert all(field["attributes"]["label"] for field in fields.values())
    assert fields["report"]["validations"]["required"] is True
    assert "kioskd doctor --yes --report" in fields["report"]["attributes"]["description"]


def test_the_form_for_pull_requests_asks_for_a_test_and_a_line_in_the_changelog() -> None:
    form = (ROOT / ".github/PULL_REQUEST_TEMPLATE.md").read_text("utf-8")
    assert "A test fails without this change" in form
    assert "CHANGELOG.md" in form


def test_before_each_commit_pre_commit_runs_the_checks() -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    [repository] = settings["repos"]
    [hook] = repository["hooks"]
    assert repository["repo"] == "local"
    assert (ROOT / hook["entry"]).stat().st_mode & 0o111
    assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("system", False, True)


def test_editors_are_told_the_form_that_the_formatter_writes() -> None:
    settings = configparser.ConfigParser()
    text = (ROOT / ".editorconfig").read_text("utf-8")
    settings.read_string(f"[top]\n{text}")
    assert settings["top"]["root"] == "true"
    assert (settings["*"]["indent_size"], settings["*"]["insert_final_newline"]) == ("2", "true")
    assert (settings["*.py"]["indent_size"], settings["*.py"]["max_line_length"]) == ("4", "110")


def test_the_changelog_has_sections_by_version_and_kind_of_change() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions
    for version in versions:
        assert re.fullmatch(r"\d+\.\d+\.\d+ \((unreleased|\d{4}-\d\d-\d\d)\)", version)
    kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert kinds
    assert set(kinds) <= {"Added", "Changed", "Fixed", "Removed", "Security"}
