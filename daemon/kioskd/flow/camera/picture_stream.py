"""The stream of camera pictures to the service. It never delays the sound.

    camera device ─► slot ─► unlike the last one? ─► nothing else to send? ─► connection

The slot holds one picture, the newest. A picture that waits does not keep the camera from taking the next
one.
"""

import asyncio
import logging
from typing import Final, NoReturn

from kioskd.core.effects import SetCamera
from kioskd.errors import LinkLost
from kioskd.flow.camera.camera_device import CameraDevice, Snapshot
from kioskd.flow.camera.change_filter import ChangeFilter
from kioskd.flow.link.picture_pacer import PATIENCE_S, PicturePacer
from kioskd.ports import Clock, Connection

log = logging.getLogger(__name__)

LEAST_S: Final = 1.0
"""The least seconds between two pictures: the service looks at one a second at most."""

SHARE: Final = 10
"""Pictures use at most one part in `SHARE` of the line's time, so they become rare on a slow line.

The next frames of sound wait behind a picture.
"""

DRAIN_S: Final = 30.0
"""The most seconds that the stream watches a picture leave. A dead line is detected by then."""

LINGER_S: Final = 5.0
"""The seconds that a running camera stays on without a connection, so that a rollover goes unnoticed."""


class PictureStream:
    """Sends the camera's newest picture while the gate is open and there is a connection."""

    def __init__(
        self,
        device: CameraDevice,
        pacer: PicturePacer,
        clock: Clock,
        *,
        every_s: float,
        change_filter: ChangeFilter,
    ) -> None:
        """Start with the gate closed. A picture is taken every `every_s` seconds, at most one a second."""
        self._device = device
        self._pacer = pacer
        self._clock = clock
        self._every_s = max(LEAST_S, every_s)
        self._change_filter = change_filter
        self._counts = device.counts
        self._open = False
        self._connection: Connection | None = None
        self._due = self._shot_at = self._lingers_until = clock.now()
        self._slot: Snapshot | None = None
        self._filled = asyncio.Event()

    def set_camera(self, effect: SetCamera) -> None:
        self._open = effect.open
        if not self._open:
            self._empty_slot("late")
        self._schedule()

    def forget(self) -> None:
        """Forget a conversation that is over. Its last picture must not delay those of the next one."""
        self.disconnect()
        self._due = self._lingers_until = self._clock.now()
        self._schedule()

    def connect(self, connection: Connection) -> None:
        self._connection = connection
        self._schedule()

    def disconnect(self) -> None:
        """Stop sending, and forget the last picture and the line's speed.

        The next connection's session may have seen no picture, and its line may be faster.
        """
        if self._connection is not None:
            self._lingers_until = self._clock.now() + LINGER_S
        self._connection = None
        self._change_filter.forget()
        self._due = min(self._due, self._shot_at + self._every_s)
        self._empty_slot("late")
        self._schedule()

    def take(self, shot: Snapshot, asked: bool) -> None:
        """Note a new picture. If it was `asked` for, `SnapshotRequests` sends it: twice would cost twice."""
        self._shot_at = shot.at
        self._due = shot.at + self._every_s
        self._schedule()
        if self._sending and not asked:
            self._empty_slot("late")
            self._slot = shot
            self._filled.set()

    async def run(self) -> NoReturn:
        """Send the picture in the slot when no other data waits. Runs until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            shot, self._slot = self._slot, None
            connection = self._connection
            if shot is None or connection is None:
                continue
            sketch = await self._change_filter.sketch(shot.jpeg)
            if sketch is None or self._change_filter.is_alike(sketch, self._clock.now()):
                self._counts["damaged" if sketch is None else "alike"] += 1
                continue
            try:
                if not await self._deliver(connection, shot, sketch):
                    self._counts["congested" if self._sending else "late"] += 1
            except LinkLost:
                # The reader of this connection reports the loss. Until then, nothing more is sent.
                if self._connection is connection:
                    self.disconnect()

    async def _deliver(self, connection: Connection, shot: Snapshot, sketch: bytes) -> bool:
        """Send a picture when the line is free. Return False if its connection ended or a newer one waits."""
        begun = 0.0

        async def sending() -> None:
            nonlocal begun
            begun = self._clock.now()
            log.debug("> picture: bytes=%d age=%.2fs", len(shot.jpeg), begun - shot.at)
            await connection.send_picture(shot.jpeg)

        def wanted() -> bool:
            return self._open and self._connection is connection and self._slot is None

        if not await self._pacer.send(connection, sending, wanted=wanted):
            return False
        self._counts["sent"] += 1
        while self._connection is connection and self._clock.now() - begun < DRAIN_S:
            self._change_filter.keep(sketch, begun)
            self._due = max(self._due, begun + (self._clock.now() - begun) * SHARE)
            self._schedule()
            if not self._pacer.busy(connection):
                break
            await self._clock.sleep(PATIENCE_S)
        return True

    @property
    def _sending(self) -> bool:
        return self._open and self._connection is not None

    def _schedule(self) -> None:
        self._device.schedule(
            self._due if self._sending else None, lingers_until=self._lingers_until if self._open else 0.0
        )

    def _empty_slot(self, why: str) -> None:
        if self._slot is not None:
            self._slot = None
            self._counts[why] += 1
