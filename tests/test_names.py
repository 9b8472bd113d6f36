"""A class name has one meaning, and the listing of files shows where each word of the field lives."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).parents[1] / "daemon" / "kioskd"

DEFINED_TWICE: Final[Mapping[str, str]] = {}
"""Public names that more than one module may define, each with the reason."""

WORDS: Final = (
    *("uplink", "downlink", "pre-roll", "voice activity", "barge-in", "echo", "wake word", "playout"),
    *("resumption", "rollover", "backoff", "watchdog", "transcript", "budget", "mute", "volume", "lamp"),
    *("button gesture", "camera", "snapshot", "tool call", "confirmation", "journal", "metrics"),
)
"""Words that a developer of voice assistants looks for first."""


def definitions(package: Path) -> Iterator[tuple[str, str]]:
    """Yield the public classes and type aliases of a package, each with the module that defines it."""
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).as_posix()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.ClassDef(name):
                    pass
                case ast.Assign([ast.Name(name)]) | ast.AnnAssign(ast.Name(name)):
                    pass
                case _:
                    continue
            if name[0].isupper() and not name.isupper():
                yield name, module


def several(package: Path) -> dict[str, list[str]]:
    """Return the names that more than one module defines."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, module in definitions(package):
        found[name].append(module)
    return {name: homes for name, homes in found.items() if len(homes) > 1}


def plain(text: str) -> str:
    """Return a word as files spell it: without hyphens, blanks and underscores."""
    return text.lower().replace("-", "").replace(" ", "").replace("_", "")


def test_a_public_class_name_means_one_thing() -> None:
    assert several(PACKAGE) == {name: several(PACKAGE).get(name) for name in DEFINED_TWICE}


def test_a_second_meaning_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("class Turn: ...\nMOST = 1\nclass _Own: ...")
    (tmp_path / "two.py").write_text("Turn = int\nMOST = 2\nclass _Own: ...")
    assert several(tmp_path) == {"Turn": ["one.py", "two.py"]}


@pytest.mark.parametrize("word", WORDS)
def test_the_listing_shows_where_a_word_of_the_field_lives(word: str) -> None:
    names = [plain(each.stem) for each in PACKAGE.rglob("*") if each.is_dir() or each.suffix == ".py"]
    assert [name for name in names if plain(word) in name]
