"""That the service is installed, enabled, well, and shut off from all that is not its own."""

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
"""What the unit that comes with kioskd has: each keeps what is heard, seen and secret where it belongs."""

_LISTED: Final = "kioskd devices lists what is here"

REPORTED_FAULTS: Final[Mapping[Code, tuple[str, str, str]]] = {
    Code.MICROPHONE: ("microphone", "microphone-missing", _LISTED),
    Code.DEAF: ("microphone", "microphone-silent", _LISTED),
    Code.SPEAKER: ("speaker", "speaker-missing", _LISTED),
    Code.FILE: ("settings", "settings-refused", "sudo kioskd reload, which says what is wrong with them now"),
    Code.STORAGE: ("space", "not-kept", "make room or have it writable: journalctl -u kioskd names the file"),
}
"""What a daemon that runs says is wrong: which check it answers, with which fault and remedy."""

_INSTALL: Final = "sudo scripts/install.sh"
_RESTORE: Final = f"take out the drop-in that changes it (systemctl cat kioskd shows all); else: {_INSTALL}"


def installed(context: CheckContext) -> Sequence[Finding]:
    """Prove that systemd knows the unit, starts it with the machine, and watches it."""
    machine = context.machine
    if not machine.has_systemd:
        return [skipped("systemd does not run here")]
    known = machine.properties(
        "LoadState", "UnitFileState", "ActiveState", "SubState", "NRestarts", "Result", "StatusText",
        "NeedDaemonReload",
    )  # fmt: skip
    if (trouble := _load_fault(known.get("LoadState", "not-found"))) is not None:
        return [trouble]
    found = []
    if (trouble := _failure(known)) is not None:
        found.append(trouble)
    if known.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "linked"):
        found.append(
            fault(
                "unit-not-enabled", f"{UNIT} does not start with the machine", "sudo systemctl enable kioskd"
            )
        )
    if not _is_watched(machine):
        found.append(
            fault(
                "unit-unwatched", f"{UNIT} has no watchdog: a kiosk that hangs would hang for ever", _RESTORE
            )
        )
    if known.get("NeedDaemonReload") == "yes":
        found.append(
            fault(
                "unit-changed",
                f"{UNIT} was changed on disk, and what was changed does not hold yet",
                "sudo systemctl daemon-reload; sudo systemctl restart kioskd",
            )
        )
    state = known.get("ActiveState", "unknown")
    if state == "active" and (trouble := _version_fault(machine)) is not None:
        found.append(trouble)
    # Of one that is not active it is what it said last.
    words = f": {known['StatusText']}" if state == "active" and known.get("StatusText") else ""
    return found or [ok(f"{UNIT} is installed and enabled, and {state}{words}")]


def _failure(known: Mapping[str, str]) -> Finding | None:
    """Return a fault where the daemon has failed, be it that systemd is about to start it once more, as it always is."""
    state, restarts = known.get("ActiveState"), known.get("NRestarts", "0")
    again = state == "activating" and (
        known.get("SubState", "").startswith("auto-restart") or restarts not in ("", "0")
    )
    if state != "failed" and not again:
        return None
    said = f"ends as often as it is started (restarts: {restarts})" if again else "has failed"
    said = f"{UNIT} {said}: {known.get('Result', 'unknown')}"
    if words := known.get("StatusText"):
        said += f"; its last words: {words}"
    return fault("unit-failed", said, "sudo journalctl -u kioskd -n 30 says more; mend that first")


def _load_fault(state: str) -> Finding | None:
    """Return what keeps systemd from knowing the unit, by its LoadState."""
    match state:
        case "loaded":
            return None
        case "masked":
            return fault(
                "unit-masked",
                f"{UNIT} is masked: nothing may start it, not even the machine",
                "sudo systemctl unmask kioskd; sudo systemctl enable --now kioskd",
            )
        case "not-found":
            return fault("unit-missing", f"{UNIT} is not installed", _INSTALL)
        case _:
            return fault(
                "unit-unusable",
                f"systemd cannot use {UNIT}, or a drop-in of it: {state}",
                "systemctl status kioskd says why, systemctl cat kioskd where; sudo systemctl edit kioskd mends it",
            )


def _is_watched(machine: Machine) -> bool:
    """Whether it is when it is started next: what `show` says is of the last start, or nothing before the first."""
    ran = machine.run("systemctl", "cat", UNIT)
    lines = ran.out.splitlines() if ran is not None and ran.code == 0 else []
    said = [line.partition("=")[2].strip() for line in lines if line.startswith("WatchdogSec=")]
    return bool(said) and said[-1] not in ("", "0", "infinity")


def _version_fault(machine: Machine) -> Finding | None:
    """Return a fault where the daemon that runs is not of this program's version; None too where it does not say."""
    ran = machine.run("kioskd", "status", "--json")
    try:
        theirs = json.loads(ran.out).get("version") if ran is not None and ran.code == 0 else None
    except ValueError:
        return None
    if theirs in (None, __version__):
        return None
    return fault(
        "other-version",
        f"kioskd {theirs} runs, and {__version__} is installed: it was not restarted when that came",
        "sudo systemctl restart kioskd",
    )


def sandbox(context: CheckContext) -> Sequence[Finding]:
    """Prove that the unit runs as nobody in particular, and may touch nothing but its devices."""
    machine = context.machine
    if not machine.has_systemd:
        return [skipped("systemd does not run here")]
    known = machine.properties("User", "DynamicUser", *SANDBOX)
    if not known:
        return [skipped(f"systemd says nothing of {UNIT}")]
    found = []
    if known.get("User", "") in ("", "root", "0") and known.get("DynamicUser") != "yes":
        found.append(fault("runs-as-root", f"{UNIT} runs as root", _RESTORE))
    open_ = [
        f"{name}={known[name] or '(empty)'}"
        for name, allowed in SANDBOX.items()
        if name in known and known[name] not in allowed
    ]
    if open_:
        found.append(
            fault(
                "not-sandboxed",
                f"{UNIT} is less shut off than the one that comes with kioskd: {', '.join(open_)}",
                _RESTORE,
            )
        )
    found = found or [ok(f"{UNIT} runs as {known.get('User')}, shut off from all but its devices")]
    inside = context.inside
    if inside is not None and inside.is_known and (why := inside.unavailable_reason()) is not None:
        said, _, remedy = why.partition("; ")
        found.append(
            note(f"devices are looked at from outside the service's sandbox: {said}", remedy or None)
        )
    return found


def reported_fault(context: CheckContext, check: str) -> Finding | None:
    """Return what the daemon that runs says is wrong with what `check` looks at: what it holds nobody else can try."""
    known = context.machine.properties("ActiveState", "StatusText")
    words = known.get("StatusText", "") if known.get("ActiveState") in ("active", "reloading") else ""
    for code, (check_of_code, name, remedy) in REPORTED_FAULTS.items():
        if check_of_code == check and f"(code {code})" in words:
            return fault(name, f"kioskd says: {words}", remedy)
    return None
