"""The way to the service, as far as pictures may use it: one at a time, and never before the sound."""

import math
from collections.abc import Awaitable, Callable
from typing import Final

from kioskd.ports import Clock, Connection

BACKLOG_BYTES: Final = 2048
"""A frame of sound on the wire is half of it: more than a frame or two that has not left is congestion."""

PATIENCE_S: Final = 0.05
"""How often it is asked whether the way is free: two frames of sound."""


class PicturePacer:
    """One for all who send pictures."""

    def __init__(self, clock: Clock, *, uplink_idle: Callable[[], bool]) -> None:
        """`uplink_idle`: whether no sound waits to be sent."""
        self._clock = clock
        self._uplink_idle = uplink_idle
        self._connection: Connection | None = None
        self._end = 0.0
        """Where the newest picture ends among the bytes that were written over that connection."""

    def busy(self, connection: Connection) -> bool:
        """Return whether a picture is on its way: also where only the other end can tell, as behind a slow modem."""
        return connection is self._connection and connection.arrived < self._end

    async def send(
        self, connection: Connection, sending: Callable[[], Awaitable[None]], *, wanted: Callable[[], bool]
    ) -> bool:
        """Send a picture as soon as nothing else is being sent; False if it is not `wanted` any more before that.

        Raises:
            LinkLost: as `sending`.
        """
        while wanted():
            if self._free(connection):
                self._connection, self._end = connection, math.inf  # nobody else's turn while it is written
                try:
                    await sending()
                finally:
                    self._end = connection.written
                return True
            await self._clock.sleep(PATIENCE_S)
        return False

    def _free(self, connection: Connection) -> bool:
        return self._uplink_idle() and connection.backlog <= BACKLOG_BYTES and not self.busy(connection)
