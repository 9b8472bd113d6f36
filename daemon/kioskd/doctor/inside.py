"""Runs checks in the place of the service: as its user, in the sandbox of its unit.

Root at a terminal can open more than the daemon can. So commands that list or open devices run once more, as
a transient unit. It gets all properties of the kiosk's unit that hide or forbid something, drop-ins included.
"""

import asyncio
import itertools
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kioskd.doctor.finding import Finding, Verdict, fault
from kioskd.doctor.machine import UNIT, Machine

LONGEST_S: Final = 300
"""Longest duration of a check in seconds. A person may have to press each button, and to watch each lamp."""

_LISTING_S: Final = 60.0

# Properties that hide, forbid or limit, and the service's own folders; none that start, watch or end a
# service.
_SANDBOX: Final = re.compile(
    r"(User|Group|SupplementaryGroups|Environment|EnvironmentFile|UMask|NoNewPrivileges|RemoveIPC|KeyringMode"
    r"|(Runtime|State|Cache)Directory(Mode)?|LockPersonality|MemoryDenyWriteExecute|Memory(High|Max)|TasksMax"
    r"|DevicePolicy|DeviceAllow|ProcSubset|SecureBits"
    r"|(Protect|Private|Restrict|SystemCall|Limit|Capability|Ambient|IPAddress|Bind|Root)\w+"
    r"|(ReadWrite|ReadOnly|Inaccessible|Exec|NoExec)Paths|TemporaryFileSystem)"
)
_NUMBERS: Final = itertools.count(1)


@dataclass(slots=True)
class SandboxView:
    """The sandbox of the kiosk's unit on a machine."""

    machine: Machine = field(default_factory=Machine)
    _reason: str | None = None
    _reason_known: bool = False

    @property
    def is_known(self) -> bool:
        """Whether systemd knows the unit. Blocks."""
        return bool(self._properties())

    def unavailable_reason(self) -> str | None:
        """Return why no program can run inside, and the remedy; None if one can. Blocks for seconds once."""
        if not self._reason_known:
            self._reason, self._reason_known = self._find_reason(), True
        return self._reason

    def _find_reason(self) -> str | None:
        if not self.machine.has_systemd:
            return "systemd does not run here"
        if not self._properties():
            return f"{UNIT} is not installed"
        if os.geteuid() != 0:
            return "only root can check inside it; type sudo before the command"
        ran = self.machine.run(*self.command("--version"), at_most_s=_LISTING_S)
        if ran is None:
            return "systemd-run does not work here"
        if ran.code:
            said = [f": {line}" for line in (ran.err or ran.out).splitlines()[-1:]]
            hidden = f"; perhaps the unit hides {sys.executable}"
            home = "" if Path(sys.executable).is_relative_to("/usr") else hidden
            return f"systemd-run ended with {ran.code}{''.join(said)}{home}"
        return None

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs this program with these arguments, inside."""
        return [
            "systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec",
            f"--unit=kioskd-look-{os.getpid()}-{next(_NUMBERS)}", f"--property=RuntimeMaxSec={LONGEST_S}",
            *(f"--property={line}" for line in self._properties()),
            # Without it the end of this unit would remove the running daemon's folder.
            "--property=RuntimeDirectoryPreserve=yes",
            "--", sys.executable, "-P", "-m", "kioskd", *arguments,
        ]  # fmt: skip

    def list_inside(self, *arguments: str) -> dict[str, Any] | None:
        """Run a command that prints one JSON object, and return it; None if it printed none.

        Blocks for seconds.
        """
        ran = self.machine.run(*self.command(*arguments), at_most_s=_LISTING_S)
        try:
            found: dict[str, Any] = json.loads(ran.out if ran is not None else "")
        except ValueError:
            return None
        return found

    async def examine_inside(self, check: str, *arguments: str) -> Sequence[Finding]:
        """Run a check inside, and return its findings.

        Its questions go to this terminal. Cancelling ends it.
        """
        command = self.command("doctor", "--look", check, *arguments)
        process: asyncio.subprocess.Process | None = None
        try:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            out, _ = await process.communicate()
            code = process.returncode
        finally:
            # Cancelled while it starts, asyncio ends systemd-run, but systemd has its unit already.
            if process is None or process.returncode is None:
                if process is not None:
                    process.terminate()
                [unit] = [word.removeprefix("--unit=") for word in command if word.startswith("--unit=")]
                self.machine.run("systemctl", "stop", "--no-block", f"{unit}.service")
        try:
            return [
                Finding(Verdict(one["verdict"]), one["said"], one["fault"], one["remedy"], one["figures"])
                for one in json.loads(out)["findings"]
            ]
        except (ValueError, KeyError, TypeError):
            ended = f"ended with exit code {code} and no result"
            said = f"the check inside the service's sandbox {ended}"
            return [fault(f"{check}-failed", said, "journalctl -n 30 may say why")]

    def _properties(self) -> list[str]:
        """Return the lines of the unit that make its sandbox, in order: later ones add to earlier ones."""
        return sandbox_lines(self.machine.unit_text() or "")


def sandbox_lines(unit: str) -> list[str]:
    """Return the assignments in the section [Service] of a unit's text that make its sandbox."""
    found, section = [], ""
    for line in map(str.strip, unit.replace("\\\n", " ").splitlines()):
        if line.startswith("["):
            section = line
        name, is_set, value = line.partition("=")
        name = name.strip()
        if section == "[Service]" and is_set and _SANDBOX.fullmatch(name):
            found.append(f"{name}={value.strip()}")
    return found
