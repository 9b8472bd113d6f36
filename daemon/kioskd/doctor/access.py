"""That the daemon's user may open the devices that the settings name."""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd.adapters.source import DeviceAccess
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, ok, skipped
from kioskd.doctor.machine import Machine
from kioskd.settings.model import Settings

USER: Final = "kioskd"

SOUND: Final = DeviceAccess("audio", (("/dev/snd/pcm*", "sound"), ("/dev/snd/control*", "sound")))


@dataclass(frozen=True, slots=True)
class UnixAccount:
    """A user of this machine."""

    name: str
    uid: int
    groups: frozenset[int]


def groups(patient: CheckContext) -> Sequence[Finding]:
    """Prove that the user is in each group that its devices belong to."""
    user = account(patient)
    if user is None:
        return [skipped("the service's user is not here yet: scripts/install.sh makes it")]
    if user.uid == 0:
        return [skipped("the service runs as root, who may open anything")]
    known = _groups(patient.machine)
    wanted = [access.group for access in _wanted(patient.settings)]
    missing = [name for name in wanted if name in known and known[name][0] not in user.groups]
    return [
        fault(
            "group-missing",
            f"{user.name} is not in the group {name}",
            f"sudo usermod -aG {name} {user.name}; sudo systemctl restart kioskd",
        )
        for name in missing
    ] or [ok(f"{user.name} is in {', '.join(name for name in wanted if name in known)}")]


def permissions(patient: CheckContext) -> Sequence[Finding]:
    """Prove that it may read and write each device of the kinds in use."""
    user = account(patient)
    if user is None:
        return [skipped("the service's user is not here yet: scripts/install.sh makes it")]
    machine = patient.machine
    rules: dict[Path, str] = {}
    written: list[Path] = []
    for access in _wanted(patient.settings):
        for pattern, subsystem in access.nodes:
            nodes = _glob(machine, pattern)
            rules |= dict.fromkeys(nodes, f'SUBSYSTEM=="{subsystem}", KERNEL=="{Path(pattern).name}"')
            written += nodes if access.written else []
    attributes = [path for path in _attributes(patient) if path.exists()]
    shut = [path for path in rules if not may(path, user, stat.S_IROTH)]
    shut += [path for path in (*written, *attributes) if not may(path, user, stat.S_IWOTH)]
    if not shut:
        return (
            [ok(f"{user.name} may open all {len(rules) + len(attributes)} of them")]
            if rules
            else [skipped("no devices")]
        )
    return [_shut(path, machine, user, rules.get(path, "")) for path in dict.fromkeys(shut)]


def _shut(path: Path, machine: Machine, user: UnixAccount, match: str) -> Finding:
    """Return what is wrong with `path`; `match` is how a udev rule knows it, whatever number it has after a replug."""
    name = f"/{path.relative_to(machine.root)}"
    gid = path.stat().st_gid
    if name.startswith("/sys"):
        remedy = "install systemd/kioskd.rules (scripts/install.sh does), then: sudo udevadm trigger"
    elif gid not in user.groups and gid != 0:
        group = next((group for group, (number, _) in _groups(machine).items() if number == gid), str(gid))
        remedy = f"sudo usermod -aG {group} {user.name}; sudo systemctl restart kioskd"
    else:
        # Nobody should be of root's group, and a group that is ours already lacks the right itself.
        rule = f'{match}, GROUP="{user.name}", MODE="0660"'
        remedy = f"write into /etc/udev/rules.d/90-kioskd.rules: {rule}; then: sudo udevadm trigger"
    return fault(
        "device-permission", f"{name} cannot be opened by {user.name} ({owners(path, machine)})", remedy
    )


def owners(path: Path, machine: Machine) -> str:
    """Return in words who may do what with it."""
    status = path.stat()
    names = {gid: group for group, (gid, _) in _groups(machine).items()}
    group = names.get(status.st_gid, status.st_gid)
    return f"user {status.st_uid}, group {group}, mode {stat.S_IMODE(status.st_mode):o}"


def _wanted(settings: Settings) -> list[DeviceAccess]:
    own = [source.access for source in settings.sources if source.access is not None]
    return list(dict.fromkeys([SOUND, *own]))


def _attributes(patient: CheckContext) -> Iterator[Path]:
    for source in patient.settings.sources:
        yield from map(patient.machine.at, source.attributes)


def account(patient: CheckContext) -> UnixAccount | None:
    """Return the user that the service runs as; None where it is not here yet."""
    machine = patient.machine
    name = machine.properties("User").get("User") or USER
    for line in (machine.text("/etc/passwd") or "").splitlines():
        user, _, uid, gid, *_ = [*line.split(":"), "", "", "", ""]
        if user == name:
            others = (number for number, members in _groups(machine).values() if name in members)
            return UnixAccount(name, int(uid), frozenset({int(gid), *others}))
    return None


def _groups(machine: Machine) -> dict[str, tuple[int, frozenset[str]]]:
    found = {}
    for line in (machine.text("/etc/group") or "").splitlines():
        name, _, gid, members = [*line.split(":"), "", "", ""][:4]
        if gid.isdigit():
            found[name] = (int(gid), frozenset(filter(None, members.split(","))))
    return found


def _glob(machine: Machine, pattern: str) -> list[Path]:
    folder, _, names = pattern.rpartition("/")
    return sorted(machine.at(folder).glob(names))


def may(path: Path, user: UnixAccount, bit: int) -> bool:
    """Whether `user` has the right to `path` that `bit` is for others (stat.S_IROTH, say); see path_resolution(7)."""
    status = path.stat()
    if user.uid == 0:
        return True
    if status.st_uid == user.uid:
        return bool(status.st_mode & bit << 6)
    if status.st_gid in user.groups:
        return bool(status.st_mode & bit << 3)
    return bool(status.st_mode & bit)
