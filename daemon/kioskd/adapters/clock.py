"""The machine's clock. No other module sleeps."""

import asyncio
import ctypes
import datetime
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_TIMESYNCD: Final = Path("/run/systemd/timesync/synchronized")
"""The file that systemd-timesyncd creates when a time server has answered."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC, linux/timex.h
_STATUS: Final = 10
"""Index of the status in struct timex, counted in ints: it follows `modes` and four 64-bit longs."""


class SystemClock:
    """Monotonic time, which clock corrections do not change; a `ports.Clock`."""

    def now(self) -> float:
        """Return monotonic seconds from an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; 0 lets every other task run once."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` in the running loop after `seconds`, unless the handle is cancelled first."""
        return asyncio.get_running_loop().call_later(seconds, callback)


def wall() -> datetime.datetime:
    """Return local date and time, by the machine's current time zone."""
    time.tzset()  # else a change by timedatectl would be noticed at the next restart only
    return datetime.datetime.now().astimezone()


class MachineTime:
    """This machine's knowledge of its clock; a `ports.TimeEvidence`."""

    def synchronised(self) -> bool:
        """Return whether systemd-timesyncd or the kernel says that the clock is set from the network.

        The service's sandbox may keep the process from asking the kernel.
        """
        return _TIMESYNCD.exists() or _kernel_says_so()

    def boot(self) -> tuple[str, float]:
        """Return the kernel's identifier of this boot, and CLOCK_BOOTTIME in seconds."""
        return _boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME)


@functools.cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return "unknown"


def _kernel_says_so() -> bool:
    timex = (ctypes.c_int * 128)()  # modes = 0: read only
    if ctypes.CDLL(None).adjtimex(timex) < 0:
        return False
    return not timex[_STATUS] & _UNSYNCHRONISED
