"""Input and output of commands in locales that are not UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kioskd.cli import Exit

TOOL = """
conversation: {wake: [start]}
assistant: {instructions: "Du führst durch das Museum, kurz. 😀", pictures: [żółw.png]}
tools:
  - kind: command
    name: say
    description: "Öffnet die Tür → sofort 😀"
    argv: [/bin/echo, grüß]
"""
LOCALES = [
    {"LC_ALL": "C", "PYTHONUTF8": "0"},
    {"LC_ALL": "pl_PL.ISO-8859-2", "LANG": "pl_PL.ISO-8859-2", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "ascii"},
]


def kioskd(*arguments: str | bytes, **environment: str) -> subprocess.CompletedProcess[bytes]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))
    }
    return subprocess.run(
        [sys.executable, "-m", "kioskd", *arguments],
        capture_output=True,
        timeout=240,
        check=False,
        env=clean | environment,
    )


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "kioskd.yaml").write_text(TOOL, encoding="utf-8")
    (tmp_path / "żółw.png").write_bytes(bytes.fromhex("89504e470d0a1a0a"))
    return str(tmp_path / "kioskd.yaml")


@pytest.mark.parametrize("settings", LOCALES, ids=" ".join)
@pytest.mark.parametrize("command", [("check",), ("tools", "list"), ("privacy",), ("devices",)], ids=" ".join)
def test_a_command_ends_as_ever_in_a_locale_that_is_not_utf8(
    file: str, command: tuple[str, ...], settings: dict[str, str]
) -> None:
    where = () if command == ("devices",) else ("--config", file)
    odd = kioskd(*command, *where, **settings)
    assert odd.returncode in {Exit.OK, Exit.NOT_MET, Exit.CONFIGURATION}
    assert b"Traceback" not in odd.stderr


@pytest.mark.parametrize("settings", LOCALES, ids=" ".join)
def test_json_stays_json_and_says_the_same_in_every_locale(file: str, settings: dict[str, str]) -> None:
    told = kioskd("tools", "list", "--json", "--config", file, **settings)
    encoding = settings.get("PYTHONIOENCODING", "ascii")
    assert json.loads(told.stdout.decode(encoding))[0]["description"] == "Öffnet die Tür → sofort 😀"


def test_output_uses_the_encoding_of_the_terminal(file: str) -> None:
    told = kioskd("tools", "list", "--config", file, PYTHONIOENCODING="iso-8859-2")
    assert "Öffnet die Tür \\u2192 sofort" in told.stdout.decode("iso-8859-2")


def test_a_file_name_that_is_no_unicode_is_printed(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/k\xf3.yaml"
    told = kioskd("check", "--config", name, LC_ALL="C.UTF-8")
    assert told.returncode == Exit.CONFIGURATION
    assert b"\\udcf3" in told.stdout


@pytest.mark.parametrize("settings", LOCALES[:1], ids=" ".join)
def test_arguments_are_decoded_in_every_locale(file: str, settings: dict[str, str]) -> None:
    told = kioskd("tools", "call", "say", "{}", "--config", file, **settings)
    assert (told.returncode, b"gr" in told.stdout) == (0, True)
