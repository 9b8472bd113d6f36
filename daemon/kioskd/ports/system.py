"""Time, the service manager, and the network of this machine."""

from collections.abc import Callable
from typing import NoReturn, Protocol


class Cancellable(Protocol):
    """Something that is going to happen."""

    def cancel(self) -> None:
        """Keep it from happening; does nothing when it has happened."""


class Clock(Protocol):
    """Time as the daemon sees it; tests move it by hand."""

    def now(self) -> float:
        """Return monotonic seconds from an arbitrary start."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call `callback` in the loop's thread after `seconds`, unless it is cancelled before."""


class TimeEvidence(Protocol):
    """What the machine knows of its own clock. Calls may read a file of the kernel's: they take no time."""

    def synchronised(self) -> bool:
        """Return whether a time server keeps the wall clock right, as far as the machine can tell."""

    def boot(self) -> tuple[str, float]:
        """Return a name for this run of the machine, and the seconds since it began, sleep included."""


class Notifier(Protocol):
    """The service manager. Every call returns at once, and does nothing where there is no manager."""

    @property
    def watchdog_s(self) -> float | None:
        """The manager's deadline between two signs of life, in seconds; None where it sets none."""

    def ready(self) -> None:
        """Say that the daemon can serve."""

    def status(self, text: str) -> None:
        """Say in words what the daemon is doing."""

    def alive(self) -> None:
        """Give one sign of life."""

    def reloading(self) -> None:
        """Say that new settings are being read; `ready` says that they hold, or that the old ones do."""

    def stopping(self) -> None:
        """Say that the daemon is on its way out."""


class Network(Protocol):
    """This machine's way to the world."""

    async def watch(self, on_change: Callable[[], None]) -> NoReturn:
        """Call `on_change` when there is a way out that is new or back, until cancelled."""
