"""This machine as files and programs tell of it. All paths start at a root, so that a machine can be made of files."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from kioskd.tools.argv import SEARCH

UNIT: Final = "kioskd.service"

_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a program ended, and what it said."""

    code: int
    out: str = field(repr=False)
    err: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine under examination. Everything here blocks: it belongs into a thread."""

    root: Path = Path("/")
    programs: str | None = None
    """Where programs are looked for, as PATH has it; None: as this process does."""
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs

    def at(self, path: str) -> Path:
        """Return where `path` (from /) is."""
        return self.root / path.lstrip("/")

    def shown(self, path: Path) -> Path:
        """Return `path` (where `at` has it) as the machine itself names it, links followed."""
        return Path("/", path.resolve().relative_to(self.root.resolve()))

    def text(self, path: str) -> str | None:
        """Return what a small file holds; None where there is none, or none for us."""
        try:
            return self.at(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def run(self, *command: str, given: bytes = b"", at_most_s: float = _PATIENCE_S) -> CommandResult | None:
        """Run a program and return how it ended; None where there is no such program, or it does not come to an end.

        `given` is its input: never a place for secrets is the command itself, which all users can see.
        """
        environ = {**os.environ, "LC_ALL": "C"}
        if self.programs is not None:
            environ["PATH"] = self.programs
        elif os.geteuid() == 0:  # No program of the caller's runs as root.
            environ["PATH"] = SEARCH
        try:
            done = subprocess.run(  # noqa: S603 - fixed programs; no shell
                ["/usr/bin/env", *command],
                input=given,
                capture_output=True,
                check=False,
                env=environ,
                timeout=at_most_s,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode == _NO_SUCH_PROGRAM:
            return None
        return CommandResult(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace").strip(),
        )

    @property
    def has_systemd(self) -> bool:
        """Whether systemd runs this machine (sd_booted(3))."""
        return self.at("/run/systemd/system").is_dir()

    def properties(self, *names: str) -> Mapping[str, str]:
        """Return what systemd says of the kiosk's unit; nothing where it says nothing."""
        ran = (
            self.run("systemctl", "show", UNIT, f"--property={','.join(names)}") if self.has_systemd else None
        )
        if ran is None or ran.code:
            return {}
        return dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)

    def unit_environ(self) -> Mapping[str, str]:
        """Return what the kiosk's unit puts into its environment by Environment=, a proxy or a key say."""
        try:
            words = shlex.split(self.properties("Environment").get("Environment", ""))
        except ValueError:  # quoted as no shell does
            return {}
        return dict(word.split("=", 1) for word in words if "=" in word)

    def processes(self) -> Iterator[int]:
        """Yield the ids of all processes."""
        for path in self.at("/proc").glob("[0-9]*"):
            yield int(path.name)

    def daemon(self) -> int | None:
        """Return the process of a daemon that runs, however it was started; None where there is none."""
        for pid in self.processes():
            words = (self.text(f"/proc/{pid}/cmdline") or "").split("\0")
            if any(Path(one).name == "kioskd" and other == "run" for one, other in pairwise(words)):
                return pid
        return None


_NO_SUCH_PROGRAM: Final = 127
"""env(1)'s."""
