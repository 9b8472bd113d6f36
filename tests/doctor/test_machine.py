"""A machine, as its files and programs describe it."""

import time
from pathlib import Path

import pytest
from tests.doctor.planting import Kiosk

from kioskd.doctor.machine import CommandResult, Machine


def program(root: Path, name: str, script: str) -> Machine:
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (root / "bin" / name).chmod(0o755)
    return Machine(root, f"{root / 'bin'}:/usr/bin:/bin")


def test_a_program_gets_its_input_and_returns_exit_code_and_output(tmp_path: Path) -> None:
    machine = program(tmp_path, "ask", "cat; echo no >&2; exit 3")
    assert machine.run("ask", given=b"name") == CommandResult(3, "name", "no")


def test_a_program_speaks_english_whatever_the_callers_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    ran = program(tmp_path, "ask", "printf %s $LC_ALL").run("ask")
    assert ran is not None
    assert ran.out == "C"


def test_a_program_that_is_missing_or_hangs_has_no_result(tmp_path: Path) -> None:
    machine = program(tmp_path, "hang", "exec sleep 60")
    began = time.monotonic()
    assert machine.run("hang", at_most_s=0.1) is None
    assert machine.run("no-such-program-here") is None
    assert time.monotonic() - began < 30


def test_a_result_does_not_show_the_output_of_its_program() -> None:
    assert "sesame" not in repr(CommandResult(0, "sesame", "sesame"))


def test_a_link_is_shown_by_the_path_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "etc").symlink_to("srv")
    machine = Machine(tmp_path)
    assert machine.shown(machine.at("/etc/map.jpg")) == Path("/srv/map.jpg")


def test_a_file_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b" \xff1 \n")
    assert Machine(tmp_path).text("/odd") == "\ufffd1"
    assert Machine(tmp_path).text("/nowhere") is None
    assert Machine(tmp_path).text("/") is None


def test_systemd_is_not_asked_where_it_does_not_run(tmp_path: Path) -> None:
    machine = program(tmp_path, "systemctl", "echo User=kioskd")
    assert machine.properties("User") == {}
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert machine.properties("User") == {"User": "kioskd"}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("https_proxy=http://p:1 A='two words'", {"https_proxy": "http://p:1", "A": "two words"}),
        ("A='no end", {}),
        ("", {}),
    ],
)
async def test_the_units_environment_is_unquoted(kiosk: Kiosk, written: str, found: dict[str, str]) -> None:
    kiosk.unit["Environment"] = written
    assert kiosk.context().machine.unit_environ() == found


@pytest.mark.parametrize(
    ("words", "is_it"),
    [
        (("python", "/opt/kioskd/current/bin/kioskd", "run"), True),
        (("kioskd", "run", "--config", "x"), True),
        (("kioskd", "check"), False),
        (("run", "kioskd"), False),
    ],
)
async def test_a_daemon_is_known_by_how_it_was_started(
    kiosk: Kiosk, words: tuple[str, ...], is_it: bool
) -> None:
    kiosk.process(77, *words)
    assert kiosk.context().machine.daemon() == (77 if is_it else None)
