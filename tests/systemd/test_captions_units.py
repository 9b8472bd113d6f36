"""The examples for captions' screens: the unit of the browser, and the drop-in for a terminal."""

import re
import shutil
from pathlib import Path

from tests.systemd.test_unit import FOLDER, needs_systemd_analyze, systemd_analyze

EXAMPLES = FOLDER.parent / "config" / "examples"


@needs_systemd_analyze
def test_systemd_accepts_the_unit_of_the_browser(tmp_path: Path) -> None:
    text = (EXAMPLES / "captions-browser.service").read_text()
    installed = tmp_path / "captions-browser.service"
    installed.write_text(text.replace("/usr/bin/cage ", "/bin/true "))
    verified = systemd_analyze("verify", "--man=no", installed)
    assert (verified.returncode, verified.stderr) == (0, "")


@needs_systemd_analyze
def test_systemd_accepts_the_drop_in_for_a_terminal(tmp_path: Path) -> None:
    unit = tmp_path / "kioskd.service"
    text = (FOLDER / "kioskd.service").read_text()
    unit.write_text(re.sub(r"=/opt/kioskd/current/bin/kioskd ", "=/bin/true ", text))
    (tmp_path / "kioskd.service.d").mkdir()
    shutil.copy(EXAMPLES / "captions-terminal.conf", tmp_path / "kioskd.service.d")
    verified = systemd_analyze("verify", "--man=no", unit)
    assert "captions-terminal.conf" not in verified.stderr
    assert verified.returncode == 0


def test_the_browser_reaches_this_machine_alone() -> None:
    lines = (EXAMPLES / "captions-browser.service").read_text().splitlines()
    assert {"IPAddressDeny=any", "IPAddressAllow=localhost", "NoNewPrivileges=yes"} <= set(lines)
