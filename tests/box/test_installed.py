"""A kiosk is installed, and keeps serving through all events of an operator's day."""

import json
import re
from pathlib import Path

import pytest
from tests.box.site import GREETING, SETTINGS, Site, Typed, version_of
from tests.support import hostile_tool

from kioskd.rehearsal.fake_speaker import AUDIBLE

pytestmark = pytest.mark.timeout(900)


def test_each_line_of_the_readmes_chapter_on_installing_does_what_it_says(it: Site, typed: Typed) -> None:
    ended = {line.partition("#")[0].strip(): done.returncode for line, done in typed.items()}
    assert ended == dict.fromkeys(ended, 0) | {"sudo kioskd doctor": 1}
    install, devices, edit, key, check, doctor, *_, status = (done.stdout for done in typed.values())
    # A new kiosk reports without alarm that the owner's key is missing.
    assert "service key: there is none" in install
    assert "the key: sudo kioskd key" in install
    assert "Failed to start" not in install
    assert "Job for kioskd" not in install
    assert "default" in devices
    assert edit == ""
    assert f"{SETTINGS}: ok" in check
    assert "stored: /etc/credstore.encrypted/gemini-api-key" in key
    # Two faults are expected: the clock of a container is not synchronised, and there is no camera.
    assert re.findall(r"^FAULT +(\w+)", doctor, re.MULTILINE) == ["clock", "camera"]
    assert "Did you hear a rising tone? [y/n] y" in doctor
    assert "you saw it blink" in doctor
    assert 'Status: "In conversation' in status


def test_the_kiosk_is_installed_and_starts_at_boot(it: Site) -> None:
    it.box.journal.wait("ready")
    assert it.box.show("ActiveState") == "active"
    assert it.box.exec("systemctl", "is-enabled", "kioskd").stdout.strip() == "enabled"
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {version_of()}"
    assert {"kioskd", "audio", "video"} <= set(it.box.exec("id", "-nG", "kioskd").stdout.split())


def test_systemd_accepts_the_unit_without_a_warning(it: Site) -> None:
    verified = it.box.exec(
        "systemd-analyze",
        "verify",
        "--man=no",
        "kioskd.service",
        "kioskd-settled.timer",
        "kioskd-tool.socket",
    )
    assert verified.stdout + verified.stderr == ""


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("kioskd --help > /dev/full", 69),
        ("kioskd status > /dev/full", 69),
        ("kioskd status >&-", 0),
        ("kioskd dance 2>&-", 2),
        ("kioskd schema | head -n 1; exit ${PIPESTATUS[0]}", 141),
    ],
)
def test_the_exit_code_is_right_if_the_output_cannot_be_written(it: Site, line: str, code: int) -> None:
    assert it.box.exec("bash", "-c", line, check=False).returncode == code


def test_systemd_rates_the_unit_as_hardly_exposed(it: Site) -> None:
    rated = it.box.exec("systemd-analyze", "security", "--no-pager", "--threshold=15", "kioskd", check=False)
    assert rated.returncode == 0, rated.stdout


# The kernels of Raspberry Pi OS are built in this way.
WITHOUT_LANDLOCK = "[Service]\nSystemCallFilter=~landlock_create_ruleset\n"
UNITS_OWN = (
    *("User", "ProtectSystem", "ProtectHome", "PrivateTmp", "ProtectProc", "ProcSubset", "NoNewPrivileges"),
    *("CapabilityBoundingSet", "RestrictNamespaces", "RestrictAddressFamilies", "MemoryDenyWriteExecute"),
    *(
        "SystemCallArchitectures",
        "SystemCallErrorNumber",
        "LockPersonality",
        "RestrictSUIDSGID",
        "DevicePolicy",
    ),
)


def as_the_daemon(it: Site) -> list[str]:
    """Return the properties of the daemon's own sandbox, for systemd-run."""
    lines = it.box.sh("cat /usr/local/lib/systemd/system/kioskd.service").splitlines()
    wanted = [line for line in lines if line.startswith((*UNITS_OWN, "SystemCallFilter"))]
    return [f"--property={line}" for line in wanted]


@pytest.mark.parametrize(
    ("dropped_in", "user", "more"),
    [
        ("[Service]\n", "kioskd-tool", []),
        (WITHOUT_LANDLOCK, "kioskd-tool", []),
        ("[Service]\n", "kioskd", ["--property=InaccessiblePaths=/run/kioskd-tool.sock"]),
    ],
    ids=["unit", "unit without landlock", "landlock without unit"],
)
def test_a_hostile_program_of_a_tool_cannot_reach_the_daemon(
    it: Site, dropped_in: str, user: str, more: list[str]
) -> None:
    it.box.write("/run/systemd/system/kioskd-tool@.service.d/test.conf", dropped_in)
    it.box.sh("systemctl daemon-reload")
    it.box.write("/opt/hostile_tool.py", Path(hostile_tool.__file__).read_text(encoding="utf-8"))
    tool = {"kind": "command", "name": "hostile", "description": "d", "answer": "json", "network": True}
    tool |= {"argv": ["/usr/bin/python3", "/opt/hostile_tool.py"]}
    tool |= {"parameters": {"type": "object", "additionalProperties": True}}
    settings = json.dumps({"conversation": {"wake": ["start"]}, "tools": [tool]})
    it.box.write("/etc/kioskd/hostile.yaml", settings)
    paths = [
        "/run/credentials/kioskd.service",
        "/run/credentials/kioskd.service/gemini-api-key",
        "/etc/shadow",
    ]
    paths += ["/var/lib/kioskd", "/run/kioskd", "/var/cache/kioskd", "/etc/credstore.encrypted"]
    asked = {"pid": int(it.box.show("MainPID")), "control": "/run/kioskd/control", "port": 9}
    asked |= {"write": "/var/lib/kioskd/new", "paths": [*paths, "/etc/os-release"]}
    called = ("kioskd", "tools", "call", "hostile", json.dumps(asked), "--config", "/etc/kioskd/hostile.yaml")
    sandboxed = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect", *as_the_daemon(it), *more)
    told = it.box.exec(*sandboxed, "--", *called, "--json", check=False)
    assert told.stdout, told.stderr
    answered = json.loads(told.stdout)
    assert answered["status"] == "ok", answered
    found = answered["data"]
    assert found.pop("user") == it.box.sh(f"id -u {user}").strip()
    assert {name for name, what in found.items() if what == "got"} == {"/etc/os-release"}
    assert it.box.sh("systemctl list-units --all --plain --no-legend 'kioskd-tool@*'") == ""


