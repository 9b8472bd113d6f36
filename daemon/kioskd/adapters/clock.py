"""The time of the machine: the only home of sleeping."""

import asyncio
import datetime
import time
from collections.abc import Callable


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


def local_time() -> datetime.time:
    """Return the time of day where the kiosk stands."""
    return wall().time()


def wall() -> datetime.datetime:
    """Return date and time where the kiosk stands, as the machine's time zone is now."""
    time.tzset()  # what timedatectl sets would else hold after a restart only
    return datetime.datetime.now().astimezone()
