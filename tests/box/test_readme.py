"""Each block of the README is typed on a machine where kioskd was installed by the README's own lines.

The lines come from the README itself. A new block fails a test until it has a place where it is typed.
"""

import re
import shutil
import subprocess
from typing import Final

import pytest
from tests.box.site import INSTALL_S, OWNER, SETTINGS, Site, readme, version_of
from tests.support.box import shared_folder
from tests.support.checkout import source_files
from tests.support.rootfs import CHECKOUT

pytestmark = pytest.mark.timeout(900)

HOME: Final = f"/home/{OWNER}"
CLONE: Final = f"{HOME}/kioskd"
ADDRESS: Final = "/srv/kioskd.git"
"""The address of the repository, for the word in capitals that a reader of the README replaces."""
NEWER: Final = "9.9.9"
CHAPTERS: Final = {
    "Two commands": "test_setup.py, on a machine without kioskd; scripts/test itself runs all of these tests",
    "The card": "here",
    "The code": "here",
    "Install": "installed.py, by which this machine was made",
    "First conversation": "here",
    "It does not work": "here",
    "Upgrade": "here",
    "Backup": "here",
    "The rest": "here",
}
"""Each chapter of the README with a block, and where its lines are typed."""


def types(it: Site, line: str, folder: str = HOME, code: int = 0) -> str:
    """Type a line as the owner, and return the output."""
    answers = {"Service key: ": it.key, " [y/n] ": "y"}
    done = it.types(line, answers, source=folder, within_s=INSTALL_S)
    assert done.returncode == code, f"{line}: exit {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def machine(it: Site) -> Site:
    """Return the machine, without pagers, which wait for a key."""
    it.box.write("/etc/profile.d/pager.sh", "export PAGER=cat MANPAGER=cat\n")
    return it


def publish(it: Site) -> None:
    """Put this checkout's files into a repository on the machine; a tag there has the next version."""
    with shared_folder("kioskd-readme-") as place:
        work, bundle = place / "work", place / "bundle"
        for path in source_files():
            (work / path.relative_to(CHECKOUT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, work / path.relative_to(CHECKOUT))
        git = ["git", "-C", str(work), "-c", "user.name=Test", "-c", "user.email=test@example.com"]
        named = work / "daemon/kioskd/__init__.py"
        subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
        for version in (version_of(), NEWER):
            named.write_text(re.sub(r'__version__ = ".+"', f'__version__ = "{version}"', named.read_text()))
            subprocess.run([*git, "add", "--all"], check=True)
            subprocess.run([*git, "commit", "--quiet", "-m", version], check=True)
            subprocess.run([*git, "tag", f"v{version}"], check=True)
        subprocess.run([*git, "bundle", "create", "--quiet", bundle, "HEAD", "--all"], check=True)
        it.box.write_bytes("/run/bundle", bundle.read_bytes())
    it.box.sh(f"git clone --quiet --bare /run/bundle {ADDRESS}")
    has_now(it, version_of())


def has_now(it: Site, version: str) -> None:
    """Have the repository's branch end with this version."""
    git = f"git -C {ADDRESS} -c safe.directory=*"
    it.box.sh(f"{git} update-ref refs/heads/main v{version}; chown -R {OWNER}: {ADDRESS}")


def test_every_block_has_a_place_where_it_is_typed() -> None:
    text = (CHECKOUT / "README.md").read_text()
    found = [part.partition("\n")[0] for part in re.split(r"(?m)^## ", text) if "```sh\n" in part]
    assert found == list(CHAPTERS)


def test_the_two_commands_are_the_demo_and_the_tests() -> None:
    assert readme("Two commands") == ["scripts/demo", "scripts/test"]


def test_the_time_zone_is_set(machine: Site) -> None:
    lines = readme("The card")
    said = [types(machine, line) for line in lines]
    assert "Europe/Berlin" in said[-1]


def test_the_code_comes_to_the_machine(machine: Site) -> None:
    for line in readme("The code"):
        if line.startswith("git clone"):
            publish(machine)
        types(machine, line.replace("ADDRESS", ADDRESS))
    assert machine.box.sh(f"stat -c %U {CLONE}/scripts/install.sh") == f"{OWNER}\n"


def test_a_first_question_is_answered_aloud(machine: Site) -> None:
    with machine.service.sees("reply_sent"):
        for line in readme("First conversation"):
            types(machine, line)
    assert "Hello, who are you?" in machine.service.simulator.sessions[-1].texts


def test_the_lines_for_a_kiosk_that_does_not_work_say_what_is_wrong(machine: Site) -> None:
    status, doctor, journal = readme("It does not work")
    assert "Status: " in types(machine, status)
    assert "FAULT" in types(machine, doctor, code=1)
    assert "ready" in types(machine, journal)


def test_settings_come_back_from_the_backup(machine: Site) -> None:
    keep, *restore = readme("Backup")
    types(machine, keep)
    before = machine.box.read(SETTINGS)
    machine.box.sh(f"rm -rf {SETTINGS} /var/lib/kioskd/*")
    with machine.service.sees("setup_complete"):
        for line in restore:
            types(machine, line)
    assert machine.box.read(SETTINGS) == before
    assert machine.box.sh("stat -c %U /var/lib/kioskd") == "kioskd\n"
    machine.serves()


def test_the_manual_opens_in_the_terminal_and_in_man(machine: Site) -> None:
    lines = readme("The rest")
    shown = {line: types(machine, line) for line in lines}
    assert "operating" in shown["kioskd help"]
    assert "The journal" in shown["kioskd help operating"]
    assert "kioskd doctor" in shown["man kioskd"]
    assert "idle_s" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", shown["man kioskd.yaml"])
    names = machine.box.sh("kioskd help | sed -nE 's/^  ([a-z-]+) .*/\\1/p'").split()
    for topic in set(names) - {"commands", "settings"}:
        assert f"kioskd-{topic} - " in machine.box.sh(f"MANPAGER=cat MANWIDTH=200 man kioskd-{topic}")


def test_git_pull_and_the_installer_bring_the_next_release(machine: Site) -> None:
    has_now(machine, NEWER)
    for line in readme("Upgrade"):
        types(machine, line, folder=CLONE)
    assert machine.box.exec("kioskd", "--version").stdout == f"kioskd {NEWER}\n"
    machine.serves()
