"""The locked versions: which packages a kiosk, its optional parts, and its developers get, with hashes.

`scripts/locks/` has a file for each group: `kioskd` for the daemon, `build` for its build, `tools` for the
programs of releases, and one for each optional part. pip reads these files with `--require-hashes`.
Debian brings some libraries, and no file names them.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parents[1]
LOCKS: Final = ROOT / "scripts" / "locks"
FROM_DEBIAN: Final = frozenset({"pyaudio", "systemd-python", "evdev", "picamera2"})
"""Libraries without a wheel. A release sees Debian's packages of them."""
FOR_DEVELOPERS: Final = frozenset({"dev", "tools"})
"""Groups that no kiosk needs."""

_GLIBC: Final = 36
"""The C library of Debian 12 is 2.36. Wheels for an older one run, too."""
_OLD_NAMES: Final = ("manylinux2014", "manylinux2010", "manylinux1")


@dataclass(frozen=True, slots=True)
class Target:
    """A Python on a processor."""

    minor: int
    """11 for Python 3.11."""
    machine: str
    """As `uname -m` prints it."""

    @property
    def environment(self) -> dict[str, str]:
        """Return the values that the markers of requirements are compared with."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"3.{self.minor}.0",
            "python_version": f"3.{self.minor}",
            "sys_platform": "linux",
        }

    @property
    def platforms(self) -> list[str]:
        """Return the platforms whose wheels run there, as wheels name them."""
        news = [f"manylinux_2_{number}_{self.machine}" for number in range(_GLIBC, 4, -1)]
        return [*news, *(f"{name}_{self.machine}" for name in _OLD_NAMES), f"linux_{self.machine}"]

    def tags(self) -> frozenset[Tag]:
        """Return the tags of all wheels that run there."""
        version, abi = (3, self.minor), f"cp3{self.minor}"
        return frozenset(
            [
                *cpython_tags(version, [abi], self.platforms),
                *compatible_tags(version, abi, self.platforms),
            ]
        )

    def __str__(self) -> str:
        """Return the target in words."""
        return f"Python 3.{self.minor} on {self.machine}"


TARGETS: Final = tuple(Target(minor, machine) for machine in ("aarch64", "x86_64") for minor in (11, 12, 13))


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name in the form in which names are compared."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """Return the only version that the lock allows."""
        [pin] = self.requirement.specifier
        return pin.version

    def is_for(self, target: Target) -> bool:
        """Tell whether this package is installed there."""
        return self.requirement.marker is None or self.requirement.marker.evaluate(target.environment)

    def __str__(self) -> str:
        """Return the lines for pip."""
        return " \\\n    ".join(
            [str(self.requirement), *(f"--hash=sha256:{digest}" for digest in self.hashes)]
        )


def read(group: str, locks: Path = LOCKS) -> list[Locked]:
    """Return the packages of a group's file."""
    text = (locks / f"{group}.txt").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    found = []
    for entry in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split("--hash=sha256:")
        found.append(Locked(Requirement(requirement.strip()), tuple(digest.strip() for digest in hashes)))
    return found


def groups(pyproject: Path = ROOT / "pyproject.toml") -> dict[str, list[Requirement]]:
    """Return the requirements of each group, without the libraries that Debian brings.

    An optional part that names others of this package has their requirements, too.
    """
    text: dict[str, Any] = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    extras: dict[str, list[str]] = text["project"]["optional-dependencies"]
    apart: dict[str, list[str]] = text["dependency-groups"]
    named = {
        "kioskd": text["project"]["dependencies"],
        "build": [*text["build-system"]["requires"], *apart["build"]],
        "tools": apart["tools"],
        **extras,
    }
    return {name: list(_without_debian(_expanded(needs, extras))) for name, needs in named.items()}


def for_devices(names: Iterable[str]) -> list[str]:
    """Return the groups that a kiosk may need: the build and the daemon first."""
    parts = sorted(set(names) - FOR_DEVELOPERS - {"kioskd", "build"})
    return ["build", "kioskd", *parts]


def _expanded(needs: Sequence[str], extras: dict[str, list[str]]) -> Iterator[Requirement]:
    for text in needs:
        requirement = Requirement(text)
        if requirement.name == "kioskd":
            for extra in sorted(requirement.extras):
                yield from _expanded(extras[extra], extras)
        else:
            yield requirement


def _without_debian(needs: Iterable[Requirement]) -> Iterator[Requirement]:
    return (one for one in needs if canonicalize_name(one.name) not in FROM_DEBIAN)
