"""A kiosk at work: its operator asks, watches and examines it, and mends its faults without a restart."""

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import pytest
from tests.box.site import CREDENTIAL, GREETING, HARMLESS, SAID, SETTINGS, SOURCE, Service, Site, manual
from tests.support.journal import PATIENCE_S
from tests.support.pictures import jpeg
from tests.support.rootfs import CHECKOUT

from kioskd import journal_ids
from kioskd.errors import Code
from kioskd.simulator import ServiceScript

pytestmark = pytest.mark.timeout(900)

PORT: Final = 19464
KEY_FILE: Final = "/etc/kioskd/key"
STATE: Final = "/var/lib/kioskd"
CACHE: Final = "/var/cache/kioskd"
MOUNT: Final = "mount -t tmpfs -o {options},mode=700,uid=$(id -u kioskd),gid=$(id -g kioskd) state {where}"
WRITTEN: Final = "/run/kioskd /var/lib/kioskd /var/cache/kioskd /var/log /run/log /tmp /var/tmp /etc/kioskd"


@pytest.fixture
def one_life(it: Site) -> Iterator[None]:
    """Check that the same daemon serves before and after the block."""
    pid = it.box.show("MainPID")
    yield
    it.serves()
    assert it.box.show("MainPID") == pid


# Questions


def test_status_shows_the_state_in_words(it: Site) -> None:
    it.serves()
    said = it.says()
    assert (said["state"], said["code"], said["microphone"]) == ("listening", None, "working")
    assert it.box.exec("kioskd", "status").stdout.startswith(it.box.show("StatusText"))
    assert it.lamp == "listening"


def test_watch_gives_a_line_of_json_ten_times_a_second(it: Site) -> None:
    it.serves()
    lines = it.box.sh("kioskd watch --json | head -n 3 || [ $? -eq 141 ]").splitlines()
    seen = [json.loads(line) for line in lines]
    assert [one["state"] for one in seen] == ["listening"] * 3
    assert 0 < seen[-1]["levels"]["microphone"] < 0.1, "the room's hiss"


def test_only_members_of_the_group_may_send_commands(it: Site) -> None:
    asked = ("runuser", "-u", "ann", "--", "kioskd", "status")
    it.box.exec("useradd", "--system", "ann")
    try:
        refused = it.box.exec(*asked, check=False)
        assert (refused.returncode, refused.stdout) == (69, "")
        assert "sudo usermod -aG kioskd" in refused.stderr
        it.box.exec("usermod", "-aG", "kioskd", "ann")
        assert it.box.exec(*asked).stdout.startswith("In conversation")
    finally:
        it.box.exec("userdel", "ann")


def test_a_member_of_the_groups_in_the_manual_reads_the_journal_and_finds_the_key_stored(
    it: Site,
) -> None:
    [groups] = re.findall(
        r"`sudo usermod -aG (\S+) YOU`", (CHECKOUT / "daemon/kioskd/manual/operating.md").read_text()
    )
    it.box.exec("useradd", "--system", "--groups", groups, "ann")
    try:
        said = it.box.sh("runuser -u ann -- journalctl -u kioskd --no-pager -o cat 2>&1")
        assert "\nready" in f"\n{said}"
        assert "insufficient permissions" not in said
        checked = it.box.sh("runuser -u ann -- kioskd check")
        assert "stored; only root and the service can read it" in checked
        assert f"stored: {CREDENTIAL}" in it.box.sh("kioskd check")
    finally:
        it.box.exec("userdel", "ann")


def test_a_file_that_the_sandbox_hides_is_named_by_the_service_and_by_check(it: Site) -> None:
    hidden = "service.key_file: cannot be read by the service: the service's sandbox hides"
    for place, setting in (("/home/pi", "ProtectHome"), ("/root", "ProtectHome"), ("/tmp", "PrivateTmp")):
        it.box.write(f"{place}/key", it.key, mode="600")
        it.box.sh(f"chown kioskd: {place}/key")
        it.box.write(SETTINGS, it.settings(service=f"key_file: {place}/key"))
        said = it.box.exec("kioskd", "check", check=False).stdout
        turned_down = it.box.journal.now
        it.box.exec("systemctl", "reload", "kioskd", check=False)
        refused = it.box.journal.wait("settings not reloaded, the old ones stay", since=turned_down)
        complaint = str(refused["MESSAGE"])
        it.box.sh(f"rm {place}/key")
        for words in (said, complaint):
            assert hidden in words
            assert f"({setting}=)" in words
    it.box.write(SETTINGS, it.settings())
    it.box.exec("systemctl", "reload", "kioskd")
    it.serves()


