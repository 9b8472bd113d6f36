"""Camera -> slot of one -> Live: a picture now and then, while somebody wants them, and never at the sound's expense.

    shooter ─► newest ─► look (on request)
                 │
                 └─► slot ─► unlike the last one? ─► nothing else to send? ─► connection

Two workers, so that a picture which waits for its turn never keeps the camera from seeing, nor a slow camera the rest.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from kioskd import journal_ids
from kioskd.core.effects import HangUp, SetCamera
from kioskd.core.events import Device, DeviceCame, DeviceGone, Event
from kioskd.errors import DeviceLost, LinkLost
from kioskd.flow.camera.change_filter import ChangeFilter
from kioskd.flow.camera.snapshot_requests import ShowPicture, Snapshot, SnapshotRequests, fail, no_picture
from kioskd.flow.link.picture_pacer import PATIENCE_S, PicturePacer
from kioskd.flow.runtime.workers import first_of
from kioskd.ports import DARK, Camera, Cancellable, Clock, Connection, Lamp, Light, RunningCamera

log = logging.getLogger(__name__)

LEAST_S: Final = 1.0
"""The service looks at one picture a second at most."""

REUSE_S: Final = 5.0
"""How old a picture may be that is shown on request."""

SHARE: Final = 10
"""A picture may keep the line busy for one part in so many of the time. Its next frames of sound wait behind it, so on
a slow line pictures become rare."""

DRAIN_S: Final = 30.0
"""How long a picture is watched on its way out; the connection has found out about a dead line by then."""

LINGER_S: Final = 5.0
"""How long a camera that runs goes on without a connection, taking no picture: a rollover is to go unnoticed."""

FIRST_RETRY_S: Final = 1.0
MOST_RETRY_S: Final = 60.0

_LIT: Final = Light("camera", 1.0, 1.0, 1.0)


class CameraStream:
    """The eyes."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        *,
        way: PicturePacer,
        every_s: float,
        min_change: float,
        refresh_s: float,
        post: Callable[[Event], None] = lambda _event: None,
        lamp: Lamp | None = None,
        show: ShowPicture = lambda _jpeg, _settled: False,
    ) -> None:
        """`show` puts a picture before the model on request; False: too many wait for that.

        `min_change`, `refresh_s`: see `ChangeFilter`. `lamp`: the camera's own, lit exactly while it runs, and be it
        against our will; whoever owns it drives it.
        """
        self._camera = camera
        self._clock = clock
        self._way = way
        self._post = post
        self._every_s = max(LEAST_S, every_s)
        self._change_filter = ChangeFilter(min_change, refresh_s)
        self._lamp = lamp
        self.looks = SnapshotRequests(self._fresh, show, clock)
        """What a person has asked for to be shown."""
        self._conversation = 0
        self._open = False
        self._connection: Connection | None = None
        self._changed = asyncio.Event()
        self._due = self._shot_at = self._lingers_until = clock.now()
        self._newest: Snapshot | None = None
        self._forgetting: Cancellable | None = None
        self._asked: set[asyncio.Future[Snapshot]] = set()
        self._slot: Snapshot | None = None
        self._filled = asyncio.Event()
        self._retry_s = 0.0
        self._looking = False
        self._left = asyncio.Event()
        self.running = False
        """Whether the camera runs."""
        self.missing = False
        """Whether it was lost, and has given no picture since."""
        self.counts: Counter[str] = Counter()
        """What became of pictures, ever: shot, sent; not sent because alike, congested, late or damaged."""

    def set_eyes(self, effect: SetCamera) -> None:
        """Open or shut the eyes."""
        self._open = effect.open
        if not self._open:
            self._empty_slot("late")
        self._changed.set()

    def forget(self, _effect: HangUp) -> None:
        """The conversation is over: take no picture that was asked for in it, and show the next none of this one's.

        Nor does the next one wait out a loss of the camera in this one.
        """
        self._conversation += 1
        self._retry_s = 0.0
        self.disconnect()  # what is still on its way there is no matter to the next one
        self._due = self._lingers_until = self._clock.now()
        self._forget()
        self.looks.forget()
        for asked in self._asked:
            fail(asked, DeviceLost("camera: the conversation has ended"))
        self._asked.clear()
        self._changed.set()

    def connect(self, connection: Connection) -> None:
        """Have a connection to send to."""
        self._connection = connection
        self._changed.set()

    def disconnect(self) -> None:
        """Send nothing more, and remember nothing: the next connection's session may have seen nothing yet.

        Nor may its line be as slow.
        """
        if self._connection is not None:
            self._lingers_until = self._clock.now() + LINGER_S
        self._connection = None
        self._change_filter.forget()
        self._due = min(self._due, self._shot_at + self._every_s)
        self._empty_slot("late")
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; the camera is off then."""
        try:
            await first_of(self._watch(), self._send(), self.looks.run(), self._put_lamp_out())
        finally:
            await self._camera.aclose()
            self._go_dark()

    async def fresh(self, within_s: float) -> bytes:
        """Return a picture that is at most 5 s old, starting the camera if need be.

        Raises:
            DeviceLost: there is none within so many seconds.
        """
        return (await self._fresh(within_s)).jpeg

    async def _fresh(self, within_s: float) -> Snapshot:
        if self._newest is not None and self._clock.now() - self._newest.at <= REUSE_S:
            return self._newest
        asked: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        late = self._clock.call_later(within_s, lambda: fail(asked, no_picture(within_s)))
        self._asked.add(asked)
        self._changed.set()
        try:
            return await asked
        finally:
            self._asked.discard(asked)
            late.cancel()

    async def _watch(self) -> None:
        """Run the camera while it is wanted."""
        while True:
            while not self._wanted:
                await self._change()
            conversation = self._conversation
            try:
                await self._look()
            except DeviceLost as error:
                self._lose(error)
                if conversation == self._conversation:
                    await self._wait_out()

    async def _wait_out(self) -> None:
        """Wait after a loss; whoever asks meanwhile, or the next conversation, has the camera tried at once."""
        conversation = self._conversation
        self._retry_s = min(2 * self._retry_s or FIRST_RETRY_S, MOST_RETRY_S)
        retry_at = self._clock.now() + self._retry_s
        while (left_s := retry_at - self._clock.now()) > 0:
            if self._asked or conversation != self._conversation:
                return
            await self._change(left_s)

    async def _look(self) -> None:
        self._looking = True
        self._shine(_LIT)
        try:
            async with self._camera.look() as sight:
                self.running = True
                while self._wanted or self._lingers:
                    now = self._clock.now()
                    if self._asked or (self._sending and now >= self._due):
                        await self._shoot(sight)
                    else:
                        await self._change((self._due if self._sending else self._lingers_until) - now)
        finally:
            self._looking = False
            self._left.set()
            log.debug(
                "camera off: %s", " ".join(f"{what}={count}" for what, count in sorted(self.counts.items()))
            )

    async def _put_lamp_out(self) -> None:
        """Wait for the camera to be off, which a driver may make a long story."""
        while True:
            await self._left.wait()
            self._left.clear()
            await self._camera.released()
            if not self._looking:
                self._go_dark()

    def _go_dark(self) -> None:
        self.running = False
        self._shine(DARK)

    async def _shoot(self, sight: RunningCamera) -> None:
        asked, conversation = frozenset(self._asked), self._conversation
        jpeg = await sight.shoot()
        if conversation != self._conversation:
            return  # nobody shall see it
        shot = Snapshot(self._clock.now(), jpeg)
        self.counts["shot"] += 1
        self._shot_at = shot.at
        self._due = shot.at + self._every_s
        self._retry_s = 0.0
        if self.missing:
            self.missing = False
            log.info("camera back")
            self._post(DeviceCame(Device.CAMERA))
        self._keep(shot)
        for one in asked:
            if not one.done():
                one.set_result(shot)
            self._asked.discard(one)
        if self._sending and not asked:  # who asked shows it; twice would be billed twice
            self._empty_slot("late")
            self._slot = shot
            self._filled.set()

    async def _send(self) -> None:
        """Send what is in the slot, when there is nothing else to send."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            shot, self._slot = self._slot, None
            connection = self._connection
            if shot is None or connection is None:
                continue
            sketch = await self._change_filter.sketch(shot.jpeg)
            if sketch is None or self._change_filter.is_alike(sketch, self._clock.now()):
                self.counts["damaged" if sketch is None else "alike"] += 1
                continue
            try:
                if not await self._deliver(connection, shot, sketch):
                    self.counts["congested" if self._sending else "late"] += 1
            except LinkLost:
                # The reader of this connection reports the loss; until then nothing more is sent into it.
                if self._connection is connection:
                    self.disconnect()

    async def _deliver(self, connection: Connection, shot: Snapshot, sketch: bytes) -> bool:
        """Send a picture when the way is free; False if that connection is over by then, or there is a newer one."""
        begun = 0.0

        async def sending() -> None:
            nonlocal begun
            begun = self._clock.now()
            log.debug("> picture: bytes=%d age=%.2fs", len(shot.jpeg), begun - shot.at)
            await connection.send_picture(shot.jpeg)

        def wanted() -> bool:
            return self._open and self._connection is connection and self._slot is None

        if not await self._way.send(connection, sending, wanted=wanted):
            return False
        self.counts["sent"] += 1
        while self._connection is connection and self._clock.now() - begun < DRAIN_S:
            self._change_filter.keep(sketch, begun)
            self._due = max(self._due, begun + (self._clock.now() - begun) * SHARE)
            if not self._way.busy(connection):
                break
            await self._clock.sleep(PATIENCE_S)
        return True

    @property
    def _sending(self) -> bool:
        return self._open and self._connection is not None

    @property
    def _wanted(self) -> bool:
        return self._sending or bool(self._asked)

    @property
    def _lingers(self) -> bool:
        return self._open and self._clock.now() < self._lingers_until

    async def _change(self, within_s: float | None = None) -> None:
        """Return when something has changed, or after so many seconds."""
        self._changed.clear()
        timer = None if within_s is None else self._clock.call_later(within_s, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _empty_slot(self, why: str) -> None:
        if self._slot is not None:
            self._slot = None
            self.counts[why] += 1

    def _keep(self, shot: Snapshot) -> None:
        """Keep the newest picture for whoever asks, and no longer than it may be shown."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._newest = shot
        self._forgetting = self._clock.call_later(REUSE_S, self._forget)

    def _forget(self) -> None:
        self._newest = None

    def _lose(self, error: DeviceLost) -> None:
        if self.missing:
            log.debug("camera still away: %s", error)
        else:
            self.missing = True
            log.warning(
                "camera lost, going on without, retrying: %s",
                error,
                extra={"message_id": journal_ids.PART_LOST},
            )
            self._post(DeviceGone(Device.CAMERA, error.device))
        for asked in self._asked:
            fail(asked, error)
        self._asked.clear()

    def _shine(self, light: Light) -> None:
        if self._lamp is not None:
            self._lamp.shine(light)
