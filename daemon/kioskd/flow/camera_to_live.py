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
from dataclasses import dataclass, field
from typing import Final

from kioskd import messages
from kioskd.core.effects import Look, SetEyes
from kioskd.errors import DeviceLost, LinkLost
from kioskd.flow.crew import first_of
from kioskd.media import picture
from kioskd.media.picture import BadPicture
from kioskd.ports import DARK, Camera, Cancellable, Clock, Connection, Lamp, Light, Sight

log = logging.getLogger(__name__)

LEAST_S: Final = 1.0
"""The service looks at one picture a second at most."""

REUSE_S: Final = 5.0
"""How old a picture may be that is shown on request."""

REQUEST_S: Final = 10.0
"""How long a picture that a person asked for is waited for: a camera's start, and once more."""

BACKLOG_BYTES: Final = 2048
"""A frame of sound on the wire is half of it: more than a frame or two that has not left is congestion."""

PATIENCE_S: Final = 0.05
"""How often it is asked whether the way is free: two frames of sound."""

SHARE: Final = 10
"""A picture may keep the line busy for one part in so many of the time. Its next frames of sound wait behind it, so on
a slow line pictures become rare."""

DRAIN_S: Final = 30.0
"""How long a picture is watched on its way out; the connection has found out about a dead line by then."""

FIRST_RETRY_S: Final = 1.0
MOST_RETRY_S: Final = 60.0

