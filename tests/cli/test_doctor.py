"""The command `kioskd doctor`."""

import asyncio
import json
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.doctor.planting import Kiosk

from kioskd import cli
from kioskd.cli import doctor
from kioskd.doctor.finding import Verdict
from kioskd.simulator import Reply, ServiceScript, Simulator


@pytest.fixture
async def kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kiosk]:
    """A kiosk whose daemon runs, so that its devices are left alone."""
    async with Simulator(ServiceScript(replies=(Reply(silent=True),))) as service:
        kiosk = Kiosk(tmp_path, service)
        kiosk.process(77, "python", "/opt/kioskd/current/bin/kioskd", "run")
        monkeypatch.setattr(doctor, "MACHINE", kiosk.context().machine)
        monkeypatch.setenv("GEMINI_API_KEY", kiosk.environ["GEMINI_API_KEY"])
        yield kiosk


async def run(kiosk: Kiosk, *options: str) -> int:
    """Run the command while the service goes on in this loop."""
    path = kiosk.context().path
    return await asyncio.to_thread(cli.main, ["doctor", "--config", str(path), *options])


async def test_a_healthy_kiosk_exits_with_0(kiosk: Kiosk, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(kiosk) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok      settings ")
    assert "skipped microphone   in use by the running kioskd (process 77)" in lines
    assert lines[-1].startswith("0 faults in ")


async def test_a_fault_exits_with_1_and_prints_its_remedy(
    kiosk: Kiosk, capsys: pytest.CaptureFixture[str]
) -> None:
    kiosk.file("/sys/class/thermal/thermal_zone0/temp", "91000\n")
    assert await run(kiosk, "--yes") == 1
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("FAULT"))
    assert "91 °C" in lines[at]
    assert lines[at + 1].strip().startswith("-> add a heat sink")
    assert lines[-1].startswith("1 fault in ")


async def test_doctor_has_the_environment_of_the_unit(
    kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = os.environ["GEMINI_API_KEY"]
    monkeypatch.delenv("GEMINI_API_KEY")
    kiosk.unit["Environment"] = f'PYTHONFAULTHANDLER=1 "GEMINI_API_KEY={key}"'
    kiosk.context()
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    assert await run(kiosk) == 0
    assert f"ok      key          a key of {len(key)} characters" in capsys.readouterr().out


@pytest.mark.parametrize("environment", ["", "odd 'words", "word"])
async def test_an_unreadable_environment_of_the_unit_is_ignored(kiosk: Kiosk, environment: str) -> None:
    kiosk.unit["Environment"] = environment
    assert kiosk.context().machine.unit_environ() == {}


async def test_json_holds_the_same_findings(kiosk: Kiosk, capsys: pytest.CaptureFixture[str]) -> None:
    kiosk.unit["ProtectSystem"] = "no"
    kiosk.context()
    assert await run(kiosk, "--json") == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    [wrong] = [one for one in said["findings"] if one["verdict"] == "fault"]
    assert (wrong["check"], wrong["fault"]) == ("sandbox", "not-sandboxed")
    assert wrong["remedy"]
    [session] = [one for one in said["findings"] if one["check"] == "session"]
    assert session["figures"]["setup_s"] >= 0


async def test_settings_with_faults_do_not_prevent_checks_of_the_machine(
    kiosk: Kiosk, capsys: pytest.CaptureFixture[str]
) -> None:
    kiosk.broken = "micophone: {}\n"
    assert await run(kiosk, "--json") == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert ":1:1 micophone: is not a setting" in findings[0]["said"]
    verdicts = {finding["check"]: finding["verdict"] for finding in findings}
    assert verdicts["power"] == "ok"


async def test_the_report_is_written_and_its_parts_are_printed(
    kiosk: Kiosk, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "ticket.tar.gz"
    assert await run(kiosk, "--yes", "--json", "--report", str(path)) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["ok"] is True
    assert str(path) in err
    with tarfile.open(path) as archive:
        assert len(archive.getnames()) == 6


async def test_a_report_that_cannot_be_written_is_one_line(
    kiosk: Kiosk, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert await run(kiosk, "--report", str(tmp_path / "nowhere" / "x.tar.gz")) == cli.Exit.UNAVAILABLE
    assert capsys.readouterr().err.splitlines()[-1].startswith("kioskd: report ")


@pytest.mark.parametrize(
    ("typed", "answer"), [("y\n", True), ("No\n", False), ("\n", None), ("what?\n", None)]
)
async def test_a_person_at_a_terminal_is_asked(
    typed: str, answer: bool | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leader, follower = os.openpty()
    with os.fdopen(leader, "w") as keyboard, os.fdopen(follower) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        keyboard.write(typed)
        keyboard.flush()
        assert await doctor.Terminal().ask("Did it blink?") is answer
    assert "Did it blink? [y/n]" in capsys.readouterr().err


async def test_an_answer_is_awaited_for_half_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "ANSWER_S", 0.05)
    leader, follower = os.openpty()
    with os.fdopen(leader, "w"), os.fdopen(follower) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert await doctor.Terminal().ask("Did it blink?") is None


def test_every_verdict_has_its_mark() -> None:
    assert set(doctor.MARKS) == set(Verdict)
