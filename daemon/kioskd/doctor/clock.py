"""Checks the clock: with a wrong one no certificate is valid, and quiet hours come at the wrong time."""

from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.doctor.machine import assignments

_NOT_ASKED: Final = (
    "timedatectl does not work here; the check of the service's certificate (tls) also proves the date"
)


def clock(context: CheckContext) -> Finding:
    """Prove that the network sets the clock."""
    shown = context.machine.output("timedatectl", "show", "--property=NTP,NTPSynchronized,CanNTP,Timezone")
    if shown is None:
        return skipped(_NOT_ASKED)
    known = assignments(shown)
    if known.get("NTPSynchronized") == "yes":
        return ok(f"set from the network; time zone: {known.get('Timezone', 'none')}")
    if known.get("NTP") == "yes":
        return fault(
            "clock-not-synchronised",
            "not set from the network yet: no time server has answered",
            "let UDP port 123 out of the network (firewall, router); see timedatectl timesync-status",
        )
    if context.machine.at("/run/chrony").is_dir() or context.machine.at("/run/ntpd.pid").exists():
        return note("chrony or ntpd sets it", "chronyc tracking or ntpq -p shows whether it is right")
    remedy = "sudo timedatectl set-ntp true"
    if known.get("CanNTP") == "no":
        remedy = "sudo apt install systemd-timesyncd"
    return fault(
        "clock-not-synchronised", "not set from the network, and no time service is switched on", remedy
    )
