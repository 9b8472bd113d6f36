"""A kiosk is upgraded, rolled back, and removed, as the README says."""

from typing import Final

import pytest
from tests.box.site import FILES, INSTALL_S, OWNER, SETTINGS, SOURCE, Site, left_out, manual, version_of

pytestmark = pytest.mark.timeout(900)

NEWER: Final = "0.2.0"
CHECKOUT: Final = "/opt/newer"
MORE: Final = f"""\
tools:
  - {{kind: mcp, name: museum, argv: [python3, {SOURCE}/config/examples/tools-mcp-server.py],
     allow: [find_work]}}
  - {{kind: mqtt, name: lights_out, description: Puts out the lights., broker: "mqtt://127.0.0.1:1883",
     topic: lights}}
"""
"""Settings that need parts of the package which are not installed yet."""
TRAMS: Final = """\
  - {kind: python, name: next_trams, description: d, entry: next_trams}
"""
REQUIREMENTS: Final = "/etc/kioskd/requirements.txt"
"""Settings that need a package of the owner, and the file that names it."""
SECRET: Final = """\
  - {{kind: http, name: stock, description: d, url: "http://127.0.0.1/",
     headers: {{X-Key: "credential:{name}"}}}}
"""
"""Settings that need a secret, which only the owner's drop-in hands over."""
OWN: Final = "/etc/systemd/system/kioskd.service.d/own.conf"
HANDED_OVER: Final = """\
[Service]
LoadCredentialEncrypted=
LoadCredentialEncrypted=gemini-api-key
# The shop's.
LoadCredentialEncrypted = shop
"""
NEVER_WELL: Final = """\
import os, threading
from kioskd.adapters.systemd import notifier
def add_arguments(parser): parser.add_argument('--config')
def run(arguments):
    manager = notifier(os.environ)
    manager.ready()
    manager.alive()
    threading.Event().wait(1)
    return 70
"""
NEW_SETTING: Final = (
    r"sed -i 's/^class MetricsSettings(Section):/&\n    fresh: int = 0\n    \"New.\"\n/' "
    f"{CHECKOUT}/daemon/kioskd/settings/model.py"
)
"""A change after which only the newer checkout accepts a setting."""
NEW: Final = "metrics: {fresh: 1}\n"
NOTES: Final = "/opt/kioskd/my-notes"
LOSES_ITS_LINE: Final = """\
import os, pty, select, signal, subprocess
pid, line = pty.fork()
if pid == 0:
    os.execv("{source}/scripts/install.sh", ["install.sh"])
while os.readlink("/opt/kioskd/current") != "{release}":
    if select.select([line], [], [], 0.05)[0]:
        os.read(line, 4096)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    os.killpg(pid, number)
os.close(line)
subprocess.run(["flock", "/run/kioskd-install.lock", "true"], check=True)
"""
"""A script that installs at a terminal which disappears meanwhile, and waits for the installer's end."""
FAILS_ONCE: Final = """\
#!/bin/sh
[ "$1" != daemon-reload ] || [ ! -e /run/fail ] || { rm /run/fail; echo "this time not" >&2; exit 1; }
exec /usr/bin/systemctl "$@"
"""
ELSEWHERE: Final = "/srv/kiosk"
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
        f"mkdir -p {folder}; cd {SOURCE}; "
        f"cp -r pyproject.toml README.md LICENSE config daemon scripts systemd {folder};"
        f"sed -i 's/^__version__ = .*/__version__ = \"{version}\"/' {folder}/daemon/kioskd/__init__.py"
    )
    return folder


def typed(it: Site, *options: str) -> str:
    """Type the manual's line with these options in the newer checkout, and return the output."""
    [line] = [
        line
        for line in manual("operating")
        if line.partition("#")[0].split() == ["sudo", "scripts/install.sh", *options]
    ]
    done = it.types(line, source=CHECKOUT, within_s=INSTALL_S)
    assert done.returncode == 0, done.stdout
    return done.stdout


def releases(it: Site) -> list[str]:
    """Return the names of the kept releases, and check the rest of their folder."""
    found = it.box.sh("ls /opt/kioskd").split()
    assert found[-3:] == ["current", "my-notes", "previous"]
    assert it.box.read(f"{NOTES}/todo") == "mine\n"
    return found[:-3]


def test_an_unknown_optional_part_is_refused_at_once(it: Site) -> None:
    printed = it.install("--extras", "rehersal,echo foo", succeeds=False)
    assert printed.startswith("install: --extras: there is no optional part foo,rehersal; there are ")
    assert "rehearsal" in printed
    assert len(printed.splitlines()) == 1


