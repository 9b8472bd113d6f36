"""Interfaces of cameras."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class RunningCamera(Protocol):
    """A camera that is switched on."""

    async def shoot(self) -> bytes:
        """Return a fresh picture: a JPEG of at most the configured size, upright, without metadata.

        It is encoded outside the loop's thread. Safe to cancel.

        Raises:
            DeviceLost: the camera went away, or has delivered nothing for 5 s.
        """


class Camera(Protocol):
    """A camera that runs only inside the context of `look`."""

    def look(self) -> AbstractAsyncContextManager[RunningCamera]:
        """Switch the camera on and yield it; on leaving, switch it off, so that its own light goes out.

        Entering ends within 10 s. The context can be entered again and again without new allocations, but not
        twice at once.

        Raises:
            DeviceLost: the camera is missing, or does not start.
        """

    async def released(self) -> None:
        """Return when the camera is off: at once outside `look`, or late or never if stopping it hangs."""

    async def aclose(self) -> None:
        """Release everything that stays open between looks, within 5 s. No look may follow."""
