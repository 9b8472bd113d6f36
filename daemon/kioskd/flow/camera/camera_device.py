"""The camera: on only while pictures are wanted, one picture at a time, retried when it is lost."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from kioskd.core.events import Device, Event
from kioskd.errors import DeviceLost
from kioskd.flow.runtime.device_supervisor import DeviceSupervisor
from kioskd.flow.runtime.workers import first_of
from kioskd.ports import DARK, Camera, Cancellable, Clock, Lamp, Light, RunningCamera

log = logging.getLogger(__name__)

REUSE_S: Final = 5.0
"""The greatest age of a picture that answers a request, in seconds."""

MOST_RETRY_S: Final = 60.0
"""The longest delay between two tries of a lost camera, in seconds."""

_LIT: Final = Light("camera", 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A picture, and the clock's time when it was taken."""

    at: float
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Schedule:
    """The times that the stream has asked for."""

    due: float | None = None
    """The clock's time when the stream's next picture is due; None if it wants none."""
    lingers_until: float = 0.0
    """The clock's time until which a running camera stays on without a wish for pictures."""


class CameraDevice:
    """One camera with two users: a stream, which sets the time of its next picture, and requests."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        post: Callable[[Event], None],
        *,
        lamps: Sequence[Lamp] = (),
    ) -> None:
        """Start with the camera off.

        Args:
            camera: The device.
            clock: The time.
            post: Takes events for the core.
            lamps: Lit exactly while the camera runs, also while a driver stops it slowly. `run` does not run
                them.
        """
        self._camera = camera
        self._clock = clock
        self._supervisor = DeviceSupervisor(
            "camera", clock, post, device=Device.CAMERA, needed=False, most_retry_s=MOST_RETRY_S, idles=True
        )
        self._lamps = tuple(lamps)
        self.on_shot: Callable[[Snapshot, bool], None] = lambda _shot, _asked: None
        """Called with each picture, and whether a request asked for it."""
        self._schedule = _Schedule()
        self._conversation = 0
        self._changed = asyncio.Event()
        self._newest: Snapshot | None = None
        self._forgetting: Cancellable | None = None
        self._asked: set[asyncio.Future[Snapshot]] = set()
        self._looking = False
        self._left = asyncio.Event()
        self.running = False
        """Whether the camera runs."""
        self.counts: Counter[str] = Counter()
        """All pictures by their fate: shot, sent; not sent because alike, congested, late or damaged."""

    @property
    def missing(self) -> bool:
        """Whether the camera was lost, and has given no picture since."""
        return self._supervisor.missing

    @property
    def keeps_picture(self) -> bool:
        return self._newest is not None

    def schedule(self, due: float | None, *, lingers_until: float = 0.0) -> None:
        """Take the stream's next picture at `due`, if any. A running camera stays on to `lingers_until`."""
        self._schedule = _Schedule(due, lingers_until)
        self._changed.set()

    def forget(self) -> None:
        """Drop pictures and requests of a conversation that is over. A lost camera is retried at once."""
        self._conversation += 1
        self._newest = None
        self._fail(DeviceLost("camera: the conversation has ended"))
        self._supervisor.hurry(anew=True)
        self._changed.set()

    async def once(self, within_s: float) -> Snapshot:
        """Return a picture that is at most 5 s old. Start the camera if needed. May be cancelled.

        Raises:
            DeviceLost: there is no picture within that time.
        """
        if self._newest is not None and self._clock.now() - self._newest.at <= REUSE_S:
            return self._newest
        asked: asyncio.Future[Snapshot] = asyncio.get_running_loop().create_future()
        late = self._clock.call_later(within_s, lambda: _fail(asked, no_picture(within_s)))
        self._asked.add(asked)
        self._supervisor.hurry()
        self._changed.set()
        try:
            return await asked
        finally:
            self._asked.discard(asked)
            late.cancel()

    async def run(self) -> None:
        """Run the camera while it is wanted, until cancelled. Then the camera is off."""
        try:
            await first_of(self._supervisor.use(self._serve), self._put_lamps_out())
        finally:
            await self._camera.aclose()
            self._go_dark()

    async def _serve(self) -> None:
        try:
            while True:
                while not self._wanted:
                    await self._change()
                await self._look()
        except DeviceLost as error:
            self._fail(error)
            raise

    async def _look(self) -> None:
        self._looking = True
        self._shine(_LIT)
        try:
            async with self._camera.look() as camera:
                self.running = True
                while self._wanted or self._clock.now() < self._schedule.lingers_until:
                    now, due = self._clock.now(), self._schedule.due
                    if self._asked or (due is not None and now >= due):
                        await self._shoot(camera)
                    else:
                        await self._change((self._schedule.lingers_until if due is None else due) - now)
        finally:
            self._looking = False
            self._left.set()
            log.debug(
                "camera off: %s", " ".join(f"{what}={count}" for what, count in sorted(self.counts.items()))
            )

    async def _shoot(self, camera: RunningCamera) -> None:
        asked, conversation = frozenset(self._asked), self._conversation
        jpeg = await camera.shoot()
        if conversation != self._conversation:
            return  # its conversation is over, and no other may show it
        shot = Snapshot(self._clock.now(), jpeg)
        self.counts["shot"] += 1
        self._supervisor.note_alive()
        self._keep(shot)
        for one in asked:
            if not one.done():
                one.set_result(shot)
            self._asked.discard(one)
        self.on_shot(shot, bool(asked))

    async def _put_lamps_out(self) -> None:
        """Put the lamps out each time the camera is off. A driver may need some time for that."""
        while True:
            await self._left.wait()
            self._left.clear()
            await self._camera.released()
            if not self._looking:
                self._go_dark()

    def _go_dark(self) -> None:
        self.running = False
        self._shine(DARK)

    def _shine(self, light: Light) -> None:
        for lamp in self._lamps:
            lamp.shine(light)

    @property
    def _wanted(self) -> bool:
        return self._schedule.due is not None or bool(self._asked)

    async def _change(self, within_s: float | None = None) -> None:
        """Return when the schedule or the requests have changed, or after `within_s` seconds."""
        self._changed.clear()
        timer = None if within_s is None else self._clock.call_later(within_s, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _keep(self, shot: Snapshot) -> None:
        """Keep the newest picture for requests while it is fresh enough."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._newest = shot
        self._forgetting = self._clock.call_later(REUSE_S, self._forget_newest)

    def _forget_newest(self) -> None:
        self._newest = None

    def _fail(self, error: DeviceLost) -> None:
        for asked in self._asked:
            _fail(asked, error)
        self._asked.clear()


def no_picture(within_s: float) -> DeviceLost:
    """Return the error of a camera that gave no picture in time."""
    return DeviceLost(f"camera: no picture within {within_s:.1f} s; see the journal's lines about the camera")


def _fail(asked: "asyncio.Future[Snapshot]", error: DeviceLost) -> None:
    if not asked.done():
        asked.set_exception(error)
