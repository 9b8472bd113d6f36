"""scripts/repository: packages come into a signed index with an end, and a wrong key or package is named."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parents[1] / "scripts" / "repository"
CONTROL: Final = """\
Package: kioskd
Version: {version}
Architecture: {architecture}
Maintainer: Nobody <nobody@example.com>
Section: sound
Priority: optional
Description: an empty package
"""

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("reprepro", "gpg", "gpgv", "dpkg-deb")),
    reason="missing: reprepro or gpg; apt install reprepro gnupg gpgv",
)


class Signer:
    """One who signs, with a key ring and a folder."""

    def __init__(self, place: Path, keys: Path, key: str = "") -> None:
        self.place = place
        self.folder = place / "repository"
        self._keys = keys
        self.key = key

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"GNUPGHOME": str(self._keys), "KIOSKD_REPOSITORY_URL": "https://apt.example"},
        )  # fmt: skip

    def add(self, *packages: Path, key: str = "") -> subprocess.CompletedProcess[str]:
        return self.run(SCRIPT, self.folder, key or self.key, *packages)

    def package(self, version: str, architecture: str) -> Path:
        root = self.place / version / architecture
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN/control").write_text(CONTROL.format(version=version, architecture=architecture))
        path = self.place / f"kioskd_{version}_{architecture}.deb"
        done = self.run("dpkg-deb", "--root-owner-group", "--build", root, path)
        assert done.returncode == 0, done.stderr
        return path

    def index(self) -> str:
        return (self.folder / "dists/stable/InRelease").read_text()


@pytest.fixture(scope="module")
def keys() -> Iterator[Path]:
    """Return a folder for keys. GnuPG's sockets are in it, and the path of a socket is short."""
    place = Path(tempfile.mkdtemp())
    (place / "gpg.conf").write_text("batch\npinentry-mode loopback\npassphrase ''\n")
    yield place
    Signer(place, place).run("gpgconf", "--kill", "all")
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def key(keys: Path) -> str:
    printed = Signer(keys, keys).run(SCRIPT, "--new-key", "Somebody").stdout
    [found] = re.findall(r"\b[0-9A-F]{40}\b", printed)
    return str(found)


@pytest.fixture
def signer(tmp_path: Path, keys: Path, key: str) -> Signer:
    return Signer(tmp_path, keys, key)


def test_packages_for_both_processors_are_in_an_index_that_the_key_has_signed(signer: Signer) -> None:
    done = signer.add(*(signer.package("0.2.0", architecture) for architecture in ("arm64", "amd64")))
    assert done.returncode == 0, done.stderr
    assert "stable|main|arm64: kioskd 0.2.0" in done.stdout
    checked = signer.run(
        "gpgv", "--keyring", signer.folder / "kioskd.pgp", signer.folder / "dists/stable/InRelease"
    )
    assert checked.returncode == 0, checked.stderr
    source = (signer.folder / "kioskd.sources").read_text()
    assert "URIs: https://apt.example\n" in source
    assert "Signed-By: /etc/apt/keyrings/kioskd.pgp\n" in source


def test_the_index_is_valid_for_thirty_days_and_from_now_when_signed_again(signer: Signer) -> None:
    signer.add(signer.package("0.2.0", "arm64"))
    [until] = re.findall(r"^Valid-Until: (.*) UTC$", signer.index(), re.MULTILINE)
    ends = datetime.strptime(until, "%a, %d %b %Y %H:%M:%S").replace(tzinfo=UTC)
    assert timedelta(days=29) < ends - datetime.now(UTC) < timedelta(days=31)
    before = signer.index()
    assert signer.add().returncode == 0
    assert signer.index() != before, "another signature"
    assert "kioskd_0.2.0_arm64.deb" in (signer.folder / "dists/stable/main/binary-arm64/Packages").read_text()


def test_a_newer_package_takes_the_place_of_an_older_one_and_not_the_other_way_round(signer: Signer) -> None:
    older, newer = signer.package("0.2.0", "arm64"), signer.package("0.3.0~rc1", "arm64")
    signer.add(older)
    assert "kioskd 0.3.0~rc1" in signer.add(newer).stdout
    assert "kioskd 0.3.0~rc1" in signer.add(older).stdout


def test_a_key_that_is_not_here_is_named(signer: Signer) -> None:
    assert "write a fingerprint of 40 digits" in signer.add(key="Somebody").stderr
    done = signer.add(key="A" * 40)
    assert done.returncode == 1
    assert "this machine has no such key to sign with" in done.stderr
    assert not signer.folder.exists()


def test_a_file_that_is_no_package_is_named(signer: Signer) -> None:
    assert "there is no such package" in signer.add(signer.place / "none.deb").stderr
    broken = signer.place / "broken.deb"
    broken.write_text("no package")
    done = signer.add(broken)
    assert done.returncode == 1
    assert f"{broken} was not added (see above)" in done.stderr
