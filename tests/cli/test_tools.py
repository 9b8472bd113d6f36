"""`kioskd tools`: what an installer sees of the tools before a visitor does."""

import json
import sys
import textwrap
from pathlib import Path

import pytest
from tests.support import mcp_server

from kioskd.cli import Exit, main

SERVER = Path(mcp_server.__file__)

ECHO = """\
    tools:
      - kind: builtin
        look: false
        place: Hall 3
      - kind: command
        name: echo
        description: Says it again.
        parameters: {type: object, properties: {text: {type: string}}, required: [text]}
        argv: [/bin/echo, "{text}"]
      - kind: command
        name: open_door
        description: Opens the door.
        argv: [/bin/true]
        answer: none
        confirm: button
      - kind: command
        name: nothing
        description: Finds nothing.
        argv: [/bin/true]
      - kind: command
        name: sleepy
        description: Sleeps.
        argv: [/bin/sleep, "60"]
        deadline_s: 0.2
    """


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kioskd.yaml"
    path.write_text(textwrap.dedent(ECHO), encoding="utf-8")
    return path


def kioskd(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_tools_are_listed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kioskd("tools", "list", "--config", file) == Exit.OK
    out = capsys.readouterr().out
    assert "echo   command\n    Says it again." in out
    assert "open_door   command, asks for a press" in out
    assert "time_and_place   builtin" in out
    assert "\nlook" not in out


def test_the_list_is_there_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kioskd("tools", "list", "--json", "--config", file) == Exit.OK
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["echo"]["parameters"]["required"] == ["text"]
    assert rows["sleepy"]["deadline_s"] == 0.2


def test_a_call_prints_status_timing_and_data(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kioskd("tools", "call", "echo", '{"text": "hello there"}', "--config", file) == Exit.OK
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("echo: ok after 0.")
    assert last == '  "hello there"'


def test_a_call_is_there_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kioskd("tools", "call", "echo", '{"text": "hello"}', "--json", "--config", file) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert 0 <= told.pop("took_s") < 10
    assert told == {"name": "echo", "status": "ok", "retryable": False, "message": "done", "data": "hello"}


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("nothing", "{}", "no_results"),
        ("sleepy", "{}", "timeout"),
        ("echo", "{}", "refused"),
        ("echo", '{"text": "--help"}', "refused"),
        ("open_door", "{}", "refused"),
        ("none", "{}", "refused"),
        ("end_conversation", "{}", "error"),
        ("set_volume", '{"percent": 5}', "error"),
    ],
)
def test_the_exit_code_is_0_only_when_the_status_is_ok(
    file: Path, capsys: pytest.CaptureFixture[str], name: str, arguments: str, status: str
) -> None:
    assert kioskd("tools", "call", name, arguments, "--json", "--config", file) == Exit.NOT_MET
    assert json.loads(capsys.readouterr().out)["status"] == status


