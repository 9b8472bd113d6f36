"""The catalog explains each message that the daemon has a number for, in words that systemd takes."""

import ast
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from kioskd import journal_ids
from kioskd.errors import Code
from kioskd.flow.reporting.journal import WRONG

ROOT: Final = Path(__file__).parents[2]
CATALOG: Final = ROOT / "systemd" / "kioskd.catalog"
SOURCE: Final = ROOT / "daemon" / "kioskd"

JOURNALCTL: Final = shutil.which("journalctl")
needs_journalctl = pytest.mark.skipif(JOURNALCTL is None, reason="no journalctl: install systemd")

TABLE: Final[Mapping[str, str]] = {
    **{name: value for name, value in vars(journal_ids).items() if name.isupper() and isinstance(value, str)},
    **{f"BY_CODE[Code.{code.name}]": value for code, value in journal_ids.BY_CODE.items()},
}
"""Each message id, by its name in the code."""


def entries() -> dict[str, tuple[dict[str, str], str]]:
    """Return the header fields and the text of each entry, by its message id."""
    found = {}
    text = re.sub(r"^#.*\n", "", CATALOG.read_text(), flags=re.MULTILINE)
    for entry in re.split(r"^-- ", text, flags=re.MULTILINE)[1:]:
        head, _, body = entry.partition("\n\n")
        number, *lines = head.splitlines()
        assert number not in found, f"{number} stands twice"
        found[number] = dict(line.split(": ", 1) for line in lines), body.strip()
    return found


def test_no_two_messages_have_the_same_number() -> None:
    assert len(set(TABLE.values())) == len(TABLE)
    assert all(
        re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", number) for number in TABLE.values()
    )


def test_table_and_catalog_agree() -> None:
    assert set(entries()) == set(TABLE.values())


def test_every_code_that_visitors_are_told_is_explained() -> None:
    assert set(journal_ids.BY_CODE) == set(Code)
    for code, number in journal_ids.BY_CODE.items():
        assert f"(code {code})" in entries()[number][0]["Subject"]


@pytest.mark.parametrize("name", TABLE)
def test_an_entry_says_what_happened_and_what_to_do(name: str) -> None:
    fields, text = entries()[TABLE[name]]
    assert fields.keys() == {"Subject", "Defined-By"}
    assert fields["Defined-By"] == "kioskd"
    assert all(len(line) <= 90 for line in text.splitlines()), "read in a terminal"
    if name != "RELOADED":  # the remedy is its only sentence
        assert len(text.split("\n\n")) >= 2, "what it is, then what to do"


def test_fields_in_the_catalog_are_fields_that_lines_have() -> None:
    known = {"CODE", "CONVERSATION", "TURN", "CAUSE"}
    assert set(re.findall(r"@KIOSKD_([A-Z_]+)@", CATALOG.read_text())) <= known


def used() -> set[str]:
    """Return the names of the table that the daemon's code uses."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and ast.unparse(node.value) == "journal_ids"
                and node.attr.isupper()
            ):
                found.add(node.attr)
    return found


def test_every_number_is_used_by_some_line() -> None:
    assert {name for name in TABLE if "[" not in name} | {"BY_CODE"} == used()


def journalctl(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    assert JOURNALCTL is not None
    return subprocess.run(
        [JOURNALCTL, f"--root={root}", *words], capture_output=True, text=True, check=False, timeout=240
    )


@needs_journalctl
def test_systemd_takes_the_catalog_and_finds_each_entry(tmp_path: Path) -> None:
    # Where scripts/install.sh puts it.
    folder = tmp_path / "usr/local/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(CATALOG, folder)

    update = journalctl(tmp_path, "--update-catalog")
    assert (update.returncode, update.stdout + update.stderr) == (0, "")

    listed = journalctl(tmp_path, "--list-catalog").stdout.splitlines()
    assert {line.split()[0] for line in listed} == set(TABLE.values())
    for number, (fields, _) in entries().items():
        assert fields["Subject"].split("@")[0] in journalctl(tmp_path, "--dump-catalog", number).stdout


@pytest.mark.parametrize("code", Code)
def test_status_readme_and_catalog_name_the_same_command(code: Code) -> None:
    named = set(re.findall(r"kioskd \w+", WRONG[code]))
    [row] = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| {code} |")]
    _, text = entries()[journal_ids.BY_CODE[code]]
    assert set(re.findall(r"kioskd \w+", row)) == named
    assert named <= set(re.findall(r"kioskd \w+", text))
