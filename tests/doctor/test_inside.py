"""Checks inside the service's sandbox, with a systemd-run that notes its arguments and runs the command."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.support.rootfs import CHECKOUT
from tests.support.until import until

from kioskd.doctor.finding import Verdict
from kioskd.doctor.inside import SandboxView, sandbox_lines
from kioskd.doctor.machine import Machine

UNIT: Final = """\
# /usr/lib/systemd/system/kioskd.service
[Unit]
Description=Private joke
[Service]
Type=notify
ExecStart=/opt/kioskd/current/bin/kioskd run
User=kioskd
WatchdogSec=30
Restart=on-failure
ProcSubset=pid
SystemCallFilter=@system-service
SystemCallFilter=~@privileged \\
  @resources
LoadCredentialEncrypted=gemini-api-key
# /etc/systemd/system/kioskd.service.d/here.conf
[Service]
InaccessiblePaths=/proc/asound
SystemCallFilter=
"""
RUN: Final = """\
#!/bin/sh
printf '%s\\n' "$@" >> "$(dirname "$0")/given"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a machine with systemd and the unit, and make this process believe that it is root."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    put(tmp_path, "systemctl", f"#!/bin/sh\ncat <<'EOF'\n{UNIT}\nEOF\n")
    put(tmp_path, "systemd-run", RUN)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    monkeypatch.setenv("PATH", programs)
    return Machine(tmp_path, programs)


def put(root: Path, name: str, script: str) -> None:
    (root / "bin" / name).write_text(script)
    (root / "bin" / name).chmod(0o755)


def test_only_sandbox_properties_are_copied_in_their_order() -> None:
    assert sandbox_lines(UNIT) == [
        "User=kioskd",
        "ProcSubset=pid",
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged    @resources",
        "InaccessiblePaths=/proc/asound",
        "SystemCallFilter=",
    ]


def test_of_the_shipped_unit_only_start_and_stop_properties_are_left_out() -> None:
    text = (CHECKOUT / "systemd/kioskd.service").read_text()
    service = text.partition("[Service]")[2].partition("[Install]")[0].splitlines()
    names = {line.partition("=")[0] for line in service if "=" in line and not line.startswith("#")}
    assert names - {line.partition("=")[0] for line in sandbox_lines(text)} == {
        *(
            "Type",
            "NotifyAccess",
            "ExecStart",
            "ExecReload",
            "WatchdogSec",
            "TimeoutStartSec",
            "TimeoutStopSec",
        ),
        *("Restart", "RestartSec", "RestartPreventExitStatus", "KillMode", "RuntimeDirectoryPreserve"),
        *("LoadCredentialEncrypted", "Nice", "OOMScoreAdjust"),
    }


def test_the_program_runs_with_the_units_properties(machine: Machine) -> None:
    inside = SandboxView(machine)
    assert inside.unavailable_reason() is None
    given = (machine.root / "bin/given").read_text().splitlines()
    assert {"--property=ProcSubset=pid", "--property=User=kioskd", "--pipe", "--wait"} <= set(given)
    assert given[-3:] == ["-m", "kioskd", "--version"]
    assert "--property=RuntimeDirectoryPreserve=yes" in given


def test_a_list_comes_from_inside(machine: Machine) -> None:
    found = SandboxView(machine).list_inside("devices", "--here")
    assert found is not None
    assert "microphones" in found


def test_a_list_that_does_not_come_is_none(machine: Machine) -> None:
    put(machine.root, "systemd-run", "#!/bin/sh\nexit 1\n")
    assert SandboxView(machine).list_inside("devices", "--here") is None


async def test_a_check_is_made_inside(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "kioskd.yaml"
    path.write_text('{microphone: {device: "hw:CARD=Nowhere"}}')
    [found] = await SandboxView(machine).examine_inside("microphone", "--config", str(path), "--yes")
    assert (found.verdict, found.fault) == (Verdict.FAULT, "microphone-missing")


async def test_settings_that_the_service_cannot_read_are_a_fault(machine: Machine, tmp_path: Path) -> None:
    [found] = await SandboxView(machine).examine_inside(
        "microphone", "--config", str(tmp_path / "none.yaml"), "--yes"
    )
    assert found.fault == "settings"
    assert found.said.startswith("the service cannot use its settings: ")


async def test_a_check_that_aborts_is_a_fault_of_its_own(machine: Machine) -> None:
    put(machine.root, "systemd-run", "#!/bin/sh\nkill -ABRT $$\n")
    [found] = await SandboxView(machine).examine_inside("microphone")
    assert found.fault == "microphone-failed"
    assert "ended with exit code -6" in found.said


@pytest.mark.parametrize("stage", ["starting", "running"])
async def test_a_cancelled_inside_check_stops_its_unit(machine: Machine, tmp_path: Path, stage: str) -> None:
    put(machine.root, "systemd-run", f"#!/bin/sh\ntouch {tmp_path}/begun\nexec sleep 60\n")
    put(
        machine.root,
        "systemctl",
        f"#!/bin/sh\n[ $1 = stop ] && echo \"$@\" > {tmp_path}/stopped\ncat <<'EOF'\n{UNIT}\nEOF\n",
    )
    looking = asyncio.create_task(SandboxView(machine).examine_inside("microphone"))
    if stage == "running":
        await until((tmp_path / "begun").exists, at_most_s=20)
    else:
        await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert (tmp_path / "stopped").read_text().startswith("stop --no-block kioskd-look-")


def test_each_reason_against_an_inside_check_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(machine.root, "systemd-run", "#!/bin/sh\necho Failed to connect >&2; exit 1\n")
    assert (SandboxView(machine).unavailable_reason() or "").startswith(
        "systemd-run ended with 1: Failed to connect"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert (
        SandboxView(machine).unavailable_reason()
        == "only root can check inside it; type sudo before the command"
    )
    put(machine.root, "systemctl", "#!/bin/sh\nexit 1\n")
    assert SandboxView(machine).unavailable_reason() == "kioskd.service is not installed"
    (machine.root / "run/systemd/system").rmdir()
    assert SandboxView(machine).unavailable_reason() == "systemd does not run here"


def test_the_inside_check_runs_this_python_and_program(machine: Machine) -> None:
    assert SandboxView(machine).command("devices")[-5:] == [sys.executable, "-P", "-m", "kioskd", "devices"]
    assert json.dumps(SandboxView(machine).command())
