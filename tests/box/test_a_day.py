"""A day of a kiosk: all states that its operator reads are true, in all places, and end in time."""

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from tests.box.installed import Installed, start
from tests.box.site import GREETING, HARMLESS, LAMP, SETTINGS, Service, Site, bare, left_out
from tests.box.test_operating import MOUNT, STATE, lights

from kioskd.core.effects import KioskStatus
from kioskd.errors import Code
from kioskd.flow.reporting.journal import STATUS, WRONG
from kioskd.simulator import ServiceScript

pytestmark = pytest.mark.timeout(900)

DROP_IN: Final = "/run/systemd/system/kioskd.service.d/clock.conf"
FAKE_TIME: Final = "/run/time"
ROOM: Final = "mount -o remount,size={size} " + STATE
SAYS_OF_TROUBLE: Final = re.compile(r"(out of order|closed|in order again|open again): code=(\w\d)\b")


@dataclass(frozen=True, slots=True)
class Day:
    """The kiosk, and all places where an operator reads its state."""

    it: Site

    def settings(self, limits: str = "", *, endpoint: str | None = None, ca_file: str = "ca.pem") -> str:
        """Return the YAML of a kiosk that sleeps until it is woken, with these limits."""
        service = endpoint or self.it.service.simulator.endpoint
        return (
            f'service: {{endpoint: "{service}", ca_file: {ca_file}}}\n'
            f"assistant: {{greeting: {GREETING}}}\n"
            "conversation: {wake: [remote], idle_s: 3600, longest_s: 3600}\n"
            "speaker: {volume: 100}\n"
            f'controls: {{lamp: {{command: [/bin/sh, -c, "echo $0 $KIOSKD_CODE > {LAMP}"]}}}}\n'
            f"limits: {{{limits}}}\n"
        )

    def takes(self, settings: str) -> None:
        """Make the daemon reload other settings."""
        self.it.box.write(SETTINGS, settings)
        self.it.box.exec("kioskd", "reload")

    def wakes(self) -> None:
        """Wake the kiosk, and wait until it has greeted the visitor."""
        with self.it.service.sees("reply_sent"):
            self.it.box.exec("kioskd", "wake")
        self.it.shows(STATUS[KioskStatus.LISTENING])

    def journal(self) -> list[str]:
        """Return the daemon's lines in the journal since the last call."""
        self.it.box.exec("journalctl", "--sync")
        said = self.it.box.exec("journalctl", "-u", "kioskd", "-o", "cat", "-q", "--cursor-file=/run/read")
        return said.stdout.splitlines()

    def tells(
        self,
        shown: KioskStatus,
        *wrong: Code,
        news: Sequence[str] = (),
        doctor: Sequence[str] = (),
        words: str = "",
    ) -> None:
        """Check that each place shows this state and these faults, and no others.

        `news`: lines of the journal about begins and ends since the last call. `doctor`: the faults that
        doctor finds. `words`: words in the status, by default those of the state and of each fault.
        """
        it = self.it
        codes = [str(code) for code in wrong]
        it.shows(words or f"(code {wrong[0]})" if wrong else STATUS[shown])
        lights(it, " ".join([shown, *codes[:1]]))
        status, said = it.box.exec("kioskd", "status").stdout, it.says()
        assert status.startswith(it.box.show("StatusText"))
        assert (said["state"], [one["code"] for one in said["troubles"]]) == (shown, codes), said
        assert said["words"].startswith(STATUS[shown].partition(",")[0]), said
        for code in Code:
            assert (WRONG[code] in said["words"]) is (code in wrong), said["words"]
        assert said["muted"] is (shown is KioskStatus.MUTED), said
        figures = dict(
            re.findall(r'^kioskd_(?:state|fault){\w+="(\w+)"} (\S+)$', self.metrics(), re.MULTILINE)
        )
        assert {name for name, value in figures.items() if float(value)} == {shown, *codes}
        told = [" ".join(found) for found in SAYS_OF_TROUBLE.findall("\n".join(self.journal()))]
        assert sorted(told) == sorted(news)
        assert it.doctor() == HARMLESS | set(doctor)

    def metrics(self) -> str:
        """Return the metrics for Prometheus, also without a network."""
        return self.it.box.exec("kioskd", "status", "--prometheus").stdout


@pytest.fixture(scope="module")
def day(installed: Installed) -> Iterator[Day]:
    """Return a kiosk with its state in its own folder, and a clock that can be set."""
    if slow := left_out():
        pytest.skip(slow)
    with bare(layer=installed.layer) as it:
        day = Day(it)
        it.has_been_prepared(day.settings())
        [library] = it.box.sh("ls /usr/lib/*/faketime/libfaketimeMT.so.1").split()
        it.box.write(FAKE_TIME, "+0\n")
        it.box.write(
            DROP_IN,
            f"[Service]\nEnvironment=LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={FAKE_TIME}"
            " FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1\n",
        )
        it.box.sh(MOUNT.format(options="size=1g", where=STATE))
        start(it)
        it.shows(STATUS[KioskStatus.ASLEEP])
        day.journal()
        yield day


def test_the_kiosk_is_ready_in_the_morning(day: Day) -> None:
    day.tells(KioskStatus.ASLEEP)


def test_a_restart_in_mid_conversation(day: Day) -> None:
    box = day.it.box
    day.wakes()
    day.tells(KioskStatus.LISTENING)
    box.exec("systemctl", "restart", "kioskd")
    day.tells(KioskStatus.LISTENING)
    assert day.it.says()["counts"]["kioskd_conversations"] == {"restart": 1}
    box.exec("kioskd", "sleep")
    day.tells(KioskStatus.ASLEEP)


