"""The unit keeps its promises, and systemd accepts every line of it."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from kioskd.tools.program import SOCKET

FOLDER = Path(__file__).parents[2] / "systemd"
UNIT = FOLDER / "kioskd.service"
SEVERAL = {
    *("Environment", "DeviceAllow", "LoadCredentialEncrypted", "SystemCallFilter"),
    *("ExecCondition", "ExecStart"),
}
"""Keys that may occur several times. Each line adds to the ones before."""

ZERO_2_W_MB = 420
"""Memory of a Raspberry Pi Zero 2 W as Linux sees it. Firmware and graphics keep the rest of 512 MB."""
LEAST_MB = 200
"""Memory in which a whole conversation with pictures must fit."""

SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
needs_systemd_analyze = pytest.mark.skipif(
    SYSTEMD_ANALYZE is None, reason="no systemd-analyze: install systemd (a running one is not needed)"
)


def settings(path: Path = UNIT) -> dict[str, dict[str, str]]:
    """Return each section's keys and values. The values of several lines have a line break between them."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
            continue
        key, equals, value = line.partition("=")
        assert equals, line
        assert key not in section or key in SEVERAL, f"{key} stands twice"
        section[key] = f"{section[key]}\n{value}" if key in section else value
    return sections


def seconds(value: str) -> float:
    assert re.fullmatch(r"\d+", value), f"{value}: a plain number is seconds to systemd"
    return float(value)


