"""`kioskd say`: its requests, its answers and its exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.control import daemon, open_place

from kioskd.cli import Exit, main

QUEUED = b'{"ok": true, "number": 3}\n'
SPOKEN = b'{"ok": true}\n'


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


def test_the_command_ends_when_the_words_were_spoken(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(place, QUEUED, SPOKEN) as asked:
        assert main(["say", "We", "close soon.", "--language", "en-GB", "--socket", str(place)]) == Exit.OK
    assert [json.loads(each) for each in asked] == [
        {"do": "say", "text": "We close soon.", "language": "en-GB"},
        {"do": "said", "number": 3},
    ]
    assert capsys.readouterr().out == "spoken\n"


def test_urgent_words_and_a_recording_are_sent_as_such(place: Path) -> None:
    recording = place.with_name("bell.wav")
    recording.write_bytes(b"RIFF1234")
    with daemon(place, QUEUED, SPOKEN) as asked:
        assert main(["say", "--file", str(recording), "--now", "--socket", str(place)]) == Exit.OK
    assert json.loads(asked[0]) == {"do": "say", "text": "", "now": True, "bytes": 8}


def test_planned_words_are_not_waited_for(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(place, b'{"ok": true, "at": "2026-12-01 17:45"}\n') as asked:
        assert main(["say", "We close.", "--at", "17:45", "--socket", str(place)]) == Exit.OK
    assert json.loads(asked[0])["at"] == "17:45"
    said = "to be spoken at 2026-12-01 17:45, unless the daemon is restarted before\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    "answers", [(b'{"ok": false, "why": "no"}\n',), (QUEUED, b'{"ok": false, "why": "no"}\n')]
)
def test_a_refused_or_stopped_announcement_is_a_failure(
    place: Path, answers: tuple[bytes, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(place, *answers):
        assert main(["say", "We close.", "--socket", str(place)]) == Exit.NOT_MET
    assert capsys.readouterr().err == "kioskd: not done: no\n"


def test_without_a_daemon_the_command_is_unavailable(place: Path) -> None:
    assert main(["say", "We close.", "--socket", str(place)]) == Exit.UNAVAILABLE


@pytest.mark.parametrize(
    ("arguments", "why"), [([], "write the words"), (["--file", "/none.wav"], "/none.wav: No such file")]
)
def test_nothing_to_say_is_refused_without_a_daemon(
    place: Path, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["say", *arguments, "--socket", str(place)]) == Exit.NOT_MET
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("clock", ["24:00", "5:00", "17.45", "soon"])
def test_a_time_that_is_none_is_wrong_usage(clock: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["say", "Hello.", "--at", clock])
    assert end.value.code == 2
    assert "write a local time as HH:MM" in capsys.readouterr().err
