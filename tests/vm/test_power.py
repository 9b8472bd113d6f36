"""The kiosk serves again after a power cut, with a read-only disk, a wrong clock and too little memory."""

import itertools
import json
from typing import Final

import pytest
from tests.vm.installed import GUEST
from tests.vm.kiosk import Kiosk

CUTS: Final = 3
ROUNDS: Final = 20
"""Number of writes before the first power cut; each later cut has more."""
STATE: Final = "/var/lib/kioskd"
RELEASE_PYTHON: Final = "/opt/kioskd/current/bin/python"
YEAR_1970: Final = "1970-01-02T00:00:00"


def test_a_power_cut_in_mid_conversation_leaves_a_kiosk_that_serves(here: Kiosk) -> None:
    here.wakes()
    here.speaks()
    here.machine.power_cut()
    here.starts()
    here.shows("Asleep")
    here.wakes()
    here.answers()
    here.sleeps()


@pytest.mark.parametrize("cut", range(1, CUTS + 1))
def test_a_file_is_whole_after_a_power_cut_in_mid_write(here: Kiosk, cut: int) -> None:
    here.machine.sh("systemctl stop kioskd; install -d -o kioskd /var/lib/written")
    with here.machine.running(
        "runuser", "-u", "kioskd", RELEASE_PYTHON, f"{GUEST}/writer.py", "/var/lib/written"
    ) as writer:
        assert writer.stdout
        *_, said = itertools.islice(writer.stdout, ROUNDS * cut)
        here.machine.kill()
    here.machine.boot()
    for name in ("preferences", "budget"):
        written = json.loads(here.machine.read(f"/var/lib/written/{name}.json"))
        assert written["number"] >= int(said)
        assert written["filling"] == "x" * (written["number"] % 5000)


def test_with_a_read_only_root_it_serves_and_names_what_it_cannot_store(here: Kiosk) -> None:
    here.machine.stop()
    here.machine.boot(read_only=True)
    assert here.machine.exec("touch", "/etc/there", check=False).returncode != 0
    here.starts()
    here.shows("Asleep")
    here.wakes()
    here.answers()
    here.sleeps()


def test_in_1970_it_waits_for_the_time_and_then_serves(here: Kiosk) -> None:
    today = here.machine.exec("date", "+%s").stdout.strip()
    here.machine.power_cut(clock=YEAR_1970)
    here.starts()
    here.shows("Asleep")
    here.press()
    here.shows("clock is not set")
    here.machine.exec("date", "--set", f"@{today}")
    here.shows("In conversation: listening")
    here.answers()
    here.sleeps()


def test_more_memory_than_the_unit_may_have_ends_in_a_restart(here: Kiosk) -> None:
    most = int(here.machine.show("MemoryMax"))
    total = int(here.machine.exec("awk", "/MemTotal/ { print $2 }", "/proc/meminfo").stdout) * 1024
    assert most == pytest.approx(0.6 * total, rel=0.01)
    place = here.machine.journal.now
    here.machine.sh(
        "echo $$ > /sys/fs/cgroup/system.slice/kioskd.service/cgroup.procs;"
        f" exec python3 -c 'b\"x\" * {most}'",
        check=False,
    )
    here.machine.journal.wait("Failed with result 'oom-kill'", since=place, within_s=here.machine.patience_s)
    here.starts()
    here.shows("Asleep")
    here.wakes()
    here.answers()
    here.sleeps()
