"""A kiosk is upgraded, put back, and removed, as the README says. The last tests of their machine."""

from typing import Final

import pytest
from tests.box.site import FILES, INSTALL_S, SETTINGS, SOURCE, Site, left_out, readme, version_of

pytestmark = pytest.mark.timeout(900)

NEWER: Final = "0.2.0"
CHECKOUT: Final = "/opt/newer"
MORE: Final = f"""\
tools:
  - {{kind: mcp, name: museum, argv: [python3, {SOURCE}/config/examples/tools-mcp-server.py], allow: [find_work]}}
  - {{kind: mqtt, name: lights_out, description: Puts out the lights., broker: "mqtt://127.0.0.1:1883", topic: lights}}
"""
"""What needs parts of the package that are not installed yet."""
EMPTY_PACKAGE: Final = """\
mkdir -p /run/package/DEBIAN
cat > /run/package/DEBIAN/control
dpkg-deb --build /run/package /run/package.deb
dpkg --install /run/package.deb
"""
PICAMERA2: Final = """\
Package: python3-picamera2
Version: 0
Architecture: all
Maintainer: Nobody <nobody@example.com>
Description: a camera that cannot be imported
"""


def newer(it: Site, folder: str, version: str) -> str:
    """Make a checkout of another version in the machine, and return its folder."""
    it.box.sh(
        f"mkdir -p {folder}; cd {SOURCE}; cp -r pyproject.toml README.md LICENSE config daemon scripts systemd {folder};"
        f"sed -i 's/^__version__ = .*/__version__ = \"{version}\"/' {folder}/daemon/kioskd/__init__.py"
    )
    return folder


def typed(it: Site, *options: str) -> str:
    """Type the README's line with these options in the newer checkout, and return what was seen."""
    [line] = [
        line
        for line in readme("Operating")
        if line.partition("#")[0].split() == ["sudo", "scripts/install.sh", *options]
    ]
    done = it.types(line, source=CHECKOUT, within_s=INSTALL_S)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_an_upgrade_is_put_in_with_what_the_settings_need_by_now_and_the_release_before_kept(
    it: Site,
) -> None:
    newer(it, CHECKOUT, NEWER)
    it.box.write(SETTINGS, it.settings() + MORE)
    with it.service.sees("setup_complete"):
        printed = typed(it)
    assert "optional parts: mcp,mqtt,watch" in printed
    assert f"{NEWER}-2 serves" in printed
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {NEWER}"
    assert it.box.read(SETTINGS) == it.settings() + MORE
    listed = it.box.exec("kioskd", "tools", "list").stdout
    assert "find_work" in listed
    assert "lights_out" in listed
    it.box.write(SETTINGS, it.settings())


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
def test_settings_that_a_release_refuses_keep_it_out_and_a_camera_that_cannot_be_used_is_told(
    it: Site,
) -> None:
    it.box.sh(EMPTY_PACKAGE, given=PICAMERA2)
    pid = it.box.show("MainPID")
    with it.misspelt():
        it.box.sh(f"sed -i 's/v4l2:Front/picamera/' {SETTINGS}")
        printed = it.install(succeeds=False)
    assert "picamera2 is installed and cannot be used (ModuleNotFoundError" in printed
    assert f"{SETTINGS}:5:" in printed
    assert it.box.show("MainPID") == pid


def test_the_release_before_comes_back_by_request(it: Site) -> None:
    assert f"{version_of()}-1 serves" in typed(it, "--rollback")
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {version_of()}"
    assert f"{NEWER}-2 serves" in typed(it, "--rollback")


def test_uninstalling_leaves_what_is_the_owners(it: Site, files_before: set[str]) -> None:
    typed(it, "--uninstall")
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
    typed(it, "--purge")
    assert left_behind(it, files_before) == []
    assert "kioskd" not in it.box.read("/etc/passwd") + it.box.read("/etc/group")


def left_behind(it: Site, files_before: set[str]) -> list[str]:
    """Return what is there and was not, but for what came with a Debian package, and accounts of Debian's and systemd's."""
    accounts = (
        *("/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/cache/debconf"),
        "/var/lib/systemd/credential.secret",  # the machine's own, for all credentials
    )
    known = files_before | set(it.box.sh("cat /var/lib/dpkg/info/*.list").splitlines())
    found = it.box.sh(FILES).splitlines()
    return [path for path in found if path not in known and not path.startswith(accounts)]