@pytest.mark.usefixtures("one_life")
def test_commands_do_the_same_as_the_button(it: Site) -> None:
    def do(*words: str) -> None:
        it.box.exec("kioskd", *words)

    do("volume", "40")
    assert it.says()["volume"] == 40
    do("volume", "100")
    with it.service.sees("reply_sent"):
        do("ask", "When do you open?")
    assert "When do you open?" in it.service.simulator.sessions[-1].texts
    do("hush")
    do("mute")
    assert it.box.show("StatusText").startswith("Muted")
    do("unmute")
    do("sleep")
    it.shows("Asleep")
    with it.service.sees("reply_sent"):
        do("wake")
    it.shows("In conversation")


# The journal


def test_journal_explains_each_event_and_its_remedy(it: Site) -> None:
    it.answers()
    explained = it.box.sh(f"journalctl --no-pager -x -u kioskd MESSAGE_ID={journal_ids.TURN} | tail -n 20")
    assert "was answered" in explained
    assert "KIOSKD_FIRST_BYTE_MS  from the visitor's last word" in explained
    assert "@KIOSKD_TURN@" not in explained


def test_journal_has_fields_to_count_and_search_by(it: Site) -> None:
    lines = it.box.exec("journalctl", "--output=json", f"MESSAGE_ID={journal_ids.TURN}").stdout.splitlines()
    turn = json.loads(lines[-1])
    assert {
        "KIOSKD_STATE",
        "KIOSKD_CONVERSATION",
        "KIOSKD_TURN",
        "KIOSKD_EPOCH",
        "KIOSKD_CAUSE",
    } <= turn.keys()
    assert int(turn["KIOSKD_WAITED_MS"]) >= int(turn["KIOSKD_FIRST_BYTE_MS"]) > 0
    [ready] = it.box.exec(
        "journalctl", "--output=cat", "-n", "1", "-u", "kioskd", f"MESSAGE_ID={journal_ids.READY}"
    ).stdout.splitlines()
    assert ready == "ready"


# The doctor, and what is wrong


def test_doctor_finds_nothing_on_a_kiosk_that_serves(it: Site) -> None:
    assert it.doctor() == HARMLESS


@pytest.mark.usefixtures("one_life")
def test_an_unplugged_microphone_is_reported_and_used_again_when_it_is_back(it: Site) -> None:
    it.sound.unplug("mic")
    try:
        it.is_wrong(Code.MICROPHONE, "microphone-missing")
        assert it.lamp == "fault"
    finally:
        it.sound.replug("mic")
    it.serves()
    it.answers()


@pytest.mark.usefixtures("one_life")
def test_a_lost_network_is_reported_and_used_again_when_it_is_back(it: Site) -> None:
    it.network.lose_the_way()
    try:
        with ThreadPoolExecutor() as meanwhile:  # Both wait for an answer in vain.
            found = meanwhile.submit(it.doctor)
            it.shows(f"(code {Code.WAY})")
        assert found.result() == HARMLESS | {"not-reached"}
        assert (it.says()["code"], it.lamp) == (Code.WAY, "offline")
        with it.service.sees("setup_complete"):
            it.service.hang_up()
            it.network.find_the_way()
    finally:
        it.network.find_the_way()
    assert it.service.simulator.connections[-1].resumed


@pytest.mark.usefixtures("one_life")
def test_a_wrong_key_is_reported_and_the_kiosk_serves_with_the_right_one(it: Site) -> None:
    right = it.service.simulator.key.get_secret_value()
    it.box.write(KEY_FILE, "no-key-of-this-service", mode="600")
    it.box.exec("chown", "kioskd", KEY_FILE)
    try:
        it.reload(it.settings(service=f"key_file: {KEY_FILE}"))
        it.is_wrong(Code.SETTINGS, "refused")
        it.box.write(KEY_FILE, right, mode="600")
        with it.service.sees("setup_complete"):
            it.box.exec("systemctl", "reload", "kioskd")
        it.serves()
    finally:
        it.reload(it.settings())
        it.box.exec("rm", KEY_FILE)


@pytest.mark.usefixtures("one_life")
def test_a_clock_that_is_not_set_is_reported_and_the_kiosk_serves_when_it_is_set(it: Site) -> None:
    with Service(ServiceScript(certificate="not_yet_valid", key=it.service.simulator.key)) as early:
        it.box.write("/etc/kioskd/early.pem", early.simulator.ca_file.read_text())
        try:
            it.reload(it.settings(endpoint=early.simulator.endpoint, ca_file="early.pem"))
            it.is_wrong(Code.CLOCK, "certificate-out-of-time")
        finally:
            it.reload(it.settings())
            it.box.exec("rm", "/etc/kioskd/early.pem")
    it.serves()


