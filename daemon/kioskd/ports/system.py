"""Interfaces of time, the service manager, and this machine's network."""

from collections.abc import Callable
from typing import NoReturn, Protocol


class Cancellable(Protocol):
    """A pending call."""

    def cancel(self) -> None:
        """Cancel the call; does nothing if it has happened."""


class Clock(Protocol):
    """Time as the daemon sees it; tests move it by hand."""

    def now(self) -> float:
        """Return monotonic seconds from an arbitrary start."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Cancellable:
        """Call `callback` in the loop's thread after `seconds`, unless it is cancelled before."""


class TimeEvidence(Protocol):
    """Knowledge of the machine about its own clock. Calls may read a kernel file, which takes no time."""

    def synchronised(self) -> bool:
        """Return whether a time server keeps the wall clock right, as far as the machine can tell."""

    def boot(self) -> tuple[str, float]:
        """Return a name for this run of the machine, and the seconds since it began, sleep included."""


class Notifier(Protocol):
    """The service manager. Every call returns at once, and does nothing without a manager."""

    @property
    def watchdog_s(self) -> float | None:
        """The manager's deadline between two signs of life in seconds; None: it sets none."""

    def ready(self) -> None:
        """Report that the daemon is ready to serve."""

    def status(self, text: str) -> None:
        """Report in words what the daemon is doing."""

    def alive(self) -> None:
        """Give one sign of life."""

    def reloading(self) -> None:
        """Report that new settings are being read; `ready` follows when they, or the old ones, apply."""

    def stopping(self) -> None:
        """Report that the daemon is stopping."""


class Network(Protocol):
    """This machine's network."""

    async def watch(self, on_change: Callable[[], None]) -> NoReturn:
        """Call `on_change` whenever a route is new or back, until cancelled."""