def test_sound_threads_have_real_time_priority_if_it_is_allowed(it: Site) -> None:
    assert it.box.show("CPUSchedulingPolicy") == "2"  # SCHED_RR
    policy = it.box.exec("chrt", "--pid", it.box.show("MainPID")).stdout
    assert "SCHED_RR" in policy


def test_bash_completes_the_commands_of_the_installed_version(it: Site) -> None:
    words = it.box.sh(
        "source /usr/local/share/bash-completion/completions/kioskd; "
        'COMP_WORDS=(kioskd c) COMP_CWORD=1; _kioskd;echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(kioskd check --c) COMP_CWORD=2; _kioskd; echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(kioskd help t) COMP_CWORD=2; _kioskd; echo "${COMPREPLY[@]}"'
    ).splitlines()
    assert "check" in words[0].split()
    assert words[1:] == ["--config", "talking tools"]


def test_a_visitor_is_heard_and_answered(it: Site) -> None:
    with it.sound.record() as speaker, it.service.sees("reply_sent"):
        it.person.speak()
    speaker.wait_bytes(1)
    it.box.journal.wait(lambda entry: re.match(r"turn \d", str(entry["MESSAGE"])) is not None)
    assert loudest(bytes(speaker.pcm)) > AUDIBLE
    assert [GREETING] in [session.texts for session in it.service.simulator.sessions]


def test_a_killed_kiosk_continues_its_conversation(it: Site) -> None:
    sessions = len(it.service.simulator.sessions)
    with it.service.sees("setup_complete"), it.service.sees("handle_issued"):
        it.box.exec("systemctl", "kill", "--signal=KILL", "kioskd")
    assert it.service.simulator.connections[-1].resumed
    assert len(it.service.simulator.sessions) == sessions
    it.serves()


def test_good_settings_are_used_without_a_restart(it: Site) -> None:
    pid, place = it.box.show("MainPID"), it.box.journal.now
    it.box.write(SETTINGS, it.settings(volume=80))
    it.box.exec("systemctl", "reload", "kioskd")
    it.box.journal.wait("settings reloaded", since=place)
    assert it.box.show("MainPID") == pid


def test_bad_settings_are_rejected_with_their_place_and_the_old_ones_stay(it: Site) -> None:
    pid, place = it.box.show("MainPID"), it.box.journal.now
    with it.misspelt():
        refused = it.box.exec("systemctl", "reload", "kioskd", check=False)
        complaint = it.box.journal.wait("settings not reloaded, the old ones stay", since=place)
        told = it.box.exec("kioskd", "reload", check=False)
        seen = it.box.exec("systemctl", "status", "--no-pager", "--full", "kioskd", check=False).stdout
    assert refused.returncode != 0
    assert (told.returncode, f"{SETTINGS}:5:" in told.stderr) == (78, True)
    assert f"{SETTINGS}:5:" in seen
    assert f"{SETTINGS}:5:" in str(complaint["MESSAGE"])
    assert it.box.show("MainPID") == pid
    assert it.box.show("ActiveState") == "active"


def test_a_blocked_kiosk_is_restarted_by_the_watchdog(it: Site) -> None:
    place = it.box.journal.now
    with it.service.sees("setup_complete"):
        it.box.exec("systemctl", "kill", "--kill-whom=main", "--signal=STOP", "kioskd")
        it.box.journal.wait("Watchdog timeout", since=place)
    it.box.journal.wait("ready", since=place)
    # The next process logs in one line where the old one hung.
    it.box.journal.wait("the previous kioskd process crashed (Aborted) in ", since=place)
    assert "most recent call first" not in it.box.journal.text(since=place)
    assert "most recent call first" in it.box.read("/run/kioskd/last-crash.txt")


def test_a_microphone_that_stops_silently_does_not_leave_the_kiosk_deaf(it: Site) -> None:
    pid, place = it.box.show("MainPID"), it.box.journal.now
    it.sound.freeze("mic")
    try:
        it.box.journal.wait(lambda _: it.box.show("MainPID") not in (pid, "0"), since=place)
    finally:
        it.sound.thaw("mic")
    with it.service.sees("reply_sent"):
        it.box.journal.wait("ready", since=place)
        it.person.speak()


def loudest(sound: bytes) -> int:
    """Return the largest sample."""
    return max(map(abs, memoryview(sound[: len(sound) & ~1]).cast("h")), default=0)
