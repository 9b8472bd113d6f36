"""Checks that the service is installed, enabled, not failed, and sandboxed."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from kioskd import __version__
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.doctor.machine import UNIT, Machine
from kioskd.errors import Code

SANDBOX: Final[Mapping[str, tuple[str, ...]]] = {
    "ProtectSystem": ("strict",),
    "ProtectHome": ("yes", "tmpfs", "read-only"),
    "PrivateTmp": ("yes", "disconnected"),
    "NoNewPrivileges": ("yes",),
    "DevicePolicy": ("closed", "strict"),
    "CapabilityBoundingSet": ("",),
    "LimitCORE": ("0",),
}
"""Sandbox properties of the unit that protect sound, pictures and secrets, with their accepted values."""

_LISTED: Final = "kioskd devices lists what is here"

REPORTED_FAULTS: Final[Mapping[Code, tuple[str, str, str]]] = {
    Code.MICROPHONE: ("microphone", "microphone-missing", _LISTED),
    Code.DEAF: ("microphone", "microphone-silent", _LISTED),
    Code.SPEAKER: ("speaker", "speaker-missing", _LISTED),
    Code.FILE: ("settings", "settings-refused", "sudo kioskd reload prints every fault in them"),
    Code.STORAGE: (
        "space",
        "not-kept",
        "journalctl -u kioskd names the file; free space, or make it writable",
    ),
}
"""Check, fault name and remedy for each fault that a running daemon reports."""

_INSTALL: Final = "sudo scripts/install.sh"
_RESTORE: Final = f"remove the drop-in that changes it (systemctl cat kioskd shows all); else run {_INSTALL}"


def installed(context: CheckContext) -> Sequence[Finding]:
    """Prove that systemd knows the unit, starts it at boot, and watches it."""
    machine = context.machine
    if not machine.has_systemd:
        return [skipped("systemd does not run here")]
    known = machine.properties(
        "LoadState", "UnitFileState", "ActiveState", "SubState", "NRestarts", "Result", "StatusText",
        "NeedDaemonReload",
    )  # fmt: skip
    if (trouble := _load_fault(known.get("LoadState", "not-found"))) is not None:
        return [trouble]
    active = known.get("ActiveState") == "active"
    found = [_failure(known), _version_fault(machine) if active else None]
    if known.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "linked"):
        said = f"{UNIT} does not start at boot"
        found.append(fault("unit-not-enabled", said, "sudo systemctl enable kioskd"))
    if not _is_watched(machine):
        said = f"{UNIT} has no watchdog: systemd would not restart a kiosk that hangs"
        found.append(fault("unit-unwatched", said, _RESTORE))
    if known.get("NeedDaemonReload") == "yes":
        said = f"{UNIT} was changed on disk, but systemd still uses the old text"
        found.append(
            fault("unit-changed", said, "sudo systemctl daemon-reload; sudo systemctl restart kioskd")
        )
    # The status text of a unit that is not active is out of date.
    words = f": {known['StatusText']}" if active and known.get("StatusText") else ""
    state = known.get("ActiveState", "unknown")
    return [one for one in found if one] or [ok(f"{UNIT} is installed and enabled, and {state}{words}")]


def _failure(known: Mapping[str, str]) -> Finding | None:
    """Return a fault if the daemon has failed, also while systemd is about to start it again."""
    state, restarts = known.get("ActiveState"), known.get("NRestarts", "0")
    again = state == "activating" and (
        known.get("SubState", "").startswith("auto-restart") or restarts not in ("", "0")
    )
    if state != "failed" and not again:
        return None
    said = f"ends after each start (restarts: {restarts})" if again else "has failed"
    said = f"{UNIT} {said}: {known.get('Result', 'unknown')}"
    if words := known.get("StatusText"):
        said += f"; its last words to systemd: {words}"
    return fault("unit-failed", said, "mend this first; sudo journalctl -u kioskd -n 30 says more")


def _load_fault(state: str) -> Finding | None:
    """Return the fault that a LoadState shows."""
    match state:
        case "loaded":
            return None
        case "masked":
            said = f"{UNIT} is masked: it cannot be started, not even at boot"
            remedy = "sudo systemctl unmask kioskd; sudo systemctl enable --now kioskd"
            return fault("unit-masked", said, remedy)
        case "not-found":
            return fault("unit-missing", f"{UNIT} is not installed", _INSTALL)
        case _:
            said = f"systemd cannot use {UNIT}, or a drop-in of it: {state}"
            remedy = "systemctl status kioskd says why; to correct the file: sudo systemctl edit kioskd"
            return fault("unit-unusable", said, remedy)


def _is_watched(machine: Machine) -> bool:
    """Whether the next start has a watchdog. `systemctl show` describes only the last start."""
    lines = (machine.unit_text() or "").splitlines()
    said = [line.partition("=")[2].strip() for line in lines if line.startswith("WatchdogSec=")]
    return bool(said) and said[-1] not in ("", "0", "infinity")


def _version_fault(machine: Machine) -> Finding | None:
    """Return a fault if the running daemon has another version than this program."""
    try:
        theirs = json.loads(machine.output("kioskd", "status", "--json") or "{}").get("version")
    except ValueError:
        return None
    if theirs in (None, __version__):
        return None
    said = f"kioskd {theirs} runs, but {__version__} is installed: it was not restarted after the update"
    return fault("other-version", said, "sudo systemctl restart kioskd")


def sandbox(context: CheckContext) -> Sequence[Finding]:
    """Prove that the unit runs as its own user, in its sandbox."""
    machine = context.machine
    if not machine.has_systemd:
        return [skipped("systemd does not run here")]
    known = machine.properties("User", "DynamicUser", *SANDBOX)
    if not known:
        return [skipped(f"systemd reports nothing about {UNIT}")]
    found = []
    if known.get("User", "") in ("", "root", "0") and known.get("DynamicUser") != "yes":
        found.append(fault("runs-as-root", f"{UNIT} runs as root", _RESTORE))
    open_ = [
        f"{name}={known[name] or '(empty)'}"
        for name, allowed in SANDBOX.items()
        if name in known and known[name] not in allowed
    ]
    if open_:
        said = f"{UNIT} has a weaker sandbox than the one that comes with kioskd: {', '.join(open_)}"
        found.append(fault("not-sandboxed", said, _RESTORE))
    found = found or [
        ok(f"{UNIT} runs as {known.get('User')}, and its sandbox opens nothing but its devices")
    ]
    inside = context.inside
    if inside is not None and inside.is_known and (why := inside.unavailable_reason()) is not None:
        said, _, remedy = why.partition("; ")
        said = f"devices are checked from outside the service's sandbox: {said}"
        found.append(note(said, remedy or None))
    return found


def reported_fault(context: CheckContext, check: str) -> Finding | None:
    """Return the fault that the running daemon reports for `check`. No other program can try its devices."""
    known = context.machine.properties("ActiveState", "StatusText")
    words = known.get("StatusText", "") if known.get("ActiveState") in ("active", "reloading") else ""
    for code, (check_of_code, name, remedy) in REPORTED_FAULTS.items():
        if check_of_code == check and f"(code {code})" in words:
            return fault(name, f"the running kioskd reports: {words}", remedy)
    return None
