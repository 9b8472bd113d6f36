"""This machine, as its files and programs describe it.

Paths start at a root, so that tests can make a machine.
"""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from kioskd.tools.argv import SEARCH

UNIT: Final = "kioskd.service"

_DEADLINE_S: Final = 10.0

_NO_SUCH_PROGRAM: Final = 127
"""The exit code of env(1)."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Exit code and output of a program."""

    code: int
    out: str = field(repr=False)
    err: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine under examination. Every method blocks: call it in a thread."""

    root: Path = Path("/")
    programs: str | None = None
    """The PATH for programs; None: the PATH of this process."""
    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs

    def at(self, path: str) -> Path:
        """Return the place of `path`, which starts at /, below the root."""
        return self.root / path.lstrip("/")

    def shown(self, path: Path) -> Path:
        """Return a path below the root as the machine itself names it, links followed."""
        return Path("/", path.resolve().relative_to(self.root.resolve()))

    def text(self, path: str | Path) -> str | None:
        """Return the text of a small file (a path from /, or a `Path` below the root); None if unreadable."""
        try:
            file = path if isinstance(path, Path) else self.at(path)
            return file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def run(self, *command: str, given: bytes = b"", at_most_s: float = _DEADLINE_S) -> CommandResult | None:
        """Run a program and return its result; None if it is not installed, or does not end in time.

        `given` is its input. Secrets belong there: all users can see the command itself.
        """
        environ = {**os.environ, "LC_ALL": "C"}
        if self.programs is not None:
            environ["PATH"] = self.programs
        elif os.geteuid() == 0:  # Root must not run a program from the caller's PATH.
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
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace").strip()
        return CommandResult(done.returncode, out, err)

    def output(self, *command: str) -> str | None:
        """Run a program and return its standard output; None if it did not end with 0."""
        ran = self.run(*command)
        return ran.out if ran is not None and ran.code == 0 else None

    @property
    def has_systemd(self) -> bool:
        """Whether systemd runs this machine (sd_booted(3))."""
        return self.at("/run/systemd/system").is_dir()

    def properties(self, *names: str) -> Mapping[str, str]:
        """Return these properties of the kiosk's unit; none if systemd does not know them."""
        if not self.has_systemd:
            return {}
        return assignments(self.output("systemctl", "show", UNIT, f"--property={','.join(names)}") or "")

    def unit_text(self) -> str | None:
        """Return the text of the kiosk's unit and its drop-ins; None if systemd does not know it."""
        return self.output("systemctl", "cat", UNIT) if self.has_systemd else None

    def unit_environ(self) -> Mapping[str, str]:
        """Return the variables that the kiosk's unit sets by Environment=, such as a proxy or a key."""
        try:
            words = shlex.split(self.properties("Environment").get("Environment", ""))
        except ValueError:  # its quotes are not a shell's
            return {}
        return dict(word.split("=", 1) for word in words if "=" in word)

    def daemon(self) -> int | None:
        """Return the process id of a running daemon, however it was started; None if none runs."""
        for process in self.at("/proc").glob("[0-9]*"):
            words = (self.text(process / "cmdline") or "").split("\0")
            if any(Path(one).name == "kioskd" and other == "run" for one, other in pairwise(words)):
                return int(process.name)
        return None


def assignments(text: str) -> dict[str, str]:
    """Return the lines NAME=VALUE of a text."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def put_file(path: Path, data: bytes | memoryview, mode: int = 0o600) -> None:
    """Put a file in place as a whole, and wait until the disk has it. Its draft's name is random. Blocks.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