@contextmanager
def without_a_disk(it: Site, options: str, *commands: str) -> Iterator[None]:
    """Start the kiosk with a tmpfs of these `options` as state directory, after `commands`.

    Its lamp shows codes.
    """
    it.box.write(SETTINGS, it.settings().replace("echo $0", "echo $0 $KIOSKD_CODE"))
    it.box.sh("; ".join(("systemctl stop kioskd", MOUNT.format(options=options, where=STATE), *commands)))
    try:
        with it.service.sees("setup_complete"):
            it.box.exec("systemctl", "start", "kioskd")
        yield
    finally:
        it.box.write(SETTINGS, it.settings())
        it.box.sh(
            "systemctl stop kioskd;"
            f"for place in {STATE} {CACHE}; do while mountpoint -q $place; do umount $place; done; done;"
            "systemctl start kioskd"
        )
    it.serves()


def keeps(it: Site, volume: int, place: int) -> None:
    """Set the volume, check that it is on the disk, and that the fault that began after `place` is over."""
    it.box.exec("kioskd", "volume", str(volume))
    it.box.journal.wait("in order again: code=S1", since=place)
    assert json.loads(it.box.read(f"{STATE}/preferences.json"))["volume"] == volume


def lights(it: Site, told: str) -> None:
    """Wait until the lamp's command, which takes some time, got this order."""
    until = time.monotonic() + PATIENCE_S
    while it.lamp != told:
        assert time.monotonic() < until, it.lamp
        time.sleep(0.05)


def is_in_order(it: Site) -> None:
    """Check that neither the daemon nor doctor reports a fault."""
    it.serves()
    assert it.says()["code"] is None
    assert it.doctor() == HARMLESS
    lights(it, "listening")


def test_a_full_disk_is_reported_and_state_is_stored_when_there_is_room(it: Site) -> None:
    with without_a_disk(it, "size=64k", f"head -c 64k /dev/zero > {STATE}/filler || true"):
        pid, place = it.box.show("MainPID"), it.box.journal.now
        it.is_wrong(Code.STORAGE, "disk-full")
        it.box.exec("kioskd", "volume", "30")
        it.box.exec("kioskd", "volume", "100")
        it.answers()
        lights(it, "listening S1")
        it.shows("No space left on device (code S1)")
        it.box.exec("kioskd", "sleep")
        it.box.journal.wait("told the visitor: code=S1", since=place)
        lights(it, "asleep S1")

        it.box.sh(f"rm {STATE}/filler; mount -o remount,size=1g {STATE}")
        keeps(it, 95, place)
        is_in_order(it)
        assert it.box.show("MainPID") == pid


def test_a_read_only_disk_is_reported_and_state_is_stored_when_it_is_writable(
    it: Site,
) -> None:
    # All other folders are read-only for the daemon, by ProtectSystem=strict.
    with without_a_disk(it, "ro", MOUNT.format(options="ro", where=CACHE)):
        pid, place = it.box.show("MainPID"), it.box.journal.now
        it.is_wrong(Code.STORAGE, "disk-read-only")
        it.box.exec("kioskd", "volume", "90")
        it.answers()
        it.shows("Read-only file system (code S1)")
        lights(it, "listening S1")

        # Mount a small partition, as doctor advises.
        it.box.sh(
            f"{MOUNT.format(options='size=1g', where=STATE)}; {MOUNT.format(options='size=1g', where=CACHE)}"
        )
        keeps(it, 95, place)
        is_in_order(it)

        # A file system remounts itself read-only when its card fails.
        it.box.sh(f"mount -o remount,ro {STATE}")
        place = it.box.journal.now
        it.box.exec("kioskd", "volume", "90")
        it.is_wrong(Code.STORAGE, "disk-read-only")
        it.box.sh(f"mount -o remount,rw {STATE}")
        keeps(it, 100, place)
        is_in_order(it)
        assert it.box.show("MainPID") == pid


def test_a_kiosk_without_devices_reports_it_and_uses_each_device_that_appears(it: Site) -> None:
    it.box.exec("systemctl", "stop", "kioskd")
    it.sound.unplug("mic")
    it.network.lose_the_way()
    try:
        it.box.exec("systemctl", "start", "kioskd")
        pid = it.box.show("MainPID")
        it.shows("the microphone is missing")
        it.sound.replug("mic")
        with it.service.sees("setup_complete"):
            it.network.find_the_way()
    finally:
        it.network.find_the_way()
        it.sound.replug("mic")
    it.answers()
    assert it.box.show("MainPID") == pid
    assert it.says()["camera"] == "off", "the one in the settings has never been there"


