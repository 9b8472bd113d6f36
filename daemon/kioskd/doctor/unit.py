"""That the service is installed, enabled, well, and shut off from all that is not its own."""

from collections.abc import Mapping, Sequence
from typing import Final

from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.doctor.machine import UNIT
from kioskd.doctor.patient import Patient
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

DEVICES: Final[Mapping[Code, tuple[str, str]]] = {
    Code.MICROPHONE: ("microphone", "microphone-missing"),
    Code.DEAF: ("microphone", "microphone-silent"),
    Code.SPEAKER: ("speaker", "speaker-missing"),
}
"""What a daemon that runs says of its devices: which check it answers, and with which fault."""

_INSTALL: Final = "sudo scripts/install.sh"


def installed(patient: Patient) -> Sequence[Finding]:
    """Prove that systemd knows the unit, starts it with the machine, and watches it."""
    machine = patient.machine
    if not machine.has_systemd:
        return [skipped("systemd does not run here")]
    known = machine.properties(
        "LoadState", "UnitFileState", "ActiveState", "Result", "NRestarts", "StatusText", "NeedDaemonReload",
        "WatchdogUSec", "FragmentPath",
    )  # fmt: skip
    if known.get("LoadState") != "loaded":
        return [fault("unit-missing", f"{UNIT} is not installed", _INSTALL)]
    found = []
    if known.get("ActiveState") == "failed":
        why = known.get("Result", "unknown")
        found.append(
            fault(
                "unit-failed",
                f"{UNIT} has failed: {why}",
                "journalctl -u kioskd -n 30 says why; mend that first",
            )
        )
    if known.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "linked"):
        found.append(
            fault(
                "unit-not-enabled", f"{UNIT} does not start with the machine", "sudo systemctl enable kioskd"
            )
        )
    if known.get("WatchdogUSec") in ("0", "infinity", None):
        found.append(
            fault(
                "unit-unwatched", f"{UNIT} has no watchdog: a kiosk that hangs would hang for ever", _INSTALL
            )
        )
    if known.get("NeedDaemonReload") == "yes":
        found.append(note(f"{UNIT} was changed on disk", "sudo systemctl daemon-reload"))
    state = known.get("ActiveState", "unknown")
    words = f": {known['StatusText']}" if known.get("StatusText") else ""
    return found or [ok(f"{UNIT} is installed and enabled, and {state}{words}")]


def sandbox(patient: Patient) -> Sequence[Finding]:
    """Prove that the unit runs as nobody in particular, and may touch nothing but its devices."""
    machine = patient.machine
    if not machine.has_systemd:
        return [skipped("systemd does not run here")]
    known = machine.properties("User", "DynamicUser", *SANDBOX)
    if not known:
        return [skipped(f"systemd says nothing of {UNIT}")]
    found = []
    if known.get("User", "") in ("", "root", "0") and known.get("DynamicUser") != "yes":
        found.append(fault("runs-as-root", f"{UNIT} runs as root", _INSTALL))
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
                f"{_INSTALL}; see `systemctl cat kioskd` for a drop-in that opens it",
            )
        )
    return found or [ok(f"{UNIT} runs as {known.get('User')}, shut off from all but its devices")]


def told(patient: Patient, check: str) -> Finding | None:
    """Return what the daemon that runs says is wrong with a device: it holds it, so nobody else can try."""
    words = patient.machine.properties("StatusText").get("StatusText", "")
    for code, (device, name) in DEVICES.items():
        if device == check and f"(code {code})" in words:
            return fault(name, f"kioskd says: {words}", "kioskd devices lists what is here")
    return None
