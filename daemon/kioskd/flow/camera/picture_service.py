"""Pictures for the model: a stream while the core wants one, and single pictures on request."""

from collections.abc import Callable, Mapping, Sequence

from kioskd.core.effects import HangUp
from kioskd.core.events import Event
from kioskd.flow.camera.camera_device import CameraDevice
from kioskd.flow.camera.change_filter import ChangeFilter
from kioskd.flow.camera.picture_stream import PictureStream
from kioskd.flow.camera.snapshot_requests import ShowPicture, SnapshotRequests
from kioskd.flow.link.picture_pacer import PicturePacer
from kioskd.flow.runtime.workers import first_of
from kioskd.ports import Camera, Clock, Connection, Lamp


class PictureService:
    """The camera of a kiosk that has one. `run` must be running."""

    def __init__(
        self,
        camera: Camera,
        clock: Clock,
        post: Callable[[Event], None],
        *,
        pacer: PicturePacer,
        show: ShowPicture,
        every_s: float,
        min_change: float,
        refresh_s: float,
        lamps: Sequence[Lamp] = (),
    ) -> None:
        """Start with the camera off.

        Args:
            camera: The device.
            clock: The time.
            post: Takes events for the core.
            pacer: Sends pictures while no other data waits.
            show: Sends a requested picture to the model; returns False if too many wait.
            every_s: The time between two pictures of the stream, in seconds.
            min_change: See `ChangeFilter`.
            refresh_s: See `ChangeFilter`.
            lamps: The camera's own lamps, lit exactly while it runs.
        """
        self._device = CameraDevice(camera, clock, post, lamps=lamps)
        self._stream = PictureStream(
            self._device, pacer, clock, every_s=every_s, change_filter=ChangeFilter(min_change, refresh_s)
        )
        self._device.on_shot = self._stream.take
        self._requests = SnapshotRequests(self._device.once, show, clock)
        self.set_camera = self._stream.set_camera
        """Performs the core's effect `SetCamera`."""
        self.take_snapshot = self._requests.ask
        """Performs the core's effect `TakeSnapshot`."""

    @property
    def status(self) -> str:
        """`missing`, `off` or `on`. A kiosk without a camera has `none`."""
        if self._device.missing:
            return "missing"
        return "on" if self._device.running else "off"

    @property
    def counts(self) -> Mapping[str, int]:
        """All pictures by their fate: shot, sent; not sent because alike, congested, late or damaged."""
        return self._device.counts

    def connect(self, connection: Connection, _epoch: int) -> None:
        self._stream.connect(connection)

    def disconnect(self) -> None:
        """Stop sending; see `PictureStream.disconnect`."""
        self._stream.disconnect()

    def forget(self, _effect: HangUp) -> None:
        """Drop pictures and requests of a conversation that is over. No other conversation shows them."""
        self._stream.forget()
        self._requests.forget()
        self._device.forget()

    async def fresh(self, within_s: float) -> bytes:
        """Return a JPEG that is at most 5 s old. Start the camera if needed. May be cancelled.

        Raises:
            DeviceLost: there is no picture within that time.
        """
        return (await self._device.once(within_s)).jpeg

    async def snapshot_result(self) -> str:
        """Wait for the end of the newest snapshot request. Return why it was not sent, or ""."""
        return await self._requests.result()

    async def run(self) -> None:
        """Work until cancelled. Then the camera is off."""
        await first_of(self._device.run(), self._stream.run(), self._requests.run())
