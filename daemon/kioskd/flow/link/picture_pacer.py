"""A pacer for pictures on the line to the service: one at a time, and only while no sound waits."""

import math
from collections.abc import Awaitable, Callable
from typing import Final

from kioskd.ports import Clock, Connection

BACKLOG_BYTES: Final = 2048
"""The most unsent bytes on a free line: two frames of sound. More are congestion."""

PATIENCE_S: Final = 0.05
"""The seconds between two checks of the line: two frames of sound."""


class PicturePacer:
    """Lets pictures pass when the line is free. All senders of pictures share it."""

    def __init__(self, clock: Clock, *, uplink_idle: Callable[[], bool]) -> None:
        """`uplink_idle`: whether no sound waits to be sent."""
        self._clock = clock
        self._uplink_idle = uplink_idle
        self._connection: Connection | None = None
        self._end = 0.0
        """The position of the newest picture's end in the bytes that were written to that connection."""

    def busy(self, connection: Connection) -> bool:
        """Return whether a picture has not arrived. Behind a slow modem, only the service can tell."""
        return connection is self._connection and connection.arrived < self._end

    async def send(
        self, connection: Connection, sending: Callable[[], Awaitable[None]], *, wanted: Callable[[], bool]
    ) -> bool:
        """Send a picture as soon as the line is free. Return False if it is not `wanted` any more by then.

        Raises:
            LinkLost: raised by `sending`.
        """
        while wanted():
            if self._free(connection):
                self._connection, self._end = (
                    connection,
                    math.inf,
                )  # no other picture while this one is written
                try:
                    await sending()
                finally:
                    self._end = connection.written
                return True
            await self._clock.sleep(PATIENCE_S)
        return False

    def _free(self, connection: Connection) -> bool:
        return self._uplink_idle() and connection.backlog <= BACKLOG_BYTES and not self.busy(connection)