def test_metrics_are_served_at_the_port_of_the_settings(it: Site) -> None:
    get = f"python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:{PORT}/metrics\").read().decode())'"
    it.box.write(SETTINGS, it.settings() + f"metrics: {{port: {PORT}}}\n")
    try:
        with it.service.sees("setup_complete"):
            it.box.exec("systemctl", "restart", "kioskd")
        it.serves()
        assert re.search(r"^kioskd_\S+ \d", it.box.sh(get), re.MULTILINE)
    finally:
        it.box.write(SETTINGS, it.settings())
        with it.service.sees("setup_complete"):
            it.box.exec("systemctl", "restart", "kioskd")
    it.serves()


# The key, and what is written


def test_key_is_asked_for_tried_stored_encrypted_and_used_at_once_and_after_a_restart(it: Site) -> None:
    right, wrong = it.service.simulator.key.get_secret_value(), "no-key-of-this-service"

    def typed(key: str) -> subprocess.CompletedProcess[str]:
        return it.box.typed("kioskd", "key", answers={"Service key: ": key})

    it.box.sh(f"systemd-creds encrypt --name=gemini-api-key - {CREDENTIAL}", given=wrong)
    try:
        it.box.exec("systemctl", "restart", "kioskd")
        it.is_wrong(Code.SETTINGS, "refused")
        pid, before = it.box.show("MainPID"), it.box.read(CREDENTIAL)
        refused = typed(wrong)
        assert refused.returncode == 77
        assert "nothing was stored" in refused.stdout
        assert it.box.read(CREDENTIAL) == before
    finally:
        stored = typed(right)
    assert stored.returncode == 0, stored.stdout
    assert "in use: the running kioskd has the new key" in stored.stdout
    it.answers()
    with it.service.sees("setup_complete"):
        it.box.exec("systemctl", "reload", "kioskd")
    it.answers()
    assert it.box.show("MainPID") == pid
    assert right not in stored.stdout, "it is not echoed"
    assert it.box.read(CREDENTIAL) != before
    assert right not in it.box.read(CREDENTIAL)
    with it.service.sees("setup_complete"):
        it.box.exec("systemctl", "restart", "kioskd")
    it.answers()


def test_no_file_and_no_log_line_holds_key_handle_or_speech(it: Site) -> None:
    it.box.exec("kioskd", "log", "debug")
    question = "Does the lighthouse keeper own a parrot?"
    try:
        with it.service.sees("reply_sent"):
            it.box.exec("kioskd", "ask", question)
        it.answers()
        handle = json.loads(it.box.read("/run/kioskd/conversation"))["handle"]
    finally:
        it.box.exec("kioskd", "log", "info")
    key = it.service.simulator.key.get_secret_value()
    it.box.exec("journalctl", "--sync")
    # No file holds words of the conversation. One file, in memory, holds the handle.
    for secret, where in (
        (key, set()),
        (question, set()),
        (GREETING, {SETTINGS}),
        (SAID, set()),
        (handle, {"/run/kioskd/conversation"}),
    ):
        found = it.box.sh(
            f"grep -rlaF -e '{secret}' {WRITTEN} || true; "
            f"journalctl --no-pager -o export | grep -caF -e '{secret}' || true"
        )
        *files, lines = found.splitlines()
        assert (set(files), lines) == (where, "0")
    core = it.box.sh("grep 'Max core file size' /proc/$(systemctl show --value -p MainPID kioskd)/limits")
    assert core.split()[4:6] == ["0", "0"]


# The manual


def test_every_command_of_the_chapter_on_operating_does_what_it_says(it: Site) -> None:
    typed = [line for line in manual("operating") if "install.sh" not in line]  # see test_upgraded.py
    assert len(typed) > 15
    it.box.exec("bash", "-c", "base64 -d > /etc/kioskd/map.jpg", given=base64.b64encode(jpeg()).decode())
    ended = {}
    for line in typed:
        done = it.box.exec(
            "timeout",
            "30",
            "bash",
            "-c",
            f"cd {SOURCE}; exec 2>&1 </dev/null; {_bounded(line)}",
            check=False,
            within_s=40,
        )
        assert "Traceback" not in done.stdout, line
        ended[line] = done.returncode, done.stdout
    odd = {line: end for line, end in ended.items() if end[0] != (1 if "doctor" in line else 0)}
    assert odd == {}
    assert it.box.exec("stat", "-c", "%a", "/tmp/kioskd-report.tar.gz").stdout == "600\n"
    it.box.sh(
        "rm /etc/kioskd/map.jpg /tmp/kioskd-report.tar.gz /etc/systemd/system/kioskd.service.d/reboot.conf; "
        "systemctl daemon-reload"
    )
    it.serves()


def _bounded(line: str) -> str:
    """Return a command that would run for ever, but with an end."""
    return "kioskd watch | head -n 1 || [ $? -eq 141 ]" if line.startswith("kioskd watch") else line
