"""Checks that the daemon's user may open the devices that the settings name."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskd.adapters.source import DeviceAccess
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, ok, skipped
from kioskd.doctor.machine import Machine
from kioskd.settings.model import Settings

USER: Final = "kioskd"

NO_USER: Final = skipped("the service's user does not exist yet: scripts/install.sh creates it")

SOUND: Final = DeviceAccess("audio", (("/dev/snd/pcm*", "sound"), ("/dev/snd/control*", "sound")))


@dataclass(frozen=True, slots=True)
class UnixAccount:
    """A user of this machine."""

    name: str
    uid: int
    groups: frozenset[int]


def groups(context: CheckContext) -> Sequence[Finding]:
    """Prove that the service's user is in each group that its devices belong to."""
    user = account(context)
    if user is None:
        return [NO_USER]
    if user.uid == 0:
        return [skipped("the service runs as root, which can open everything")]
    known = group_numbers(context.machine)
    wanted = [access.group for access in _wanted(context.settings)]
    missing = [name for name in wanted if name in known and known[name][0] not in user.groups]
    remedy = "sudo usermod -aG {} {}; sudo systemctl restart kioskd"
    return [
        fault("group-missing", f"{user.name} is not in the group {name}", remedy.format(name, user.name))
        for name in missing
    ] or [ok(f"{user.name} is in {', '.join(name for name in wanted if name in known)}")]


def permissions(context: CheckContext) -> Sequence[Finding]:
    """Prove that the service's user may read and write each device of the kinds in use."""
    user = account(context)
    if user is None:
        return [NO_USER]
    machine = context.machine
    rules: dict[Path, str] = {}
    written: list[Path] = []
    for access in _wanted(context.settings):
        for pattern, subsystem in access.nodes:
            folder, _, names = pattern.rpartition("/")
            nodes = sorted(machine.at(folder).glob(names))
            rules |= dict.fromkeys(nodes, f'SUBSYSTEM=="{subsystem}", KERNEL=="{names}"')
            written += nodes if access.written else []
    places = [machine.at(place) for source in context.settings.sources for place in source.attributes]
    attributes = [path for path in places if path.exists()]
    shut = [path for path in rules if not may(path, user, stat.S_IROTH)]
    shut += [path for path in (*written, *attributes) if not may(path, user, stat.S_IWOTH)]
    if not rules and not shut:
        return [skipped("this machine has no device of the kinds in use")]
    if not shut:
        return [ok(f"{user.name} may open all {len(rules) + len(attributes)} devices of the kinds in use")]
    return [_shut(path, machine, user, rules.get(path, "")) for path in dict.fromkeys(shut)]


def _shut(path: Path, machine: Machine, user: UnixAccount, match: str) -> Finding:
    """Return the fault of `path`.

    `match` selects it in a udev rule, also after a replug with another number.
    """
    name = f"/{path.relative_to(machine.root)}"
    gid = path.stat().st_gid
    if name.startswith("/sys"):
        remedy = "install systemd/kioskd.rules (scripts/install.sh does), then: sudo udevadm trigger"
    elif gid not in user.groups and gid != 0:
        group = next(
            (group for group, (number, _) in group_numbers(machine).items() if number == gid), str(gid)
        )
        remedy = f"sudo usermod -aG {group} {user.name}; sudo systemctl restart kioskd"
    else:
        # No user should join root's group. If the user is in the device's group already, the group lacks the
        # right.
        rule = f'{match}, GROUP="{user.name}", MODE="0660"'
        remedy = f"write into /etc/udev/rules.d/90-kioskd.rules: {rule}; then: sudo udevadm trigger"
    said = f"{name} cannot be opened by {user.name} ({owners(path, machine)})"
    return fault("device-permission", said, remedy)


def owners(path: Path, machine: Machine) -> str:
    """Return the owner, group and mode of `path` in words."""
    status = path.stat()
    names = {gid: group for group, (gid, _) in group_numbers(machine).items()}
    group = names.get(status.st_gid, status.st_gid)
    return f"user {status.st_uid}, group {group}, mode {stat.S_IMODE(status.st_mode):o}"


def _wanted(settings: Settings) -> list[DeviceAccess]:
    own = [source.access for source in settings.sources if source.access is not None]
    return list(dict.fromkeys([SOUND, *own]))


def account(context: CheckContext) -> UnixAccount | None:
    """Return the user that the service runs as; None if it does not exist yet."""
    machine = context.machine
    name = machine.properties("User").get("User") or USER
    for line in (machine.text("/etc/passwd") or "").splitlines():
        user, _, uid, gid, *_ = [*line.split(":"), "", "", "", ""]
        if user == name:
            others = (number for number, members in group_numbers(machine).values() if name in members)
            return UnixAccount(name, int(uid), frozenset({int(gid), *others}))
    return None


def group_numbers(machine: Machine) -> dict[str, tuple[int, frozenset[str]]]:
    """Return the number and the members of each group, by name."""
    found = {}
    for line in (machine.text("/etc/group") or "").splitlines():
        name, _, gid, members = [*line.split(":"), "", "", ""][:4]
        if gid.isdigit():
            found[name] = (int(gid), frozenset(filter(None, members.split(","))))
    return found


def may(path: Path, user: UnixAccount, bit: int) -> bool:
    """Whether `user` has a right to `path`; `bit` is that right for others, such as stat.S_IROTH.

    It follows path_resolution(7).
    """
    status = path.stat()
    if user.uid == 0:
        return True
    if status.st_uid == user.uid:
        return bool(status.st_mode & bit << 6)
    if status.st_gid in user.groups:
        return bool(status.st_mode & bit << 3)
    return bool(status.st_mode & bit)
