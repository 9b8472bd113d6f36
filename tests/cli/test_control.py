"""Commands for the running daemon: how they find it, and their messages if it is missing or behaves oddly."""

import json
import os
import socket
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.control import daemon, open_place

from kioskd.adapters.remote.control_wire import PICTURE_BYTES
from kioskd.cli import COMMANDS, Exit, client, main, status

ALL = (
    "wake",
    "sleep",
    "mute",
    "unmute",
    "hush",
    "volume 5",
    "ask hello",
    "look",
    "log info",
    "status",
    "watch",
)

NOBODY_WAKES = """
import os, sys
from kioskd.cli import client, control, main  # while it may read them
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.exit(main(["wake", "--socket", sys.argv[1]]))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


def answer(**told: object) -> bytes:
    return json.dumps({"ok": True, "words": "Asleep"} | told).encode() + b"\n"


@pytest.mark.parametrize("command", ALL)
def test_every_command_sends_one_request(
    command: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = b'{"ok": false, "why": "not now"}\n'
    with daemon(place, refusal) as asked:
        assert main([*command.split(), "--socket", str(place)]) == Exit.NOT_MET
    assert json.loads(asked[0])["do"] == command.split(maxsplit=1)[0]
    assert capsys.readouterr().err == "kioskd: not done: not now\n"


def test_wake_sends_the_profile_of_the_visitor(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(place, answer()) as asked:
        assert main(["wake", "--profile", "easy", "--socket", str(place)]) == Exit.OK
    assert json.loads(asked[0]) == {"do": "wake", "profile": "easy"}
    assert capsys.readouterr().out == "Asleep\n"


def test_every_command_of_the_daemon_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for command in (*ALL, "show"):
        assert f"    {command.split()[0]} " in out
    with pytest.raises(SystemExit):
        main(["volume", "--help"])
    assert "0 to 100" in capsys.readouterr().out
    assert len(COMMANDS) == len(set(COMMANDS))


def test_wake_sends_the_subject_of_its_option(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(place, answer(), answer()) as asked:
        assert main(["wake", "--about", "the clock", "--socket", str(place)]) == Exit.OK
        assert main(["wake", "--socket", str(place)]) == Exit.OK
    assert [json.loads(one) for one in asked] == [{"do": "wake", "about": "the clock"}, {"do": "wake"}]
    assert capsys.readouterr().out == "Asleep\nAsleep\n"


def test_hush_prints_the_state_that_follows_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speaking = answer(state="speaking", words="In conversation: speaking")
    listening = answer(state="listening", words="In conversation: listening", counts={})
    with daemon(place, speaking, speaking, listening) as asked:
        assert main(["hush", "--socket", str(place)]) == Exit.OK
    assert [json.loads(one)["do"] for one in asked] == ["hush", "status", "status"]
    assert capsys.readouterr().out == "In conversation: listening\n"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "the daemon gave no answer"),
        (b"not JSON\n", "the daemon's answer is incomplete"),
        (b'{"ok": tr', "the daemon's answer is incomplete"),
    ],
)
def test_a_senseless_answer_of_the_daemon_is_one_clear_line(
    said: bytes, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(place, said):
        assert main(["wake", "--socket", str(place)]) == Exit.UNAVAILABLE
    assert words in capsys.readouterr().err


def test_a_daemon_that_hangs_is_given_up_after_a_deadline(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        with pytest.raises(client.NotRunning, match="does not answer within"):
            client.ask(Namespace(socket=place), {"do": "status"}, deadline_s=0.05)


def test_an_answer_of_the_daemon_cannot_control_the_terminal(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(place, b'{"ok": false, "why": "red \\u001b[31m"}\n'):
        main(["wake", "--socket", str(place)])
    assert "\x1b" not in capsys.readouterr().err


def test_the_option_for_the_socket_takes_precedence_over_the_environment(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIOSKD_SOCKET", str(place))
    with daemon(place, answer()):
        assert main(["wake"]) == Exit.OK
    assert main(["wake", "--socket", str(place.with_name("none"))]) == Exit.UNAVAILABLE


def test_the_users_own_daemon_is_found_if_the_service_does_not_run(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kioskd.adapters.remote.control_wire.SERVICE", place.with_name("none"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place.parent))
    place.with_name("kioskd").mkdir()
    with daemon(place.with_name("kioskd") / "control", answer()):
        assert main(["wake"]) == Exit.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_user_without_permission_is_told_how_to_get_it(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        place.chmod(0o660)
        done = subprocess.run(
            [
                *(sys.executable, "-c"),
                NOBODY_WAKES,
                str(place),
            ],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == Exit.UNAVAILABLE
    assert "use sudo, or join its group" in done.stderr


def test_a_picture_that_is_too_large_is_not_sent(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = place.with_name("large.jpg")
    with large.open("wb") as file:
        file.truncate(PICTURE_BYTES + 1)
    assert main(["show", str(large), "--socket", str(place)]) == Exit.NOT_MET
    assert "larger than 20 MB; scale the picture down" in capsys.readouterr().err


def test_a_pipe_in_place_of_a_picture_is_refused_at_once(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = place.with_name("pipe.jpg")
    os.mkfifo(pipe)
    assert main(["show", str(pipe), "--socket", str(place)]) == Exit.NOT_MET
    assert f"{pipe}: no regular file but a named pipe; name a picture" in capsys.readouterr().err


@pytest.mark.parametrize("percent", ["-1", "101", "loud", "5.5"])
def test_a_volume_that_is_no_number_from_0_to_100_is_refused(
    percent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["volume", "--", percent])
    assert ending.value.code == 2
    assert "0 to 100" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.6, "5 s"), (59, "59 s"), (61, "1 min"), (3 * 3600 + 720, "3 h 12 min"), (200_000, "2 d 7 h")],
)
def test_a_span_of_time_is_written_in_words(seconds: float, words: str) -> None:
    assert status.span(seconds) == words


def test_counts_are_listed_largest_first() -> None:
    assert status.listed({"a": 1, "b": 3.5}) == "b 3.5, a 1"
    assert client.legible("plain\x1b\n") == "plain��"


# kioskd reload


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ([], "settings reloaded\n"),
        (["speaker.device"], "settings reloaded; these need a restart: speaker.device\n"),
    ],
)
def test_reload_names_settings_that_need_a_restart(
    later: list[str], words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(place, answer(later=later, faults=[])) as asked:
        assert main(["reload", "--socket", str(place)]) == Exit.OK
    assert json.loads(asked[0]) == {"do": "reload"}
    assert capsys.readouterr().out == words


def test_reload_of_a_bad_file_fails_and_prints_every_fault(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = ["kioskd.yaml:3:5 speaker.volum: unknown key", "kioskd.yaml:4:9 speaker.cues: is no cue"]
    with daemon(place, answer(later=[], faults=faults)):
        assert main(["reload", "--socket", str(place)]) == Exit.CONFIGURATION
    lines = capsys.readouterr().err.splitlines()
    assert lines == [*faults, "kioskd: settings not reloaded; the old ones stay in use"]


@pytest.mark.parametrize("said", [b'{"ok": false, "why": "not within 40 s"}\n', b""])
def test_reload_without_a_result_has_an_exit_code_of_its_own(
    said: bytes, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(place, said):
        assert main(["reload", "--socket", str(place)]) == Exit.UNAVAILABLE
    assert "kioskd: " in capsys.readouterr().err


def test_status_names_a_tool_that_is_left_out() -> None:
    left_out = {"name": "open_door", "place": "tools.1 (command open_door)", "why": "1007 bad schema"}
    assert status.left_out_words(left_out) == (
        "open_door, set at tools.1 (command open_door): the service rejects it (1007 bad schema)"
    )
