"""Effects of scripts/setup on a machine, and things that it leaves unchanged."""

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest
from tests.box.site import OWNER, SOURCE, left_out, readme
from tests.support import rootfs
from tests.support.box import Box
from tests.support.rootfs import CHECKOUT, Suite

pytestmark = pytest.mark.timeout(900)

LONGEST_S: Final = 600.0
SERVICES: Final = """\
systemctl list-unit-files --no-legend --no-pager --state=enabled | awk '{print $1}'
systemctl list-units --no-legend --no-pager --plain --type=service,socket --state=running,listening |
  awk '{print $1}'
find /etc/systemd/user -type l
"""
COPY: Final = f"""\
useradd --create-home --shell /bin/bash --groups sudo {OWNER}
echo '{OWNER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/here
mkdir ~{OWNER}/kioskd; cd {SOURCE}
cp -r pyproject.toml README.md LICENSE config daemon scripts systemd ~{OWNER}/kioskd
chown -R {OWNER}: ~{OWNER}
"""


@contextlib.contextmanager
def machine(suite: Suite) -> Iterator[Box]:
    """Yield a machine that can reach the Debian mirror and the package index."""
    if lacking := rootfs.missing():
        pytest.skip(lacking)
    if suite == "bookworm" and (slow := left_out()):
        pytest.skip(slow)
    with Box(rootfs.rootfs("plain", suite), read_only={CHECKOUT: SOURCE}, online=True) as box:
        yield box


@pytest.mark.parametrize("suite", ["trixie", "bookworm"])
def test_packages_for_tests_leave_no_service_running_and_none_enabled(suite: Suite) -> None:
    with machine(suite) as box:
        before = box.sh(SERVICES)
        packages = "mosquitto nftables pulseaudio systemd-container"
        printed = box.sh(f"{SOURCE}/scripts/debian-packages {packages} 2>&1", within_s=LONGEST_S)
        assert box.sh(SERVICES) == before
        assert "mosquitto.service came with them, and was not enabled" in printed
        [brought] = [line for line in printed.splitlines() if line.startswith("setup: installed: ")]
        assert set(packages.split()) <= {one.partition(":")[0] for one in brought.split()}
        assert f"sudo apt-get autoremove --purge {packages}" in printed
        assert box.sh("ls /usr/sbin/policy-rc.d || true") == ""
        assert box.sh(f"{SOURCE}/scripts/debian-packages {packages} 2>&1") == ""


def test_a_service_that_was_there_before_is_left_alone() -> None:
    with machine("trixie") as box:
        box.sh("apt-get install -q=2 -y --no-install-recommends mosquitto 2>&1", within_s=LONGEST_S)
        box.sh(f"{SOURCE}/scripts/debian-packages mosquitto nftables 2>&1", within_s=LONGEST_S)
        assert box.sh("systemctl is-active mosquitto; systemctl is-enabled mosquitto") == "active\nenabled\n"


def test_the_demo_installs_its_packages_and_no_service_for_a_user_with_sudo() -> None:
    if slow := left_out():
        pytest.skip(slow)
    with machine("trixie") as box:
        box.sh(COPY)
        before = box.sh(SERVICES)
        demo, _tests = readme("Two commands")
        command = [
            "runuser",
            "-u",
            OWNER,
            "--",
            "bash",
            "-c",
            f"cd ~{OWNER}/kioskd && HOME=~{OWNER} {demo} 2>&1",
        ]
        printed = box.exec(*command, within_s=LONGEST_S).stdout
        assert "uplink_lost_ms is 0: 0" in printed
        assert box.sh(SERVICES) == before
        there = box.sh("dpkg-query -W -f '${Package} ${db:Status-Status}\\n'")
        for package in ("mosquitto", "nftables", "mmdebstrap", "systemd-container", "pulseaudio"):
            assert f"{package} installed\n" not in there
