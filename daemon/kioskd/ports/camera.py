"""Cameras."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class RunningCamera(Protocol):
    """A camera that is running."""

    async def shoot(self) -> bytes:
        """Return a fresh picture: a JPEG of at most the configured size, upright, without metadata.

        Encoding happens off the loop. Safe to cancel.

        Raises:
            DeviceLost: the camera went away, or has delivered nothing for 5 s.
        """


class Camera(Protocol):
    """Something that sees. It runs only while somebody is in the context of `look`."""

    def look(self) -> AbstractAsyncContextManager[RunningCamera]:
        """Start the camera and yield what it sees; stop it on the way out, so that its own light goes out.

        Entering ends within 10 s. May be entered again after it was left, as often as wanted: nothing is allocated
        anew then. One at a time.

        Raises:
            DeviceLost: the camera is not there, or does not start.
        """

    async def released(self) -> None:
        """Return when the camera is off: at once where nobody looks, and late, or never, where its stop hangs."""

    async def aclose(self) -> None:
        """Let go of what is kept open between looks; ends within 5 s. Nobody looks afterwards."""
