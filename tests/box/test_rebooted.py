"""A kiosk whose machine is rebooted, by itself as the last resort, and with a read-only disk."""

import json
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import pytest
from tests.box.site import Site, manual
from tests.support.journal import PATIENCE_S

from kioskd.errors import Code

pytestmark = pytest.mark.timeout(900)

PASSING: Final = "/run/systemd/system"
"""Drop-ins that are gone after a reboot."""
TROUBLE: Final = f"{PASSING}/kioskd.service.d/trouble.conf"
ENDS_AT_ONCE: Final = '[Service]\nExecStart=\nExecStart=/bin/sh -c "exit 70"\n'
PACE: Final = f"{PASSING}/kioskd.service.d/pace.conf"
LONGEST_PAUSE_S: Final = 0.5
SHORT_PAUSES: Final = f"[Service]\nRestartSec=100ms\nRestartSteps=5\nRestartMaxDelaySec={LONGEST_PAUSE_S}\n"
SETTLED: Final = f"{PASSING}/kioskd-settled.timer.d/sooner.conf"
A_SHORT_MINUTE: Final = "[Timer]\nOnActiveSec=\nOnActiveSec=2\nAccuracySec=100ms\n"
LONG_UP: Final = 1800
LAST: Final = 10
"""Number of the restart that is replaced by a reboot of the machine."""
FAKE_TIME: Final = "/run/time"


@pytest.fixture(scope="module")
def last_resort(it: Site) -> Iterator[None]:
    """Type the lines of the manual that let systemd reboot the machine."""
    lines = [line for line in manual("operating") if "reboot.conf" in line or "daemon-reload" in line]
    assert len(lines) == 2
    for line in lines:
        assert it.types(line).returncode == 0
    it.box.write(PACE, SHORT_PAUSES)
    it.box.write(SETTLED, A_SHORT_MINUTE)
    it.box.sh("systemctl daemon-reload; systemctl restart kioskd")
    it.serves()
    yield
    it.box.sh("rm /etc/systemd/system/kioskd.service.d/reboot.conf; systemctl daemon-reload")


def trouble(it: Site) -> None:
    """Make the daemon end, and each daemon after it."""
    it.box.write(TROUBLE, ENDS_AT_ONCE)
    it.box.sh("systemctl daemon-reload; systemctl kill --signal=KILL kioskd")


def no_more_trouble(it: Site) -> None:
    """Let the next daemon serve."""
    it.box.sh(f"rm {TROUBLE}; systemctl daemon-reload")


def up_for(it: Site, seconds: int) -> None:
    """Make the machine believe that it has been up for this time."""
    it.box.sh(
        f"echo '{seconds}.00 0.00' > /run/uptime; "
        "mountpoint -q /proc/uptime || mount --bind /run/uptime /proc/uptime"
    )


def await_settled(it: Site) -> None:
    """Wait until systemd has forgotten the restarts, which it does not report."""
    until = time.monotonic() + PATIENCE_S
    while it.box.show("NRestarts") != "0":
        assert time.monotonic() < until, it.box.journal.text("kioskd-settled.timer")
        time.sleep(0.1)


def await_restart(it: Site, number: int, since: int) -> None:
    """Wait until systemd has reported this number of restarts in a row."""
    it.box.journal.wait(f"restart counter is at {number}.", since=since)


@pytest.mark.usefixtures("last_resort")
def test_failures_with_a_good_minute_between_them_do_not_add_up(it: Site) -> None:
    up_for(it, LONG_UP)
    place = it.box.journal.now
    trouble(it)
    await_restart(it, LAST - 3, place)
    with it.service.sees("setup_complete"):
        no_more_trouble(it)
    await_settled(it)
    it.serves()


@pytest.mark.usefixtures("last_resort")
def test_a_machine_is_not_rebooted_again_if_a_reboot_did_not_help(it: Site) -> None:
    up_for(it, LONG_UP - 1)
    place = it.box.journal.now
    trouble(it)
    await_restart(it, LAST + 1, place)


@pytest.mark.usefixtures("last_resort")
def test_a_machine_whose_kiosk_keeps_failing_is_rebooted_and_the_kiosk_serves(it: Site) -> None:
    with it.service.sees("setup_complete"):
        no_more_trouble(it)
    await_settled(it)
    up_for(it, LONG_UP)
    with it.service.sees("reply_sent"):
        trouble(it)
        it.box.rebooted()
    it.answers()
    before = it.box.sh("journalctl --boot=-1 --unit=kioskd --output=json")
    restarts = [
        (int(found[1]), int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6)
        for entry in map(json.loads, before.splitlines())
        if (found := re.search(r"restart counter is at (\d+)\.", str(entry["MESSAGE"])))
    ]
    numbers, times = zip(*restarts[1 - LAST :], strict=True)
    assert numbers == tuple(range(1, LAST)), "the last was a reboot"
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[-1] > LONGEST_PAUSE_S, "ever longer"


def test_a_kiosk_on_a_read_only_disk_serves_and_reports_it(it: Site) -> None:
    with it.service.sees("reply_sent"):
        it.box.reboot(read_only=True)
    try:
        assert it.box.exec("touch", "/var/lib/kioskd/file", check=False).returncode != 0
        it.box.journal.wait("ready")
        it.answers()
        said = it.says()
        assert (said["microphone"], said["code"]) == ("working", Code.STORAGE)
        assert it.box.exec("kioskd", "status").stdout.startswith("In conversation:")
    finally:
        with it.service.sees("reply_sent"):
            it.box.reboot()
    it.serves()


def test_a_kiosk_that_starts_in_1970_reports_it_and_serves_when_the_clock_is_set(it: Site) -> None:
    [library] = it.box.sh("ls /usr/lib/*/faketime/libfaketimeMT.so.1").split()
    it.box.write(FAKE_TIME, "@1970-01-01 00:00:20\n")
    it.box.write(
        f"{PASSING}/kioskd.service.d/clock.conf",
        f"[Service]\nEnvironment=LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={FAKE_TIME}"
        " FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1\n",
    )
    try:
        it.box.sh("systemctl daemon-reload; systemctl restart kioskd")
        pid = it.box.show("MainPID")
        it.shows(f"(code {Code.CLOCK})")
        with it.service.sees("setup_complete"):
            it.box.write(FAKE_TIME, "+0\n")
        it.serves()
        assert it.box.show("MainPID") == pid
    finally:
        it.box.sh(
            f"rm {PASSING}/kioskd.service.d/clock.conf; systemctl daemon-reload; systemctl restart kioskd"
        )
    it.serves()
