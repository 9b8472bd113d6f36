"""`kioskd watch`: the screen, and the output for programs."""

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.support.control import daemon, open_place

from kioskd.cli import Exit, main, watch


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as path:
        yield path


def status(**changes: Any) -> dict[str, Any]:
    """Return a status as the daemon sends it to `kioskd watch`."""
    counts = {
        "kioskd_conversations": {"button": 3, "voice": 1},
        "kioskd_pictures": {"sent": 12},
        "kioskd_tokens": {"prompt": 1200, "response": 340},
    }
    return {
        "ok": True,
        "state": "listening",
        "code": None,
        "words": "In conversation: listening",
        "conversation": 4,
        "turn": 2,
        "link": {"phase": "up", "epoch": 7, "age_s": 65.0, "held_s": 0.4, "tries": 0},
        "microphone": "working",
        "speaker": "working",
        "camera": "on",
        "volume": 70,
        "muted": False,
        "uptime_s": 7300.0,
        "version": "1.2.3",
        "log_level": "info",
        "counts": counts,
        "levels": {"microphone": 0.1, "speaker": 0.0},
        "events": [],
    } | changes


FAMILIES = (
    *("kioskd_conversations", "kioskd_turns", "kioskd_pictures", "kioskd_tokens", "kioskd_tool_calls"),
    *("kioskd_budget", "kioskd_device_losses", "kioskd_connections_ended", "kioskd_connections_failed"),
)


def drawn(told: Mapping[str, Any], events: Sequence[Mapping[str, str]] = (), width: int = 80) -> list[str]:
    """Return the content of a terminal of `width` columns and 24 lines."""
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None)
    console.print(watch.screen(told, events, console.size.height))
    text = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("environ", "is_one"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": ""}, False), ({}, False)],
)
def test_only_a_terminal_that_moves_its_cursor_is_drawn_on(environ: dict[str, str], is_one: bool) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        assert watch.drawable(terminal, environ) is is_one
    os.close(ours)
    assert not watch.drawable(io.StringIO(), environ)


def event(text: str, level: str = "info") -> dict[str, str]:
    return {"at": "12:34:56", "level": level, "text": text}


def test_the_whole_status_fits_on_a_small_screen() -> None:
    lines = drawn(status(), [event("link up: epoch=7")])
    shown = "\n".join(lines)
    for words in (
        "In conversation: listening",
        "number 4, turns 2; since start: 4",
        "-20 dB  working",
        "quiet  working, volume 70 %",
        "up, epoch 7, for 1 min, sound waiting 0.4 s",
        "on sent 12",
        "prompt 1200, response 340",
        "2 h 1 min, version 1.2.3",
        "12:34:56 link up: epoch=7",
    ):
        assert words in shown
    assert len(lines) < 24


@pytest.mark.parametrize("words", ["Asleep", "Out of order: " + "the microphone is missing " * 9])
@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_hint_how_to_leave_is_shown_at_any_width(width: int, words: str) -> None:
    first, *_ = lines = drawn(status(words=words), [event("x" * 300)], width)
    assert first.startswith(words[:10])
    assert first.endswith(" q leaves")
    assert max(map(len, lines)) <= width


@contextmanager
def watched(place: Path, environ: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the command in a terminal, with a daemon that answers once and is silent then."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, (24, 60))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        with subprocess.Popen(
            [sys.executable, "-m", "kioskd", "watch", "--socket", str(place)],
            stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, **environ}, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(theirs)
            caller, _ = listening.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(json.dumps(status()).encode() + b"\n")
                try:
                    yield process, ours
                finally:
                    process.kill()
    os.close(ours)


def read_until(terminal: int, words: bytes) -> None:
    seen = b""
    while words not in seen:
        assert select.select([terminal], [], [], 20)[0], seen
        seen += os.read(terminal, 4096)


@pytest.mark.parametrize("key", [b"q", b"Q", b"\x03"])
def test_q_leaves_also_while_the_daemon_is_silent(place: Path, key: bytes) -> None:
    with watched(place, {"TERM": "xterm"}) as (process, terminal):
        read_until(terminal, b"q leaves")
        if key == b"\x03":
            process.send_signal(signal.SIGINT)  # as a terminal of its own would
        else:
            os.write(terminal, b"x" + key)
        assert process.wait(20) == Exit.OK
        assert termios.tcgetattr(terminal)[3] & termios.ICANON


def test_a_fault_is_shown_with_its_code() -> None:
    told = status(state="fault", code="D1", words="Out of order: the microphone is missing (code D1)")
    lines = drawn(told)
    assert lines[0].startswith("Out of order")
    assert lines[1].split() == ["state", "fault", "code", "D1"]


def test_the_newest_events_are_shown_and_long_ones_are_cut() -> None:
    events = [event(f"number {number} " + "long " * 50) for number in range(50)]
    lines = drawn(status(conversation=None), events)
    assert len(lines) == 24
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("12:34:56 number 49 ")
    assert lines[-1].endswith("…")


def test_texts_of_the_journal_cannot_control_the_terminal() -> None:
    assert "\x1b[31m" not in "\n".join(drawn(status(), [event("bad \x1b[31m")]))


@pytest.mark.parametrize(
    ("level", "bar", "reading"),
    [(0.0, 0, "quiet"), (0.001, 0, "quiet"), (0.0316, 12, "-30 dB"), (1.0, 24, "0 dB")],
)
def test_a_meter_is_a_bar_of_decibels(level: float, bar: int, reading: str) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    with console.capture() as captured:
        console.print(watch.meter(level, "working"))
    assert captured.get().count("█") == bar
    assert reading in captured.get()


def test_json_prints_a_line_per_status_and_exits_with_69_when_the_daemon_stops(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = b"".join(json.dumps(status(turn=turn)).encode() + b"\n" for turn in (1, 2, 3))
    with daemon(place, told):
        assert main(["watch", "--json", "--socket", str(place)]) == Exit.UNAVAILABLE
    out, err = capsys.readouterr()
    assert [json.loads(line)["turn"] for line in out.splitlines()] == [1, 2, 3]
    assert err == "kioskd: the daemon has stopped\n"


HOSTILE = "\x1b[2J\u202eabc\x9b\u200b\ud83d[red]"


def test_no_text_of_the_daemon_controls_the_terminal() -> None:
    told = status(words=HOSTILE, microphone=HOSTILE, speaker=HOSTILE, camera=HOSTILE, version=HOSTILE)
    told["counts"]["kioskd_pictures"] = {HOSTILE: 1}
    lines = drawn(told, [{"at": "12:00:00", "level": "info", "text": HOSTILE}])
    assert all(char.isprintable() for line in lines for char in line.replace("\x1b[0m", ""))
    assert any("[red]" in line for line in lines), "and none of it is read as markup"


@pytest.mark.parametrize("command", ["status", "status --json", "watch --json", "status --prometheus"])
def test_no_text_of_the_daemon_controls_the_terminal_of_other_commands(
    command: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {family: {HOSTILE: 1.0} for family in FAMILIES}
    waits = {"kioskd_reply_wait_seconds": {"sum": 1.0, "count": 1}}
    told = status(words=HOSTILE, microphone=HOSTILE, version=HOSTILE, text=HOSTILE, counts=counts | waits)
    with daemon(place, json.dumps(told).encode() + b"\n"):
        main([*command.split(), "--socket", str(place)])
    out = capsys.readouterr().out
    assert out
    assert all(char.isprintable() for char in out.replace("\n", ""))
    if "--json" in command:
        assert json.loads(out)["words"] == HOSTILE