def test_an_upgrade_installs_newly_needed_parts_and_keeps_the_old_release(
    it: Site,
) -> None:
    newer(it, CHECKOUT, NEWER)
    it.box.sh(NEW_SETTING)
    # The upgrading user has a strict umask, has upgraded before, and has other files beside the releases.
    it.box.sh(f"echo umask 077 >> ~{OWNER}/.profile; chmod 700 /opt/kioskd")
    it.box.write(f"{NOTES}/todo", "mine\n")
    assert "0077" in it.types("sudo sh -c umask").stdout
    it.box.sh("systemd-creds encrypt --name=shop - /etc/credstore.encrypted/shop", given="sesame")
    it.box.write(OWN, HANDED_OVER)
    it.box.write(REQUIREMENTS, f"{SOURCE}/config/examples/tools-python\n")
    wanted = it.settings() + MORE + TRAMS + SECRET.format(name="shop")
    it.box.write(SETTINGS, wanted)
    with it.service.sees("setup_complete"):
        printed = typed(it)
    assert "optional parts: mcp,mqtt,watch" in printed
    assert f"{NEWER}-2 serves" in printed
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {NEWER}"
    assert releases(it) == [f"{version_of()}-1", f"{NEWER}-2"]
    assert it.box.read(SETTINGS) == wanted
    it.box.write(SETTINGS, it.settings() + MORE + TRAMS)  # A command by hand has no secrets of the unit.
    listed = it.box.exec("kioskd", "tools", "list").stdout
    assert "find_work" in listed
    assert "lights_out" in listed
    assert "next_trams" in listed
    it.box.write(SETTINGS, it.settings())
    it.box.sh(f"rm {REQUIREMENTS}")


def test_the_upgrading_user_can_read_the_result_and_holds_no_lock(it: Site) -> None:
    assert f"{NEWER}-2 serves" in it.types("cat /run/kioskd-install.log").stdout
    assert it.types("flock --nonblock /run/kioskd-install.lock true").returncode != 0
    assert it.box.sh("stat -c '%U %a' /run/kioskd-install.lock") == "root 600\n"


def test_a_checkout_that_others_can_change_is_not_installed_from(it: Site) -> None:
    it.box.sh(f"chmod o+w {CHECKOUT}/daemon/kioskd/cli")
    printed = it.install(source=CHECKOUT, succeeds=False)
    it.box.sh(f"chmod o-w {CHECKOUT}/daemon/kioskd/cli")
    assert printed.startswith(f"install: {CHECKOUT}/daemon/kioskd/cli can be changed by every user")
    assert len(printed.splitlines()) == 1


def test_a_release_that_does_not_serve_is_removed_again(it: Site) -> None:
    folder = newer(it, "/opt/broken", "0.3.0")
    it.box.write(f"{folder}/daemon/kioskd/cli/run.py", NEVER_WELL)
    printed = it.install(source=folder, succeeds=False)
    assert f"went back to {NEWER}-2" in printed
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {NEWER}"
    assert it.box.show("ActiveState") == "active"


def test_a_release_that_does_not_serve_is_removed_although_the_terminal_is_gone(it: Site) -> None:
    lost = LOSES_ITS_LINE.format(source="/opt/broken", release="/opt/kioskd/0.3.0-3")
    it.box.exec("python3", "-c", lost, within_s=INSTALL_S)
    assert f"went back to {NEWER}-2" in it.box.read("/run/kioskd-install.log")
    assert releases(it) == [f"{version_of()}-1", f"{NEWER}-2"]
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {NEWER}"
    it.serves()


@pytest.mark.skipif(left_out() is not None, reason=left_out() or "")
def test_a_step_that_fails_during_the_switch_is_undone(it: Site) -> None:
    it.box.write("/usr/local/sbin/systemctl", FAILS_ONCE, mode="755")
    it.box.sh("touch /run/fail")
    printed = it.install(succeeds=False)
    it.box.sh("rm /usr/local/sbin/systemctl")
    assert "this time not" in printed
    assert f"went back to {NEWER}-2" in printed
    assert releases(it) == [f"{version_of()}-1", f"{NEWER}-2"]
    it.serves()


@pytest.mark.skipif(left_out() is not None, reason=left_out() or "")
def test_a_release_that_rejects_the_settings_is_not_installed_and_an_unusable_camera_is_reported(
    it: Site,
) -> None:
    it.box.sh(EMPTY_PACKAGE, given=PICAMERA2)
    pid = it.box.show("MainPID")
    it.box.write(
        SETTINGS,
        it.settings().replace('"v4l2:Front"', "'picamera'") + "tools:\n" + SECRET.format(name="museum"),
    )
    printed = it.install(succeeds=False)
    it.box.write(SETTINGS, it.settings())
    assert "picamera2 is installed, and does not work (ModuleNotFoundError" in printed
    assert f"{SETTINGS}:9:" in printed
    assert "add [Service] LoadCredentialEncrypted=museum" in printed
    assert it.box.show("MainPID") == pid


def test_the_previous_release_is_restored_on_request(it: Site) -> None:
    assert f"{version_of()}-1 serves" in typed(it, "--rollback")
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {version_of()}"
    assert f"{NEWER}-2 serves" in typed(it, "--rollback")


def test_a_previous_release_that_rejects_the_settings_is_not_restored(it: Site) -> None:
    pid = it.box.show("MainPID")
    it.box.write(SETTINGS, it.settings() + NEW)
    printed = it.install("--rollback", source=CHECKOUT, succeeds=False)
    assert f"{SETTINGS}:8:" in printed
    assert f"{version_of()}-1 rejects {SETTINGS}" in printed
    assert it.box.show("MainPID") == pid
    assert it.box.exec("kioskd", "--version").stdout.strip() == f"kioskd {NEWER}"


