"""`kioskd help` lists the chapters of the manual, and shows one of them."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kioskd import manual
from kioskd.cli import COMMANDS, Exit, main

TOPICS = [chapter.topic for chapter in manual.chapters()]
WANTED = {
    *("talking", "buttons-lamp-camera", "tools", "operating", "packages"),
    *("privacy-and-cost", "link", "rehearsing", "figures", "commands"),
}


def at_a_terminal(*words: str, **environ: str) -> str:
    """Run `kioskd help` at a terminal of 80 columns, and return all that it prints."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"} | environ
    with subprocess.Popen(
        [sys.executable, "-m", "kioskd", "help", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    ):
        os.close(theirs)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # the command has ended
            pass
    os.close(ours)
    return seen.decode()


def test_the_chapters_are_listed_each_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()[2:]
    listed = dict(line.split(maxsplit=1) for line in lines)
    assert list(listed) == TOPICS
    assert set(TOPICS) >= WANTED
    assert listed == {chapter.topic: chapter.summary for chapter in manual.chapters()}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_chapter_is_printed_whole_where_no_terminal_is(
    topic: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["help", topic]) == Exit.OK
    printed = capsys.readouterr().out
    [chapter] = manual.find(topic)
    assert printed.startswith(f"# {chapter.title}\n\n{chapter.summary}\n")
    assert printed.count("\n## ") == chapter.text.count("\n## ")


def test_other_chapters_are_named_by_the_command_that_shows_them(capsys: pytest.CaptureFixture[str]) -> None:
    main(["help", "operating"])
    printed = capsys.readouterr().out
    assert "(`kioskd help link`)" in printed
    assert "](" not in re.sub(r"\]\(https?:", "", printed)


@pytest.mark.parametrize(("word", "topic"), [("camera", "buttons-lamp-camera"), ("Cost", "privacy-and-cost")])
def test_a_word_of_a_topic_is_enough(word: str, topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["help", word])
    assert capsys.readouterr().out.startswith(manual.find(topic)[0].text[:40])


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("toools", "toools: is not a chapter; did you mean tools?"),
        ("camra", "did you mean buttons-lamp-camera?"),
        ("quantum", "kioskd help lists the chapters"),
        ("doctor", "is a command, not a chapter; write kioskd doctor --help"),
    ],
)
def test_an_unknown_topic_is_wrong_usage_with_a_hint(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["help", word])
    assert ended.value.code == 2
    assert hint in capsys.readouterr().err


def test_a_terminal_gets_the_chapter_in_its_width_through_the_pager(tmp_path: Path) -> None:
    pager = tmp_path / "my pager"
    pager.write_text("#!/bin/sh\necho paged; cat\n")
    pager.chmod(0o755)
    seen = at_a_terminal("buttons-lamp-camera", PAGER=f"'{pager}'")
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in seen.splitlines()]
    assert lines[0] == "paged"
    assert max(map(len, lines)) <= 80
    assert any(line.strip().startswith("gpio:pi/17 ") for line in lines)


def test_a_terminal_without_a_pager_gets_the_chapter_all_the_same() -> None:
    assert "push to talk" in at_a_terminal("buttons-lamp-camera", PAGER="/no/such/pager")


def test_help_is_a_command_like_the_others() -> None:
    assert "help" in COMMANDS
    assert not set(COMMANDS) & set(TOPICS) - {"tools", "captions"}, "a word would mean two things"
