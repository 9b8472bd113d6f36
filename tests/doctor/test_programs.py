"""The check that the programs of tools cannot reach the daemon's secrets."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from kioskd.doctor import programs
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, Verdict
from kioskd.settings.model import Settings
from kioskd.tools import sandbox
from kioskd.tools.sandbox import ProgramSandbox

needs_sandbox = pytest.mark.skipif(sandbox.missing() is not None, reason=f"no sandbox: {sandbox.missing()}")
DOOR: Mapping[str, object] = {"kind": "command", "name": "door", "description": "d", "argv": ("/bin/true",)}


async def told(*tools: Mapping[str, object]) -> list[Finding]:
    async with asyncio.timeout(40):
        return list(await programs.programs(CheckContext(Settings.model_validate({"tools": tools}))))


@needs_sandbox
async def test_a_probe_proves_that_programs_cannot_reach_the_daemon() -> None:
    [found] = await told(DOOR)
    assert found.verdict is Verdict.OK
    assert "reached none of the daemon's" in found.said


@needs_sandbox
async def test_a_leak_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(programs, "own_folders", lambda _environ: [tmp_path / "state"])
    monkeypatch.setattr(programs, "ProgramSandbox", lambda **_: ProgramSandbox(reads=(tmp_path,)))
    [found] = await told(DOOR)
    assert (found.verdict, found.fault) == (Verdict.FAULT, "tool-sandbox-leaks")
    assert str(tmp_path / "state") in found.said


async def test_a_machine_without_any_sandbox_is_a_fault_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kioskd.tools.landlock.version", lambda: 0)
    [found] = await told(DOOR)
    assert (found.verdict, found.fault) == (Verdict.FAULT, "tool-sandbox-missing")
    assert "kioskd-tool.socket" in (found.remedy or "")


async def test_tools_that_run_as_the_daemon_get_a_note() -> None:
    [found] = await told({**DOOR, "sandbox": False})
    assert found.verdict is Verdict.NOTE
    assert "door runs as the daemon itself (sandbox: false)" in found.said
