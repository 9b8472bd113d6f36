"""A kiosk also serves on the older Debian, with its older Python and systemd."""

from itertools import pairwise
from typing import Final

import pytest
from tests.box.site import bare, left_out, missing

pytestmark = pytest.mark.timeout(900)

TROUBLE: Final = "/run/systemd/system/kioskd.service.d/trouble.conf"


def test_kiosk_with_an_optional_part_is_installed_serves_and_is_removed() -> None:
    if lacking := left_out() or missing():
        pytest.skip(lacking)
    with bare(suite="bookworm") as it:
        it.has_been_prepared(it.settings() + "microphone: {echo: cancel}\n")
        with it.service.sees("reply_sent"):
            assert "optional parts: echo" in it.install()
        assert it.box.show("Type") == "notify"
        verified = it.box.exec(
            "systemd-analyze", "verify", "--man=no", "kioskd.service", "kioskd-settled.timer"
        )
        assert verified.stdout + verified.stderr == ""
        rated = it.box.exec(
            "systemd-analyze", "security", "--no-pager", "--threshold=15", "kioskd", check=False
        )
        assert rated.returncode == 0, rated.stdout
        place = it.box.journal.now
        it.box.exec("systemctl", "reload", "kioskd")
        it.box.journal.wait("settings reloaded", since=place)
        it.box.write(TROUBLE, '[Service]\nExecStart=\nExecStart=/bin/sh -c "exit 70"\n')
        it.box.sh("systemctl daemon-reload; systemctl kill --signal=KILL kioskd")
        times = [
            int(it.box.journal.wait(f"restart counter is at {number}.", since=place)["__MONOTONIC_TIMESTAMP"])
            / 1e6
            for number in range(1, 6)
        ]
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert pauses == sorted(pauses), "ever longer"
        assert pauses[-1] > 7, "systemd waits for 300 ms, as the machine's owner has set"
        it.box.sh(f"rm {TROUBLE}; systemctl daemon-reload")
        with it.service.sees("setup_complete"):
            it.box.exec("systemctl", "restart", "kioskd")
        it.install("--purge")
        assert it.box.exec("systemctl", "cat", "kioskd", check=False).returncode != 0
