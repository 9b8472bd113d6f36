"""The time of the machine: the only home of sleeping."""

import asyncio
import ctypes
import datetime
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes this file when a time server has answered."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC, linux/timex.h
_STATUS: Final = 10
"""The place of the status among the ints of struct timex: behind modes and four longs, of 64 bits each."""


class SystemClock:
    """Monotonic time, which no clock correction moves; a `ports.Clock`."""

    def now(self) -> float:
        """Return monotonic seconds from an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; 0 lets all others run once."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` in the running loop after `seconds`, unless the handle is cancelled before."""
        return asyncio.get_running_loop().call_later(seconds, callback)


def wall() -> datetime.datetime:
    """Return date and time where the kiosk stands, as the machine's time zone is now."""
    time.tzset()  # what timedatectl sets would else hold after a restart only
    return datetime.datetime.now().astimezone()


class MachineTime:
    """What this machine knows of its clock; a `ports.TimeEvidence`."""

    def synchronised(self) -> bool:
        """Return whether systemd-timesyncd says so, or the kernel (which the service's sandbox may keep to itself)."""
        return _TIMESYNCD.exists() or _kernel_says_so()

    def boot(self) -> tuple[str, float]:
        """Return the kernel's name for this boot, and CLOCK_BOOTTIME."""
        return _boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME)


@functools.cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return "unknown"


def _kernel_says_so() -> bool:
    timex = (ctypes.c_int * 128)()  # modes = 0: it is only read
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return False
    return not timex[_STATUS] & _UNSYNCHRONISED