def test_who_names_no_tool_is_told_what_lists_them(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kioskd("tools", "call", "ecko", "--config", file) == Exit.NOT_MET
    assert "`kioskd tools list` names those that there are" in capsys.readouterr().out
    assert kioskd("tools", "call", "sleepy", "--config", file) == Exit.NOT_MET
    assert "tools list" not in capsys.readouterr().out


def test_yes_stands_for_a_press(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kioskd("tools", "call", "open_door", "--config", file) == Exit.NOT_MET
    assert "--yes" in capsys.readouterr().out
    assert kioskd("tools", "call", "open_door", "--yes", "--config", file) == Exit.OK


def test_time_and_place_are_told_without_a_kiosk(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kioskd("tools", "call", "time_and_place", "--config", file) == Exit.OK
    assert '"place": "Hall 3"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    ["nonsense", "[1]", '"a"', "[" * 100_000, '{"x": NaN}', '{"x": 1e999}', '{"x": ' + "9" * 5000 + "}"],
)
def test_arguments_that_are_no_object_are_wrong_usage(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    with pytest.raises(SystemExit) as left:
        kioskd("tools", "call", "echo", arguments, "--config", file)
    assert left.value.code == 2
    assert "JSON object" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("yaml", "place"),
    [
        ("tools:\n  - {kind: htpp}\n", ":2:12 tools.kind: htpp is not a kind of tool; did you mean http?"),
        (
            "tools:\n  - {kind: command, name: a, description: d, argv: [/no/such]}\n",
            ":2:52 tools.argv: its program is not there",
        ),
    ],
)
def test_what_cannot_work_is_78_with_its_place(
    file: Path, capsys: pytest.CaptureFixture[str], yaml: str, place: str
) -> None:
    file.write_text(yaml, encoding="utf-8")
    assert kioskd("tools", "list", "--config", file) == Exit.CONFIGURATION
    assert f"{file}{place}" in capsys.readouterr().err


def test_no_tools_are_no_fault(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("speaker: {volume: 5}\n", encoding="utf-8")
    assert kioskd("tools", "list", "--config", file) == Exit.OK
    assert "no tools" in capsys.readouterr().out


def test_tools_of_a_server_are_listed_and_called(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {
        "kind": "mcp",
        "name": "museum",
        "argv": [sys.executable, str(SERVER)],
        "allow": ["opening_hours"],
        "prefix": "museum_",
    }
    file.write_text(json.dumps({"tools": [entry]}), encoding="utf-8")
    assert kioskd("tools", "list", "--config", file) == Exit.OK
    assert "museum_opening_hours   mcp" in capsys.readouterr().out
    assert kioskd("tools", "call", "museum_opening_hours", '{"day": "friday"}', "--config", file) == Exit.OK
    assert "friday: 10 to 18" in capsys.readouterr().out


SHOP = """\
tools:
  - {kind: http, name: shop, description: d, url: "http://127.0.0.1:9/x",
     headers: {Authorization: "Bearer credential:shop", X-Other: "credential:other"}}
  - {kind: mcp, name: museum, url: "http://127.0.0.1:9/mcp", allow: [opening_hours],
     headers: {Authorization: "Bearer credential:shop"}}
  - {kind: command, name: fine, description: d, argv: [/bin/true], answer: none}
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where systemd takes secrets from; in place of /etc/credstore and the like."""
    stores = (tmp_path / "credstore", tmp_path / "credstore.encrypted")
    for each in stores:
        each.mkdir()
    (stores[1] / "shop").write_text("only systemd can read it", encoding="utf-8")
    (stores[0] / "other").write_text("another", encoding="utf-8")
    monkeypatch.setattr("kioskd.tools.credentials.STORES", tuple(map(str, stores)))
    monkeypatch.setattr("kioskd.cli.tools.STORES", tuple(map(str, stores)))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.mark.usefixtures("store")
def test_no_secret_is_needed_to_list_tools(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SHOP, encoding="utf-8")
    assert kioskd("tools", "list", "--config", file) == Exit.NOT_MET
    out = capsys.readouterr().out
    assert "shop   http\n" in out
    assert "fine   command\n" in out
    assert (
        "museum   mcp, not asked: only systemd hands over credential:shop; write before this command" in out
    )


@pytest.mark.usefixtures("store")
def test_who_calls_a_tool_with_a_secret_is_told_how_systemd_hands_it_over(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(SHOP, encoding="utf-8")
    assert kioskd("tools", "call", "shop", "--config", file) == Exit.CONFIGURATION
    assert capsys.readouterr().err == (
        "tools: shop cannot be called: only systemd hands over credential:other, credential:shop; write before this "
        "command: sudo systemd-run --quiet --pipe --wait --collect --uid=kioskd "
        "-p LoadCredential=other -p LoadCredentialEncrypted=shop\n"
    )
    assert kioskd("tools", "call", "fine", "--config", file) == Exit.OK


def test_look_is_there_only_with_a_camera(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("tools: [{kind: builtin}]\n", encoding="utf-8")
    assert kioskd("tools", "list", "--config", file) == Exit.OK
    assert "look   builtin" not in capsys.readouterr().out
    file.write_text(
        f"camera: {{source: 'folder:{tmp_path}'}}\ntools: [{{kind: builtin}}]\n", encoding="utf-8"
    )
    assert kioskd("tools", "list", "--config", file) == Exit.OK
    assert "look   builtin" in capsys.readouterr().out


def test_a_server_that_hangs_is_1_and_no_traceback(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kioskd.cli.tools.SETTLE_S", 0.2)
    server: dict[str, object] = {"kind": "mcp", "name": "museum", "allow": ["opening_hours"]}
    entry = server | {"argv": ["/bin/sleep", "60"], "start_timeout_s": 1}
    file.write_text(json.dumps({"tools": [entry]}), encoding="utf-8")
    assert kioskd("tools", "list", "--config", file) == Exit.NOT_MET
    assert "museum   mcp, not reached" in capsys.readouterr().out
    assert kioskd("tools", "call", "opening_hours", "--config", file) == Exit.NOT_MET
    assert "opening_hours: refused" in capsys.readouterr().out


def test_a_server_that_is_not_reached_is_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"kind": "mcp", "name": "museum", "argv": ["/bin/false"], "allow": ["opening_hours"]}
    file.write_text(json.dumps({"tools": [entry]}), encoding="utf-8")
    assert kioskd("tools", "list", "--config", file) == Exit.NOT_MET
    assert "museum   mcp, not reached" in capsys.readouterr().out
