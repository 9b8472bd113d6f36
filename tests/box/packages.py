"""Debian packages of kioskd, and signed repositories of them in a folder that a machine sees."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import rootfs
from tests.support.box import shared_folder
from tests.support.rootfs import CHECKOUT, Suite

NEEDED: Final = ("dpkg-deb", "reprepro", "gpg")
URL: Final = "http://127.0.0.1:8000/"
_COPIED: Final = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "config",
    "daemon",
    "scripts",
    "systemd",
)


def missing() -> str | None:
    """Return why no repository can be made here; None if one can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    return f"missing: {', '.join(absent)}; run `apt install reprepro gnupg`" if absent else None


@dataclass(frozen=True, slots=True)
class Shop:
    """Two keys, packages, and the repository that machines see now."""

    folder: Path
    """The folder that machines see: `now` in it is the repository."""
    work: Path
    key: str
    other_key: str

    def package(
        self,
        version: str,
        change: Callable[[Path], object] = lambda _: None,
        suites: tuple[Suite, ...] = ("trixie",),
    ) -> Path:
        """Build a package of this version for these Debians, after a change of its checkout."""
        checkout = self.work / version
        for name in _COPIED:
            path = CHECKOUT / name
            if path.is_dir():
                shutil.copytree(path, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                checkout.mkdir(exist_ok=True)
                shutil.copy(path, checkout)
        (checkout / ".venv").symlink_to(CHECKOUT / ".venv")
        init = checkout / "daemon/kioskd/__init__.py"
        init.write_text(re.sub(r'__version__ = ".+"', f'__version__ = "{version}"', init.read_text()))
        change(checkout)
        architecture = self._run("dpkg", "--print-architecture").strip()
        wheels = self.work / "-".join(suites)
        for suite in suites:
            shutil.copytree(rootfs.wheels(suite), wheels, dirs_exist_ok=True)
        self._run(str(checkout / "scripts/package"), architecture, str(wheels))
        return checkout / f"dist/kioskd_{version}_{architecture}.deb"

    def offer(self, *packages: Path, key: str = "") -> Path:
        """Offer a repository with these packages alone, and return its folder."""
        repository = self.folder / f"{len(list(self.folder.iterdir()))}"
        self._run(str(CHECKOUT / "scripts/repository"), str(repository), key or self.key, *map(str, packages))
        link = self.folder / "next"
        link.symlink_to(repository.name)
        link.rename(self.folder / "now")
        return repository

    def expire(self, repository: Path) -> None:
        """Sign the index of a repository as if that had been done two months ago."""
        index = repository / "dists/stable"
        text = (index / "Release").read_text()
        text = re.sub(r"^Date: .*", "Date: Wed, 01 Jan 2020 00:00:00 UTC", text, flags=re.MULTILINE)
        text = re.sub(
            r"^Valid-Until: .*", "Valid-Until: Fri, 31 Jan 2020 00:00:00 UTC", text, flags=re.MULTILINE
        )
        (index / "Release").write_text(text)
        sign = ("gpg", "--batch", "--yes", "--local-user", self.key)
        self._run(*sign, "--clearsign", "--output", str(index / "InRelease"), str(index / "Release"))
        self._run(
            *sign, "--armor", "--detach-sign", "--output", str(index / "Release.gpg"), str(index / "Release")
        )

    def _run(self, *command: str) -> str:
        return _run(self.work, *command)


@contextlib.contextmanager
def shop() -> Iterator[Shop]:
    """Yield an empty shop."""
    with shared_folder("kioskd-shop-") as folder, shared_folder("kioskd-work-") as work:
        keys = work / "gnupg"
        keys.mkdir(mode=0o700)
        # A test types no passphrase.
        (keys / "gpg.conf").write_text("batch\npinentry-mode loopback\npassphrase ''\n")
        made = [
            re.findall(r"[0-9A-F]{40}", _run(work, str(CHECKOUT / "scripts/repository"), "--new-key", name))
            for name in ("Kiosks", "Nobody")
        ]
        try:
            yield Shop(folder, work, made[0][0], made[1][0])
        finally:
            _run(work, "gpgconf", "--kill", "all")


def _run(work: Path, *command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False,
        env=os.environ | {"GNUPGHOME": str(work / "gnupg"), "KIOSKD_REPOSITORY_URL": f"{URL}now/"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