_LIT: Final = Light("camera", 1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Shot:
    at: float
    jpeg: bytes = field(repr=False)


class CameraToLive:
    """The eyes."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        *,
        uplink_idle: Callable[[], bool],
        every_s: float = LEAST_S,
        min_change: float = 0.02,
        refresh_s: float = 60.0,
        lamp: Lamp | None = None,
        show: Callable[[bytes], object] = lambda _jpeg: None,
    ) -> None:
        """`uplink_idle`: whether no sound waits to be sent. `show` puts a picture before the model on request.

        `min_change`: how unlike the last picture sent one must be to be sent (see `picture.difference`; 0: however
        like), unless that was `refresh_s` ago. `lamp`: the camera's own, lit exactly while it runs; whoever owns it
        drives it.
        """
        self._camera = camera
        self._clock = clock
        self._uplink_idle = uplink_idle
        self._every_s = max(LEAST_S, every_s)
        self._min_change = min_change
        self._refresh_s = refresh_s
        self._lamp = lamp
        self._show = show
        self._show_asked = asyncio.Event()
        self._open = False
        self._connection: Connection | None = None
        self._changed = asyncio.Event()
        self._due = clock.now()
        self._newest: _Shot | None = None
        self._forgetting: Cancellable | None = None
        self._asked: set[asyncio.Future[bytes]] = set()
        self._slot: _Shot | None = None
        self._filled = asyncio.Event()
        self._sent_at = 0.0
        self._sent_sketch = b""
        self._missing = False
        self._retry_s = 0.0
        self.running = False
        """Whether the camera runs."""
        self.counts: Counter[str] = Counter()
        """What became of pictures, ever: shot, sent; not sent because alike, congested, late or damaged."""

    def set_eyes(self, effect: SetEyes) -> None:
        """Open or shut the eyes."""
        self._open = effect.open
        if not self._open:
            self._empty_slot("late")
        self._changed.set()

    def show_now(self, _effect: Look) -> None:
        """Show the model what is seen now."""
        self._show_asked.set()

    def connect(self, connection: Connection) -> None:
        """Have a connection to send to."""
        self._connection = connection
        self._changed.set()

    def disconnect(self) -> None:
        """Send nothing more, and remember nothing: the next connection's session may have seen nothing yet."""
        self._connection = None
        self._sent_sketch = b""
        self._empty_slot("late")
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; the camera is off then."""
        try:
            await first_of(self._watch(), self._send(), self._show_when_asked())
        finally:
            await self._camera.aclose()

    async def fresh(self, within_s: float) -> bytes:
        """Return a picture that is at most 5 s old, starting the camera if need be.

        Raises:
            DeviceLost: there is none within so many seconds.
        """
        if self._newest is not None and self._clock.now() - self._newest.at <= REUSE_S:
            return self._newest.jpeg
        asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        late = self._clock.call_later(within_s, lambda: _fail(asked, _no_picture(within_s)))
        self._asked.add(asked)
        self._changed.set()
        try:
            return await asked
        finally:
            self._asked.discard(asked)
            late.cancel()

    async def _show_when_asked(self) -> None:
        while True:
            await self._show_asked.wait()
            self._show_asked.clear()
            try:
                self._show(await self.fresh(REQUEST_S))
            except DeviceLost as error:
                log.warning("picture asked for, and there is none: %s", error)

    async def _watch(self) -> None:
        """Run the camera while it is wanted."""
        retry_at = self._clock.now()
        while True:
            # A loss is waited out; whoever asks meanwhile has it tried at once.
            while (left_s := retry_at - self._clock.now()) > 0 and not self._asked:
                await self._change(left_s)
            while not self._wanted:
                await self._change()
            try:
                await self._look()
            except DeviceLost as error:
                self._lose(error)
                self._retry_s = min(2 * self._retry_s or FIRST_RETRY_S, MOST_RETRY_S)
                retry_at = self._clock.now() + self._retry_s

    async def _look(self) -> None:
        self._shine(_LIT)
        try:
            async with self._camera.look() as sight:
                self.running = True
                while self._wanted:
                    if self._asked or self._clock.now() >= self._due:
                        await self._shoot(sight)
                    else:
                        await self._change(self._due - self._clock.now())
        finally:
            self.running = False
            self._shine(DARK)
            log.debug(
                "camera off: %s", " ".join(f"{what}={count}" for what, count in sorted(self.counts.items()))
            )

    async def _shoot(self, sight: Sight) -> None:
        asked = frozenset(self._asked)
        jpeg = await sight.shoot()
        shot = _Shot(self._clock.now(), jpeg)
        self.counts["shot"] += 1
        self._due = shot.at + self._every_s
        self._retry_s = 0.0
        if self._missing:
            self._missing = False
            log.info("camera back")
        self._keep(shot)
        for one in asked:
            if not one.done():
                one.set_result(jpeg)
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
            sketch = await self._sketch(shot)
            if sketch is None or self._is_alike(sketch):
                self.counts["damaged" if sketch is None else "alike"] += 1
                continue
            if not await self._way_is_free(connection):
                self.counts["congested" if self._sending else "late"] += 1
                continue
            try:
                await self._deliver(connection, shot, sketch)
            except LinkLost:
                # The reader of this connection reports the loss; until then nothing more is sent into it.
                if self._connection is connection:
                    self.disconnect()

    async def _deliver(self, connection: Connection, shot: _Shot, sketch: bytes) -> None:
        begun = self._clock.now()
        log.debug("> picture: bytes=%d age=%.2fs", len(shot.jpeg), begun - shot.at)
        await connection.send_picture(shot.jpeg)
        self.counts["sent"] += 1
        while self._connection is connection and self._clock.now() - begun < DRAIN_S:
            self._sent_at, self._sent_sketch = begun, sketch
            self._due = max(self._due, begun + (self._clock.now() - begun) * SHARE)
            if connection.backlog <= BACKLOG_BYTES:
                return
            await self._clock.sleep(PATIENCE_S)

    async def _sketch(self, shot: _Shot) -> bytes | None:
        if not self._min_change:
            return b""
        try:
            return await asyncio.to_thread(picture.sketch, shot.jpeg)
        except BadPicture as error:
            log.debug("! picture: %s", error)
            return None

    def _is_alike(self, sketch: bytes) -> bool:
        if not self._sent_sketch or not sketch or self._clock.now() - self._sent_at >= self._refresh_s:
            return False
        return picture.difference(sketch, self._sent_sketch) < self._min_change

    async def _way_is_free(self, connection: Connection) -> bool:
        """Wait until nothing else is being sent; False if that connection is over, or there is something newer."""
        while self._open and self._connection is connection and self._slot is None:
            if self._uplink_idle() and connection.backlog <= BACKLOG_BYTES:
                return True
            await self._clock.sleep(PATIENCE_S)
        return False

    @property
    def _sending(self) -> bool:
        return self._open and self._connection is not None

    @property
    def _wanted(self) -> bool:
        return self._sending or bool(self._asked)

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

    def _keep(self, shot: _Shot) -> None:
        """Keep the newest picture for whoever asks, and no longer than it may be shown."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._newest = shot
        self._forgetting = self._clock.call_later(REUSE_S, self._forget)

    def _forget(self) -> None:
        self._newest = None

    def _lose(self, error: DeviceLost) -> None:
        if self._missing:
            log.debug("camera still away: %s", error)
        else:
            self._missing = True
            log.warning(
                "camera lost, going on without, retrying: %s", error, extra={"message_id": messages.PART_LOST}
            )
        for asked in self._asked:
            _fail(asked, error)
        self._asked.clear()

    def _shine(self, light: Light) -> None:
        if self._lamp is not None:
            self._lamp.shine(light)


def _fail(asked: "asyncio.Future[bytes]", error: DeviceLost) -> None:
    if not asked.done():
        asked.set_exception(error)


def _no_picture(within_s: float) -> DeviceLost:
    return DeviceLost(f"camera: no picture within {within_s:.1f} s; see what the journal says of it")
