"""Checks that the clock is set and kept: without it no certificate holds, and quiet hours come at the wrong time."""

from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped
from kioskd.doctor.machine import assignments

_NOT_ASKED: Final = (
    "timedatectl cannot be asked here; the service's certificate will show whether the date is right"
)


def clock(context: CheckContext) -> Finding:
    """Prove that it is synchronised by the network."""
    shown = context.machine.output("timedatectl", "show", "--property=NTP,NTPSynchronized,CanNTP,Timezone")
    if shown is None:
        return skipped(_NOT_ASKED)
    known = assignments(shown)
    if known.get("NTPSynchronized") == "yes":
        return ok(f"synchronised; {known.get('Timezone', 'no time zone')}")
    if known.get("NTP") == "yes":
        return fault(
            "clock-not-synchronised",
            "not synchronised yet: time servers are asked, and none has answered",
            "see that the network lets UDP port 123 out; timedatectl timesync-status",
        )
    if context.machine.at("/run/chrony").is_dir() or context.machine.at("/run/ntpd.pid").exists():
        return note("kept by a program that timedatectl does not know", "chronyc tracking; ntpq -p")
    remedy = "sudo timedatectl set-ntp true"
    if known.get("CanNTP") == "no":
        remedy = "sudo apt install systemd-timesyncd"
    return fault("clock-not-synchronised", "not synchronised, and no time server is asked", remedy)