def test_the_unit_is_active_only_when_the_daemon_says_so() -> None:
    service = settings()["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert service["ExecStart"] == "/opt/kioskd/current/bin/kioskd run"


def test_hung_daemon_is_found_by_the_watchdog_and_says_where_it_hung() -> None:
    service = settings()["Service"]
    assert 0 < seconds(service["WatchdogSec"]) <= 60
    assert "PYTHONFAULTHANDLER=1" in service["Environment"].split()


def test_every_fault_is_restarted_for_ever_but_a_wrong_configuration() -> None:
    unit, service = settings()["Unit"], settings()["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "78"
    assert seconds(service["RestartSec"]) > 0
    assert unit["StartLimitIntervalSec"] == "0"


def test_a_stop_takes_five_seconds_at_most() -> None:
    service = settings()["Service"]
    assert seconds(service["TimeoutStopSec"]) == 5
    assert service["KillMode"] == "mixed"


def test_start_waits_for_the_sound_card_and_not_for_the_network() -> None:
    unit = settings()["Unit"]
    assert unit["After"].split() == ["sound.target", "kioskd-tool.socket"]
    assert "network" not in " ".join(value for section in settings().values() for value in section.values())


def test_it_runs_as_its_own_user_and_may_open_only_its_devices() -> None:
    service = settings()["Service"]
    assert service["User"] == "kioskd"
    assert service["DevicePolicy"] == "closed"
    assert set(service["DeviceAllow"].splitlines()) == {
        "char-alsa rw",
        "char-gpiochip rw",
        "char-video4linux rw",
        "char-media rw",
        "char-dma_heap rw",
        "char-input r",
    }
    groups = re.findall(r"(?m)^m kioskd (\w+)$", (FOLDER / "kioskd.sysusers").read_text())
    assert groups == ["audio", "video", "gpio", "input"]


def test_a_reload_fails_where_the_file_has_a_fault_with_every_systemd() -> None:
    assert settings()["Service"]["ExecReload"] == "/opt/kioskd/current/bin/kioskd reload"
    assert not {"Type", "ExecReload"} & settings(FOLDER / "systemd-254.conf")["Service"].keys()


def test_newer_systemd_restarts_after_growing_delays() -> None:
    service = settings(FOLDER / "systemd-254.conf")["Service"]
    assert 0 < seconds(service["RestartSec"]) < seconds(service["RestartMaxDelaySec"])
    assert int(service["RestartSteps"]) > 0


@pytest.mark.parametrize("restarts", range(12))
def test_older_systemd_has_the_same_growing_delays(tmp_path: Path, restarts: int) -> None:
    newer = settings(FOLDER / "systemd-254.conf")["Service"]
    older = settings(FOLDER / "systemd-252.conf")["Service"]
    first, longest = seconds(newer["RestartSec"]), seconds(newer["RestartMaxDelaySec"])
    wanted = min(longest, first * (longest / first) ** (max(0, restarts - 1) / int(newer["RestartSteps"])))

    words = shlex.split(older["ExecStartPre"].replace("$$", "$"))
    assert words[:2] == ["-+/bin/sh", "-c"], "as root, outside the sandbox; and a start may not fail by it"
    for name, script in (("systemctl", f"echo {restarts}"), ("sleep", 'echo "$1"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    slept = subprocess.run(
        ["/bin/sh", *words[1:]],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    assert slept.stderr == ""
    waited = int(slept.stdout or 0)
    assert seconds(older["RestartSec"]) + waited == pytest.approx(wanted, rel=0.1)
    assert waited < seconds(settings()["Service"]["TimeoutStartSec"])


def test_systemd_learns_that_a_kiosk_has_been_well_for_a_minute() -> None:
    assert settings()["Unit"]["Wants"].split()[0] == "kioskd-settled.timer"
    timer = settings(FOLDER / "kioskd-settled.timer")
    assert timer["Timer"]["OnActiveSec"] == timer["Timer"]["OnUnitInactiveSec"] == "60"
    assert timer["Unit"]["PartOf"] == "kioskd.service"
    asking = {"BindsTo", "Requires", "Wants", "Upholds"}
    assert not asking & timer["Unit"].keys(), "they would have kioskd started again without a pause"
    assert "reset-failed kioskd" in settings(FOLDER / "kioskd-settled.service")["Service"]["ExecStart"]


def test_key_comes_as_a_credential_that_may_be_missing() -> None:
    service = settings()["Service"]
    # With a path, systemd would refuse to start the service if the file is missing.
    assert service["LoadCredentialEncrypted"] == "gemini-api-key"
    assert "KEY" not in service["Environment"]


def test_no_speech_is_left_in_a_core_dump_or_a_shared_folder() -> None:
    service = settings()["Service"]
    assert service["LimitCORE"] == "0"
    assert service["PrivateTmp"] == "yes"
    assert service["StateDirectoryMode"] == "0700"


def test_memory_and_tasks_are_bounded() -> None:
    service = settings()["Service"]
    high, most = (int(service[key].removesuffix("%")) for key in ("MemoryHigh", "MemoryMax"))
    assert high * ZERO_2_W_MB / 100 >= LEAST_MB
    assert high < most <= 75, "the rest of the system stays reachable"
    assert "MALLOC_ARENA_MAX=2" in service["Environment"].split()
    assert 0 < int(service["TasksMax"]) <= 256


def test_system_is_read_only_and_privileges_cannot_be_gained() -> None:
    service = settings()["Service"]
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["SystemCallFilter"].splitlines() == [
        "@system-service landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp",
        "~@privileged @resources",
    ]
    families = set(service["RestrictAddressFamilies"].split())
    assert families == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return the unit with a program that exists."""
    unit = tmp_path / UNIT.name
    for path in FOLDER.glob("kioskd-settled.*"):
        shutil.copy(path, tmp_path)
    text, count = re.subn("(?m)^(Exec(?:Start|Reload)=).*$", r"\1/bin/true", UNIT.read_text())
    assert count == 2
    unit.write_text(text)
    return unit


def systemd_analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert SYSTEMD_ANALYZE is not None
    return subprocess.run(
        [SYSTEMD_ANALYZE, *arguments], capture_output=True, text=True, check=False, timeout=240
    )


@needs_systemd_analyze
def test_systemd_knows_every_setting(installed: Path) -> None:
    verified = systemd_analyze("verify", "--man=no", installed)
    # systemd warns of a setting that it does not know, and does not fail.
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd_analyze
def test_systemd_would_notice_a_setting_that_it_does_not_know(installed: Path) -> None:
    installed.write_text(installed.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "WatchDogSec" in systemd_analyze("verify", "--man=no", installed).stderr


@needs_systemd_analyze
def test_systemd_rates_the_sandbox_as_closed(installed: Path) -> None:
    # 0 is closed, 10 is open; a plain service has 9.6. The unit explains the rest.
    rated = systemd_analyze("security", "--offline=yes", "--threshold=15", installed)
    assert rated.returncode == 0, rated.stdout


def test_programs_of_tools_run_as_another_user_and_only_the_daemon_starts_them() -> None:
    asked = settings(FOLDER / "kioskd-tool.socket")["Socket"]
    assert (asked["SocketUser"], asked["SocketMode"], asked["Accept"]) == ("kioskd", "0600", "yes")
    assert Path(asked["ListenStream"]) == SOCKET
    program = settings(FOLDER / "kioskd-tool@.service")["Service"]
    assert program["User"] == program["Group"] == "kioskd-tool" != settings()["Service"]["User"]
    assert program["NoNewPrivileges"] == "yes"
    assert program["CapabilityBoundingSet"] == program["AmbientCapabilities"] == ""
    assert "kioskd-tool.socket" in settings()["Unit"]["Wants"].split()
    assert "u kioskd-tool " in (FOLDER / "kioskd.sysusers").read_text(encoding="utf-8")