def test_a_release_that_rejects_the_settings_does_not_replace_a_stopped_one_that_accepts_them(
    it: Site,
) -> None:
    it.box.exec("systemctl", "stop", "kioskd")
    printed = it.install(succeeds=False)
    assert f"{version_of()}-3 rejects {SETTINGS}" in printed
    assert f"{NEWER}-2 stays" in printed
    assert releases(it) == [f"{version_of()}-1", f"{NEWER}-2"]
    it.box.exec("systemctl", "start", "kioskd")
    it.serves()
    it.box.write(SETTINGS, it.settings())


def test_a_previous_release_that_does_not_serve_is_replaced_by_the_one_that_did(it: Site) -> None:
    [program] = it.box.sh(f"echo /opt/kioskd/{version_of()}-1/lib/*/site-packages/kioskd/cli/run.py").split()
    it.box.write(program, NEVER_WELL)
    printed = it.install("--rollback", source=CHECKOUT, succeeds=False)
    assert f"{version_of()}-1 does not serve" in printed
    assert f"went back to {NEWER}-2, which serves" in printed
    assert releases(it) == [f"{version_of()}-1", f"{NEWER}-2"]
    assert it.box.sh("readlink /opt/kioskd/previous").strip() == f"/opt/kioskd/{version_of()}-1"
    it.serves()


def test_uninstalling_leaves_the_owners_files(it: Site, files_before: set[str]) -> None:
    printed = typed(it, "--uninstall")
    assert "/opt/kioskd: files that do not belong to kioskd stay here" in printed
    assert "the program is removed; your files stay: /etc/kioskd /var/lib/kioskd" in printed
    assert it.box.sh("find /opt/kioskd").split() == ["/opt/kioskd", NOTES, f"{NOTES}/todo"]
    it.box.sh("rm -r /opt/kioskd")
    ours = (
        "/etc/kioskd",
        "/var/lib/kioskd",
        "/etc/systemd/system/kioskd.service.d",
        "/etc/credstore.encrypted",
    )
    assert [path for path in left_behind(it, files_before) if not path.startswith(ours)] == []
    assert it.box.read(SETTINGS) == it.settings()
    assert it.box.exec("systemctl", "cat", "kioskd", check=False).returncode != 0


def test_a_checkout_in_the_folder_of_releases_is_refused_and_never_removed(it: Site) -> None:
    it.box.sh(f"cp -r {CHECKOUT} /opt/kioskd")
    before = it.box.sh("find /opt/kioskd")
    assert "/opt/kioskd: /opt/kioskd is the folder of the releases" in it.install(
        source="/opt/kioskd", succeeds=False
    )
    it.install("--uninstall", source="/opt/kioskd")
    assert it.box.sh("find /opt/kioskd") == before
    it.box.sh("rm -r /opt/kioskd")


def test_purging_leaves_only_records_in_the_owners_folder_and_names_it(
    it: Site, files_before: set[str]
) -> None:
    it.box.sh(
        f"install -d -m 700 -o kioskd {ELSEWHERE}; install -m 600 -o kioskd /dev/null {ELSEWHERE}/words.txt"
    )
    secrets = ("/srv/own-key", "/etc/credstore.encrypted/shop")
    it.box.sh(
        f"install -m 600 /dev/null {secrets[0]}; echo 'service: {{key_file: {secrets[0]}}}' > {SETTINGS}"
    )
    it.box.sh(f"usermod -aG kioskd {OWNER}")
    printed = typed(it, "--purge")
    assert f"{ELSEWHERE}: transcripts, recordings or other files of kioskd stay here" in printed
    assert "not removed because" not in printed
    for part in (
        "/etc/kioskd",
        "/var/lib/kioskd",
        "/etc/credstore.encrypted/gemini-api-key",
        "the user kioskd",
    ):
        assert part in printed
    assert "the program" not in printed, "it was uninstalled before"
    assert "no part of kioskd was here" in it.install("--purge", source=CHECKOUT)
    for secret in secrets:
        assert f"{secret}: this secret, which the settings or the unit named, stays" in printed
        it.box.sh(f"rm {secret}")
    assert it.box.sh(f"stat -c %U {ELSEWHERE} {ELSEWHERE}/words.txt").split() == ["root", "root"]
    it.box.sh(f"rm -r {ELSEWHERE}")
    assert left_behind(it, files_before) == []
    assert "kioskd" not in it.box.read("/etc/passwd") + it.box.read("/etc/group")


def left_behind(it: Site, files_before: set[str]) -> list[str]:
    """Return new files of the machine, without those of Debian packages and accounts."""
    accounts = (
        *("/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/cache/debconf"),
        "/var/backups",  # of dpkg's, at midnight
        "/var/lib/systemd/credential.secret",  # the machine's own, for all credentials
    )
    known = files_before | set(it.box.sh("cat /var/lib/dpkg/info/*.list").splitlines())
    found = it.box.sh(FILES).splitlines()
    return [path for path in found if path not in known and not path.startswith(accounts)]
