"""Prose that strangers can read: `tests/support/plain_words.py` finds no fault with it."""

from pathlib import Path

import pytest
from tests.support.plain_words import files, findings, messages

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("daemon", "config", "tests", "scripts", ".github", "README.md", "CHANGELOG.md")


@pytest.mark.parametrize("place", PLACES)
def test_prose_has_short_sentences_and_no_vague_words(place: str) -> None:
    found = [str(one) for path in files(ROOT / place) for one in findings(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "prose", "rule"),
    [
        ("a.py", '"""Nobody is told."""', "vague Nobody"),
        ("a.py", "x = 1\n# The kiosk begins\n# anew.\n", "vague anew"),
        ("a.py", '"""What is kept."""', "riddle What is kept"),
        ("a.py", '"""The end. Nor is one sent."""', "riddle Nor is one sent"),
        ("a.yaml", "# Whoever asks.\na: 1\n", "vague Whoever"),
        ("a.md", "Such a one is passed over.", "riddle Such a one is passed over"),
        ("a.md", "| a | of what is said |", "riddle of what"),
        ("a.md", "One " + "word " * 20, "long One"),
    ],
)
def test_a_fault_is_found_in_each_kind_of_file(tmp_path: Path, name: str, prose: str, rule: str) -> None:
    path = tmp_path / name
    path.write_text(prose)
    kind, words = rule.split(" ", 1)
    assert any(one.rule == kind and words in one.text for one in findings(path))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.py",
            '"""Return the volume. What does it cost? Nothing."""\nx = "nobody"  # noqa: S105 - nobody\n',
        ),
        ("a.py", "#!/usr/bin/env python3\nx = 1  # Twenty frames.\n"),
        ("a.yaml", "# who: nobody\nwhat: somebody\n"),
        ("a.md", "```sh\nwhoever asks for what nobody has\n```\n`nobody` is a user of Debian."),
        (
            "a.md",
            "- One two three four five six seven eight nine ten eleven\n- and one two three four five six.",
        ),
    ],
)
def test_code_settings_and_questions_are_no_faults(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert [str(one) for one in findings(path)] == []


def test_messages_to_people_are_listed_without_docstrings() -> None:
    text = '"""A module of ours."""\nx = f"{1} is above {2}"\nlog.info("the kiosk is awake")\ny = "short"\n'
    assert list(messages(text)) == [(2, "{} is above {}"), (3, "the kiosk is awake")]
