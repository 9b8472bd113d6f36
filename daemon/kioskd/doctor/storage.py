"""Checks that the disk has room, and that the daemon writes next to nothing to it: memory cards wear out."""

import os
from collections.abc import Sequence
from typing import Final

from kioskd.doctor import unit
from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, Verdict, fault, note, ok, skipped
from kioskd.doctor.machine import Machine

STATE: Final = "/var/lib/kioskd"
CACHE: Final = "/var/cache/kioskd"
PLACES: Final = ("/", STATE, CACHE, "/var/log")
"""The folders to which the kiosk writes releases, state, prompts and the journal."""

LEAST_MB: Final = 200
FEW_MB: Final = 500

WEAR_S: Final = 60.0
LARGEST_BYTES: Final = 64 * 1024
"""Most bytes that the daemon may write in a minute: one small file, with its file system's own blocks."""


def space(context: CheckContext) -> Sequence[Finding]:
    """Prove that each folder has room, and that the daemon can store its state."""
    found = []
    free_mb: dict[int, tuple[str, float]] = {}
    for place in PLACES:
        path = context.machine.at(place)
        try:
            device, disk = path.stat().st_dev, context.machine.statvfs(path)
        except OSError:
            continue  # not there yet: it will be on the disk of its parent, which is checked as well
        free_mb.setdefault(device, (place, disk.f_bavail * disk.f_frsize / 1e6))
        if place == STATE and disk.f_flag & os.ST_RDONLY:
            said = f"{place}: read-only: volume, mute and the day's budget are lost at each restart"
            remedy = "mount a small writable partition there; or a tmpfs, if they may be lost"
            found.append(fault("disk-read-only", said, remedy))
    found += [_room_finding(place, free) for place, free in free_mb.values() if free < FEW_MB]
    if all(one.verdict is not Verdict.FAULT for one in found):
        # The daemon finds some faults only when it writes.
        trouble = unit.reported_fault(context, "space")
        found += [trouble] if trouble else []
    least = round(min((free for _, free in free_mb.values()), default=0.0))
    return found or [ok(f"each disk that the kiosk writes to has at least {least} MB free", free_mb=least)]


def _room_finding(place: str, free_mb: float) -> Finding:
    said = f"{place}: only {free_mb:.0f} MB are free"
    if free_mb >= LEAST_MB:
        return note(said, "sudo apt clean", free_mb=round(free_mb))
    remedy = f"find what fills it: sudo du -xh --max-depth=2 {place} | sort -h | tail; sudo apt clean"
    return fault("disk-full", said, remedy, free_mb=round(free_mb))


async def wear(context: CheckContext) -> Finding:
    """Prove that a running daemon writes next to nothing, since its start or in the next minute (`wear`)."""
    machine = context.machine
    pid = machine.daemon()
    if pid is None:
        return skipped("kioskd is not running, so it writes nothing")
    written = _written_bytes(machine, pid)
    if written is None:
        return skipped("only root can see how much kioskd writes", "run doctor with sudo")
    if not context.wear:
        minutes = _running_minutes(machine, pid)
        if minutes is None or minutes < 1:
            return skipped("kioskd started less than a minute ago; run doctor again in a minute")
        # The very first start renders the prompts once. They are never counted, at whichever start.
        cached = sum(path.stat().st_size for path in machine.at(CACHE).rglob("*") if path.is_file())
        return _wear_finding(max(0, written - cached) / minutes, "a minute since it started")
    await context.clock.sleep(WEAR_S)
    later = _written_bytes(machine, pid)
    if later is None:
        return skipped("kioskd stopped during this check; run doctor again when it runs")
    return _wear_finding((later - written) * 60 / WEAR_S, "in a minute")


def _wear_finding(bytes_a_minute: float, when: str) -> Finding:
    figure = round(bytes_a_minute)
    said = f"kioskd wrote {bytes_a_minute / 1000:.1f} kB {when}"
    if bytes_a_minute <= LARGEST_BYTES:
        return ok(said, bytes_a_minute=figure)
    remedy = (
        "switch off privacy.recordings and a debug level (KIOSKD_LOG); if neither is on, please report it"
    )
    return fault("writes-much", said, remedy, bytes_a_minute=figure)


def _written_bytes(machine: Machine, pid: int) -> int | None:
    """Return the bytes that the process has written to a disk so far (proc(5), /proc/PID/io)."""
    lines = (machine.text(f"/proc/{pid}/io") or "").splitlines()
    counts = {name: int(count) for name, _, count in (line.partition(": ") for line in lines) if count}
    if "write_bytes" not in counts:
        return None
    return max(0, counts["write_bytes"] - counts.get("cancelled_write_bytes", 0))


def _running_minutes(machine: Machine, pid: int) -> float | None:
    """Return the minutes for which the process has run (proc(5), /proc/PID/stat, field 22)."""
    stat, uptime = machine.text(f"/proc/{pid}/stat"), machine.text("/proc/uptime")
    if not stat or not uptime:
        return None
    started_s = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return (float(uptime.split()[0]) - started_s) / 60
