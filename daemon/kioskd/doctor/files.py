"""Checks that the daemon can read the files that the settings name. The user of doctor may see more files."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from kioskd.doctor.access import NO_USER, UnixAccount, account, may, owners
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, ok, skipped
from kioskd.doctor.machine import Machine
from kioskd.doctor.storage import STATE
from kioskd.secret_files import is_there
from kioskd.settings.sandbox import PROPERTIES, ServiceSandbox, named, paths

SETTINGS: Final = "/etc/kioskd/kioskd.yaml"
"""The file that the unit reads."""

_PRIVATE: Final = ("service.key_file", "service.credentials_file", "service.token_key_file")
_PROGRAMS: Final = (".argv", ".command")
"""Ends of the names of settings that hold programs, which are run and need not be readable."""
_UNSEEN: Final = skipped("this user cannot see all files that the settings name", "run doctor with sudo")


def files(context: CheckContext) -> Sequence[Finding]:
    """Prove that neither owner and mode nor the unit's sandbox keeps the daemon from its files."""
    machine, user = context.machine, account(context)
    if context.path != machine.at(SETTINGS):
        return [skipped(f"the service reads {SETTINGS}, not these settings")]
    if user is None:
        return [NO_USER]
    unit = machine.properties(*PROPERTIES, "ReadWritePaths")
    seen = {(name, path): is_there(path) for name, path in _named(context)}
    if None in seen.values():
        return [_UNSEEN]
    there = [place for place, is_here in seen.items() if is_here]
    try:
        found = [_read_fault(name, path, user, machine, unit) for name, path in there]
        found += [_write_fault(name, path, user, machine, unit) for name, path in _records(context)]
    except PermissionError:
        return [_UNSEEN]
    return [one for one in found if one is not None] or [
        ok(f"{user.name} can read all files that the settings need ({len(there)})")
    ]


def _read_fault(
    name: str, path: Path, user: UnixAccount, machine: Machine, unit: Mapping[str, str]
) -> Finding | None:
    real = machine.shown(path)
    if why := ServiceSandbox.of_unit(unit).hides(real):
        remedy = "move it to /etc/kioskd, and change the setting"
        return fault("file-hidden", f"{name} = {real}: {why}", remedy)
    shut = None if name.endswith(_PROGRAMS) else _shut(path, user, machine)
    if shut is None:
        return None
    shown = machine.shown(shut)
    if name in _PRIVATE:
        remedy = f"sudo chown {user.name} {shown}"
    else:
        remedy = f"sudo chmod o+rx {shown}" if shut.is_dir() else f"sudo chmod o+r {shown}"
    said = f"{name} = {real}: cannot be read by {user.name}"
    where = f"{shown}: " if shut != path.resolve() else ""
    return fault("file-unreadable", f"{said} ({where}{owners(shut, machine)})", remedy)


def _shut(path: Path, user: UnixAccount, machine: Machine) -> Path | None:
    """Return `path` or the folder above it that keeps `user` from reading it; None if nothing does."""
    real, root = path.resolve(), machine.root.resolve()
    for folder in reversed(real.parents):
        if folder.is_relative_to(root) and folder != root and not may(folder, user, stat.S_IXOTH):
            return folder
    return None if may(real, user, stat.S_IROTH) else real


def _write_fault(
    name: str, path: Path, user: UnixAccount, machine: Machine, unit: Mapping[str, str]
) -> Finding | None:
    real = machine.shown(path)
    # In ReadWritePaths= a minus means "if it exists", and a plus "below the unit's own root".
    places = (STATE, *(place.lstrip("-+") for place in unit.get("ReadWritePaths", "").split()))
    if unit and not any(real.is_relative_to(place) for place in places):
        return fault(
            "folder-not-writable",
            f"{name} = {real}: the service's sandbox lets it write only to {STATE}",
            f"name a folder there; or sudo install -d -m 700 -o {user.name} -g {user.name} {real}, "
            # With the minus the service also starts without the folder.
            f"and sudo systemctl edit kioskd: [Service] ReadWritePaths=-{real}",
        )
    if path.is_dir() and (path.stat().st_uid != user.uid or path.stat().st_mode & 0o077):
        return fault(
            "folder-open",
            f"{name} = {real}: nothing is stored there, as it is not private to {user.name} "
            f"({owners(path, machine)})",
            f"sudo chown {user.name}: {real}; sudo chmod 700 {real}",
        )
    return None


def _named(context: CheckContext) -> Iterator[tuple[str, Path]]:
    """Yield each file that the daemon reads, with the name of its setting."""
    yield "the settings", context.path
    written: set[Path | None] = {path for _, path in _records(context)}
    written.add(context.settings.captions.terminal)
    for loc, path in paths(context.settings):
        if path not in written:
            yield named(loc), path


def _records(context: CheckContext) -> Iterator[tuple[str, Path]]:
    privacy = context.settings.privacy
    for name, record in (("transcripts", privacy.transcripts), ("recordings", privacy.recordings)):
        if record is not None:
            yield f"privacy.{name}.folder", record.folder
