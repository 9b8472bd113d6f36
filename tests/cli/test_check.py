"""`kioskd check`, and through it the frame that every command runs in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kioskd import __version__
from kioskd.cli import COMMANDS, Exit, main

GOOD = "conversation: {wake: [start]}\nspeaker: {volume: 55}\n"
BAD = "speaker:\n  volume: 101\n  cues: maybe\n"


@pytest.fixture(autouse=True)
def _no_key_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "CREDENTIALS_DIRECTORY", "KIOSKD_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kioskd.yaml"


def kioskd(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "kioskd", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=os.environ | options,
    )


def test_a_good_file_is_ok_with_a_summary_and_a_note_that_no_key_is_in_sight(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(GOOD, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.OK
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"{file}: ok"
    for words in ("start", "gemini-3.8-live", "volume 55", "half_duplex", "note: service key"):
        assert words in out


@pytest.mark.parametrize(
    ("lamp", "shown"),
    [
        ("", "lamp        none"),
        ("controls: {lamp: {source: 'led:ACT'}}\n", "lamp        led:ACT"),
        ("controls: {lamp: {command: [/bin/true]}}\n", "lamp        by the command /bin/true"),
    ],
)
def test_the_summary_names_the_lamp_however_it_is_driven(
    file: Path, capsys: pytest.CaptureFixture[str], lamp: str, shown: str
) -> None:
    file.write_text(GOOD + lamp)
    assert main(["check", "--config", str(file)]) == Exit.OK
    assert shown in capsys.readouterr().out


def test_a_key_in_sight_needs_no_note(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "a-key-of-the-service")
    file.write_text(GOOD, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.OK
    out = capsys.readouterr().out
    assert "note" not in out
    assert "a-key-of" not in out


def test_a_bad_file_is_78_with_a_line_for_every_fault(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" ")[:2] for line in lines] == [
        [f"{file}:2:11", "speaker.volume:"],
        [f"{file}:3:9", "speaker.cues:"],
    ]


def test_json_says_the_same_for_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        "what": "101 is above 100, it is a percentage; use 0 to 100",
    }
    file.write_text(GOOD, encoding="utf-8")
    assert main(["check", "--json", "--config", str(file)]) == Exit.OK
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["faults"], len(report["notes"])) == (True, [], 1)


def test_what_only_a_start_needs_is_checked_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("service: {key_file: key}\n", encoding="utf-8")
    (file.parent / "key").write_text("hunter2 hunter3", encoding="ascii")
    (file.parent / "key").chmod(0o600)
    assert main(["check", "--config", str(file)]) == Exit.CONFIGURATION
    out = capsys.readouterr().out
    assert f"{file}:1:1 conversation.wake: button cannot wake" in out
    assert f"{file}:1:21 service.key_file: holds blanks" in out
    assert "hunter" not in out


def test_the_environment_names_the_file_where_no_option_does(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    done = kioskd("check", KIOSKD_CONFIG=str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{file}: ok")


def test_help_lists_every_command_and_imports_none() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kioskd", "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    for name in COMMANDS:
        assert f"\n    {name} " in done.stdout
        assert f"kioskd.cli.{name}" not in done.stderr
    assert "pydantic" not in done.stderr


def test_a_command_imports_no_other() -> None:
    code = (
        "import sys\n"
        "from kioskd.cli import main\n"
        "main(['schema'])\n"
        "print(sorted(name for name in sys.modules if name.startswith('kioskd.cli.')), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr.strip() == "['kioskd.cli.schema']"


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"kioskd {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["dance"], ["check", "--loud"], ["check", "file.yaml"]])
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: kioskd" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_bug() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kioskd", "schema"],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (Exit.PIPE_CLOSED, "")


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
    # A command of the test's own, put where main looks for one: what main makes of its end is the point.
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
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == code
    assert says in done.stderr
    assert ("Traceback" in done.stderr) == (code is Exit.BUG)
