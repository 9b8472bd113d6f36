"""A machine without the network installs, upgrades and keeps kioskd, from a signed repository on loopback."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.box import packages
from tests.box.packages import Shop, shop
from tests.box.site import FILES, INSTALL_S, Site, bare, left_out, missing, version_of
from tests.box.test_upgraded import NEVER_WELL, left_behind
from tests.support import rootfs
from tests.support.rootfs import Suite

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(left_out() is not None, reason=left_out() or ""),
]

SERVED = "/opt/repository"


@pytest.fixture(scope="module")
def offered() -> Iterator[Shop]:
    if lacking := missing() or packages.missing():
        pytest.skip(lacking)
    with shop() as it:
        yield it


@pytest.fixture(scope="module")
def first(offered: Shop) -> Path:
    """Return a package for both Debians."""
    return offered.package(version_of(), suites=("bookworm", "trixie"))


@pytest.fixture(scope="module")
def broken(offered: Shop) -> Path:
    """Return the package of a release that does not serve."""
    return offered.package(
        "0.3.0", lambda folder: (folder / "daemon/kioskd/cli/run.py").write_text(NEVER_WELL)
    )


@pytest.fixture(scope="module")
def files_before() -> set[str]:
    return set()


@contextlib.contextmanager
def machine(offered: Shop, files_before: set[str], suite: Suite = "trixie") -> Iterator[Site]:
    """Yield a machine with the key of the repository, whose pip has no package index and no wheels."""
    with bare(suite=suite, read_only={offered.folder: SERVED}) as here:
        here.box.write("/etc/pip.conf", "[global]\nno-index = true\n")
        files_before |= {path for path in here.box.sh(FILES).splitlines() if "kioskd" not in path}
        here.has_been_prepared()
        here.box.sh(
            f"systemd-run --quiet --unit=repository python3 -m http.server 8000 --bind 127.0.0.1 -d {SERVED};"
            "timeout 60 bash -c 'until (: </dev/tcp/127.0.0.1/8000) 2>/dev/null; do sleep 0.1; done';"
            f"install -D -m 644 {SERVED}/now/kioskd.pgp /etc/apt/keyrings/kioskd.pgp;"
            f"install -m 644 {SERVED}/now/kioskd.sources /etc/apt/sources.list.d/"
        )
        yield here


@pytest.fixture(scope="module")
def it(offered: Shop, first: Path, files_before: set[str]) -> Iterator[Site]:
    offered.offer(first)
    with machine(offered, files_before) as here:
        yield here


def apt(it: Site, *arguments: str, succeeds: bool = True) -> str:
    """Run apt-get, and return all that it printed."""
    done = it.box.exec(
        *("bash", "-c", 'DEBIAN_FRONTEND=noninteractive apt-get --yes "$@" 2>&1', "apt", *arguments),
        within_s=INSTALL_S,
        check=False,
    )
    assert (done.returncode == 0) is succeeds, f"exit {done.returncode}:\n{done.stdout}"
    return done.stdout


def version(it: Site) -> str:
    return it.box.exec("kioskd", "--version").stdout.strip()


def package(it: Site) -> str:
    return it.box.exec("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "kioskd").stdout


@pytest.fixture
def unmoved(it: Site) -> Iterator[None]:
    """Check that the same daemon of version 0.2.0 serves before and after the block."""
    pid = it.box.show("MainPID")
    yield
    it.serves()
    assert it.box.show("MainPID") == pid
    assert version(it) == "kioskd 0.2.0"
    assert package(it) == "0.2.0 installed"


def test_the_same_package_serves_on_the_older_debian(offered: Shop, first: Path) -> None:
    rootfs.rootfs("plain", "bookworm")  # It may have to be made, which needs the network.
    offered.offer(first)
    with machine(offered, set(), "bookworm") as it:
        apt(it, "update")
        with it.service.sees("reply_sent", within_s=INSTALL_S):
            assert f"{version_of()}-1 serves" in apt(it, "install", "kioskd")
        it.serves()


def test_the_machine_installs_kioskd_and_serves(it: Site) -> None:
    apt(it, "update")
    with it.service.sees("reply_sent", within_s=INSTALL_S):
        printed = apt(it, "install", "kioskd")
    assert f"{version_of()}-1 serves" in printed
    assert version(it) == f"kioskd {version_of()}"
    it.serves()


def test_an_upgrade_by_apt_serves(it: Site, offered: Shop) -> None:
    offered.offer(offered.package("0.2.0"))
    apt(it, "update")
    printed = apt(it, "upgrade")
    assert "0.2.0-2 serves" in printed
    assert version(it) == "kioskd 0.2.0"
    it.serves()


@pytest.mark.usefixtures("unmoved")
def test_an_index_that_a_wrong_key_has_signed_is_refused(it: Site, offered: Shop, broken: Path) -> None:
    offered.offer(broken, key=offered.other_key)
    assert "The repository is not updated" in apt(it, "update")
    assert "0 upgraded" in apt(it, "upgrade")


@pytest.mark.usefixtures("unmoved")
def test_an_expired_index_is_refused(it: Site, offered: Shop, broken: Path) -> None:
    offered.expire(offered.offer(broken))
    assert "is expired" in apt(it, "update", succeeds=False)
    assert "0 upgraded" in apt(it, "upgrade")


@pytest.mark.usefixtures("unmoved")
def test_a_truncated_package_is_refused(it: Site, offered: Shop, broken: Path) -> None:
    [stored] = offered.offer(broken).rglob("*.deb")
    with stored.open("r+b") as file:
        file.truncate(stored.stat().st_size - 1000)
    apt(it, "update")
    assert "unexpected size" in apt(it, "upgrade", succeeds=False)


@pytest.mark.usefixtures("unmoved")
def test_an_older_version_is_not_taken(it: Site, offered: Shop, first: Path) -> None:
    offered.offer(first)
    apt(it, "update")
    assert "0 upgraded" in apt(it, "upgrade")


def test_a_release_that_does_not_serve_is_gone_back_from_and_apt_goes_on(
    it: Site, offered: Shop, broken: Path
) -> None:
    offered.offer(broken)
    apt(it, "update")
    printed = apt(it, "upgrade")
    assert "went back to 0.2.0-2, which serves" in printed
    assert version(it) == "kioskd 0.2.0"
    it.serves()
    assert package(it) == "0.3.0 installed"
    told = it.box.sh("journalctl --sync; journalctl --identifier=kioskd-package --priority=err --output=cat")
    assert "0.2.0-2 stays in use, as this machine refused the package kioskd 0.3.0" in told
    assert "0 upgraded" in apt(it, "upgrade")


def test_the_release_after_a_refused_one_is_taken(it: Site, offered: Shop) -> None:
    offered.offer(offered.package("0.4.0"))
    apt(it, "update")
    assert "0.4.0-3 serves" in apt(it, "upgrade")
    it.serves()
    printed = it.install("--rollback", source="/usr/lib/kioskd")
    assert "0.2.0-2 serves" in printed


def test_removing_the_package_leaves_the_owners_files_and_purging_it_none(
    it: Site, files_before: set[str]
) -> None:
    apt(it, "remove", "kioskd")
    assert it.box.exec("systemctl", "cat", "kioskd", check=False).returncode != 0
    assert it.box.read("/etc/kioskd/kioskd.yaml") == it.settings()
    apt(it, "purge", "kioskd")
    # The machine's own sources, and the index of all man pages.
    others = ("/etc/apt/", "/var/cache/man/")
    left = [path for path in left_behind(it, files_before) if not path.startswith(others)]
    assert left == []
    assert "kioskd" not in it.box.read("/etc/passwd") + it.box.read("/etc/group")
