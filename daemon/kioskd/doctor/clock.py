"""That the clock is set, and kept: without it no certificate holds, and no quiet hour is where it should be."""

from collections.abc import Sequence

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, note, ok, skipped


def clock(context: CheckContext) -> Sequence[Finding]:
    """Prove that it is synchronised by the network."""
    ran = context.machine.run("timedatectl", "show", "--property=NTP,NTPSynchronized,CanNTP,Timezone")
    if ran is None or ran.code:
        return [
            skipped(
                "timedatectl cannot be asked here; the service's certificate will show whether the date is right"
            )
        ]
    known = dict(line.split("=", 1) for line in ran.out.splitlines() if "=" in line)
    if known.get("NTPSynchronized") == "yes":
        return [ok(f"synchronised; {known.get('Timezone', 'no time zone')}")]
    if known.get("NTP") == "yes":
        return [
            fault(
                "clock-not-synchronised",
                "not synchronised yet: time servers are asked, and none has answered",
                "see that the network lets UDP port 123 out; timedatectl timesync-status",
            )
        ]
    if context.machine.at("/run/chrony").is_dir() or context.machine.at("/run/ntpd.pid").exists():
        return [note("kept by a program that timedatectl does not know", "chronyc tracking; ntpq -p")]
    remedy = "sudo timedatectl set-ntp true"
    if known.get("CanNTP") == "no":
        remedy = "sudo apt install systemd-timesyncd"
    return [fault("clock-not-synchronised", "not synchronised, and no time server is asked", remedy)]