def test_a_stop(day: Day) -> None:
    box = day.it.box
    box.exec("systemctl", "stop", "kioskd")
    assert box.show("StatusText") == "Was told to stop"
    asked = box.exec("kioskd", "status", check=False)
    assert (asked.returncode, asked.stdout) == (69, "")
    assert "sudo systemctl start kioskd" in asked.stderr
    assert {"stopping: cause=SIGTERM", "stopped"} <= set(day.journal())
    box.exec("systemctl", "start", "kioskd")
    day.tells(KioskStatus.ASLEEP)


def test_a_network_that_is_lost(day: Day) -> None:
    day.it.network.lose_the_way()
    try:
        day.it.box.exec("kioskd", "wake")
        day.tells(KioskStatus.OFFLINE, Code.WAY, news=["out of order W1"], doctor=["not-reached"])
        day.it.box.exec("kioskd", "sleep")
        last = "Asleep; at the last try: the service cannot be reached; check the network (code W1)"
        day.tells(KioskStatus.ASLEEP, Code.WAY, doctor=["not-reached"], words=last)
    finally:
        day.it.network.find_the_way()
    day.wakes()  # its network is loopback, whose changes do not count
    day.tells(KioskStatus.LISTENING, news=["in order again W1"])
    day.it.box.exec("kioskd", "sleep")
    day.tells(KioskStatus.ASLEEP)


@pytest.mark.parametrize(
    ("device", "code", "fault"),
    [("mic", Code.MICROPHONE, "microphone-missing"), ("spk", Code.SPEAKER, "speaker-missing")],
)
def test_a_device_that_is_pulled(day: Day, device: str, code: Code, fault: str) -> None:
    day.it.sound.unplug(device)  # type: ignore[arg-type]
    try:
        day.tells(KioskStatus.FAULT, code, news=[f"out of order {code}"], doctor=[fault])
    finally:
        day.it.sound.replug(device)  # type: ignore[arg-type]
    day.tells(KioskStatus.ASLEEP, news=[f"in order again {code}"])


def test_a_disk_that_is_full(day: Day) -> None:
    box = day.it.box
    box.sh(f"{ROOM.format(size='64k')}; head -c 64k /dev/zero > {STATE}/filler || true")
    try:
        box.exec("kioskd", "volume", "90")
        day.tells(KioskStatus.ASLEEP, Code.STORAGE, news=["out of order S1"], doctor=["disk-full"])
    finally:
        box.sh(f"rm {STATE}/filler; {ROOM.format(size='1g')}")
    day.it.shows(STATUS[KioskStatus.ASLEEP])
    day.tells(KioskStatus.ASLEEP, news=["in order again S1"])
    assert '"volume": 90' in box.read(f"{STATE}/preferences.json")


def test_a_clock_that_is_wrong(day: Day) -> None:
    with Service(ServiceScript(certificate="not_yet_valid", key=day.it.service.simulator.key)) as early:
        day.it.box.write("/etc/kioskd/early.pem", early.simulator.ca_file.read_text())
        day.takes(day.settings(endpoint=early.simulator.endpoint, ca_file="early.pem"))
        try:
            day.tells(KioskStatus.ASLEEP, doctor=["certificate-out-of-time"])
            day.it.box.exec("kioskd", "wake")
            day.tells(
                KioskStatus.OFFLINE, Code.CLOCK, news=["out of order W4"], doctor=["certificate-out-of-time"]
            )
            day.it.box.exec("kioskd", "sleep")
            day.tells(KioskStatus.ASLEEP, Code.CLOCK, doctor=["certificate-out-of-time"])
        finally:
            day.takes(day.settings())
    day.tells(KioskStatus.ASLEEP, news=["in order again W4"])


def test_muted(day: Day) -> None:
    day.it.box.exec("kioskd", "mute")
    day.tells(KioskStatus.MUTED)
    day.it.box.exec("kioskd", "unmute")
    day.tells(KioskStatus.ASLEEP)


def test_quiet_hours(day: Day) -> None:
    now = datetime.datetime.now(datetime.UTC)
    hours = [f"{(now + datetime.timedelta(hours=ahead)):%H:00}" for ahead in (-1, 2)]
    day.takes(day.settings(f'quiet_hours: ["{"-".join(hours)}"]'))
    closed = f"Closed: quiet hours; it opens at {hours[1]} (code B2)"
    day.tells(KioskStatus.CLOSED, Code.HOURS, news=["closed B2"], words=closed)
    refused = day.it.box.exec("kioskd", "wake", check=False)
    assert (refused.returncode, hours[1] in refused.stderr) == (1, True), refused
    day.takes(day.settings())
    day.tells(KioskStatus.ASLEEP, news=["open again B2"])


def test_a_budget_that_is_spent_and_a_clock_that_is_set(day: Day) -> None:
    closed = "Closed: today's budget is spent; it opens at {} (code B1)"
    day.wakes()
    day.it.box.exec("kioskd", "sleep")
    day.takes(day.settings("tokens_per_day: 1"))
    day.tells(KioskStatus.CLOSED, Code.BUDGET, news=["closed B1"], words=closed.format("00:00"))
    day.it.box.write(FAKE_TIME, "+5h\n")
    day.tells(KioskStatus.CLOSED, Code.BUDGET, words=closed.format("05:00"))
    day.it.box.write(FAKE_TIME, "+0\n")
    day.tells(KioskStatus.CLOSED, Code.BUDGET, words=closed.format("00:00"))
    day.takes(day.settings())
    day.tells(KioskStatus.ASLEEP, news=["open again B1"])
