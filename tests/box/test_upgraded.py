"""A kiosk is upgraded, put back, and removed. The last tests of their machine."""

from typing import Final

import pytest
from tests.box.site import FILES, SETTINGS, SOURCE, Site, left_out, version_of

pytestmark = pytest.mark.timeout(900)

NEWER: Final = "0.2.0"


def newer(it: Site, folder: str, version: str) -> str:
    """Make a checkout of another version in the machine, and return its folder."""
    it.box.sh(
        f"mkdir -p {folder}; cd {SOURCE}; cp -r pyproject.toml README.md LICENSE config daemon scripts systemd {folder};"
        f"sed -i 's/^__version__ = .*/__version__ = \"{version}\"/' {folder}/daemon/kioskd/__init__.py"
    )
    return folder


def test_an_upgrade_is_put_in_and_the_release_before_kept(it: Site) -> None:
    folder = newer(it, "/opt/newer", NEWER)
    with it.service.sees("setup_complete"):
        printed = it.install(source=folder)
    assert f"{NEWER}-2 serves" in printed
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {NEWER}"
    assert it.box.read(SETTINGS) == it.settings()


def test_a_release_that_does_not_serve_is_taken_out_again(it: Site) -> None:
    folder = newer(it, "/opt/broken", "0.3.0")
    it.box.write(
        f"{folder}/daemon/kioskd/cli/run.py",
        "import os, threading\n"
        "from kioskd.adapters.systemd import notifier\n"
        "def add_arguments(parser): parser.add_argument('--config')\n"
        "def run(arguments):\n"
        "    manager = notifier(os.environ)\n"
        "    manager.ready()\n"
        "    manager.alive()\n"
        "    threading.Event().wait(1)\n"
        "    return 70\n",
    )
    printed = it.install(source=folder, succeeds=False)
    assert f"went back to {NEWER}-2" in printed
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {NEWER}"
    assert it.box.show("ActiveState") == "active"


@pytest.mark.skipif(left_out() is not None, reason=left_out() or "")
def test_settings_that_a_release_refuses_keep_it_out(it: Site) -> None:
    pid = it.box.show("MainPID")
    with it.misspelt():
        printed = it.install(succeeds=False)
    assert f"{SETTINGS}:5:" in printed
    assert it.box.show("MainPID") == pid


def test_the_release_before_comes_back_by_request(it: Site) -> None:
    assert f"{version_of()}-1 serves" in it.install("--rollback")
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {version_of()}"
    assert f"{NEWER}-2 serves" in it.install("--rollback")


def test_uninstalling_leaves_what_is_the_owners(it: Site, files_before: set[str]) -> None:
    it.install("--uninstall")
    ours = (
        "/etc/kioskd",
        "/var/lib/kioskd",
        "/etc/systemd/system/kioskd.service.d",
        "/etc/credstore.encrypted",
    )
    assert [path for path in left_behind(it, files_before) if not path.startswith(ours)] == []
    assert it.box.read(SETTINGS) == it.settings()
    assert it.box.exec("systemctl", "cat", "kioskd", check=False).returncode != 0


def test_purging_leaves_nothing(it: Site, files_before: set[str]) -> None:
    it.install("--purge")
    assert left_behind(it, files_before) == []
    assert "kioskd" not in it.box.read("/etc/passwd") + it.box.read("/etc/group")


def left_behind(it: Site, files_before: set[str]) -> list[str]:
    """Return what is there and was not, but for what came with a Debian package, and Debian's account of it."""
    accounts = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/cache/debconf")
    known = files_before | set(it.box.sh("cat /var/lib/dpkg/info/*.list").splitlines())
    found = it.box.sh(FILES).splitlines()
    return [path for path in found if path not in known and not path.startswith(accounts)]
