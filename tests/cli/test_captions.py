"""`kioskd captions`: the words for people, and the lines for programs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.control import daemon, open_place

from kioskd.cli import Exit, main


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


def message(*lines: dict[str, object]) -> bytes:
    return json.dumps({"ok": True, "first": 1, "lines": lines, "status": {}}).encode() + b"\n"


def line(number: int, text: str, **more: object) -> dict[str, object]:
    return {
        "number": number, "who": "kiosk", "language": "", "text": text, "final": False, "cut": False, **more,
    }  # fmt: skip


def test_final_lines_are_printed_for_people(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = message(line(1, "Hello", who="visitor", language="de-DE", final=True), line(2, "Good"))
    told += message(line(2, "Good \x1b[31mday", final=True, cut=True))
    with daemon(place, told):
        assert main(["captions", "--socket", str(place)]) == Exit.UNAVAILABLE
    assert capsys.readouterr().out == "visitor (de-DE): Hello\nkiosk: Good \ufffd[31mday…\n"


def test_each_change_is_printed_for_programs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(place, message(line(1, "Good")) + message() + message(line(1, "Good day", final=True))):
        assert main(["captions", "--json", "--socket", str(place)]) == Exit.UNAVAILABLE
    printed = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert [(each["text"], each["final"]) for each in printed] == [("Good", False), ("Good day", True)]


def test_a_refusal_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(place, b'{"ok": false, "why": "captions are off"}\n'):
        assert main(["captions", "--socket", str(place)]) == Exit.NOT_MET
    assert capsys.readouterr().err == "kioskd: not done: captions are off\n"
