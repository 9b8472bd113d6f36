"""The older Debian, with an older Python and an older systemd, gets a kiosk that serves too."""

import pytest
from tests.box.site import bare, left_out, missing

pytestmark = pytest.mark.timeout(900)


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
        it.install("--purge")
        assert it.box.exec("systemctl", "cat", "kioskd", check=False).returncode != 0
