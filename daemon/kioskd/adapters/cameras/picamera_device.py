"""One picamera2 camera in its one configuration, opened for `PiCamera`, and its JPEGs. All in one thread.

The hardware JPEG encoder runs along with the camera. Without it, a frame is encoded only when it is
requested, which is less work than encoding every frame.
"""

import contextlib
import io
import logging
import os
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kioskd.media import picture
from kioskd.media.picture import Rotation

if TYPE_CHECKING:
    from picamera2 import Picamera2

BUFFERS: Final = 3
"""One frame being exposed, one waiting, one being encoded. At 768 x 576 each takes half a megabyte."""

FRAME_US: Final = (33_333, 100_000)
"""Frame times: 30 frames a second in light, 10 in the dark. Longer exposures blur a visitor who moves."""

SETTLE_FRAMES: Final = 8
"""Frames until exposure and white balance have settled."""

WAIT_S: Final = 4.0
"""Seconds to wait for one frame; the longest exposure is 0.1 s."""

_HARDWARE_ENCODER: Final = Path("/dev/video11")
"""The device where picamera2 finds the JPEG encoder, on Raspberry Pis before the 5."""

_ENCODED_OF: Final = 6
"""The hardware encodes every sixth frame: 5 a second in light."""

FAILURES: Final = (RuntimeError, OSError, TimeoutError, LookupError, CancelledError)
"""Exceptions of picamera2 for a camera that is missing, in use, or unplugged."""


def quiet_libcamera() -> None:
    """Keep libcamera and picamera2 from writing to stderr at each start. Call it before they are imported."""
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    logging.getLogger("picamera2").setLevel(logging.WARNING)


class OpenedCamera:
    """Open and configured camera. All calls come from the camera's thread."""

    def __init__(
        self, number: int, *, size: int, quality: int, rotate: Rotation = 0, mirror: bool = False
    ) -> None:
        quiet_libcamera()
        from picamera2 import Picamera2  # noqa: PLC0415 - three seconds on a Raspberry Pi

        self._size = size
        self._quality = quality
        self._camera = _acquired(Picamera2, number)
        try:
            self._rotate, self._mirror = self._configure(rotate, mirror=mirror)
            self._encoder = _hardware_encoder(self._camera, quality)
        except BaseException:
            self._camera.close()
            raise

    @property
    def running(self) -> bool:
        """Whether the camera is started."""
        return bool(self._camera.started)

    def start(self) -> None:
        """Start the camera, and drop frames until exposure and white balance have settled."""
        self._camera.start()
        self._camera.drop_frames(SETTLE_FRAMES, wait=WAIT_S)

    def stop(self) -> None:
        """Stop the camera. Cancels waiting requests first, as an unplugged camera never answers them."""
        self._camera.cancel_all_and_flush()
        self._camera.stop()

    def close(self) -> None:
        """Close the camera and free its memory; ignores the errors of an unplugged one."""
        with contextlib.suppress(*FAILURES):
            self.stop()
        with contextlib.suppress(*FAILURES):
            self._camera.stop_encoder()
        with contextlib.suppress(*FAILURES):
            self._camera.close()

    def shoot(self) -> bytes:
        """Return the next frame as an upright JPEG. BadPicture: the frame cannot be decoded."""
        raw = self._encoder.next() if self._encoder is not None else self._encoded()
        if not self._rotate and not self._mirror:
            jpeg = picture.bare(raw, size=self._size)
            if jpeg is not None:
                return jpeg
        return picture.fit(
            raw, size=self._size, quality=self._quality, rotate=self._rotate, mirror=self._mirror
        )

    def _encoded(self) -> bytes:
        self._camera.options["quality"] = self._quality
        out = io.BytesIO()
        request = self._camera.capture_request(wait=WAIT_S)
        try:
            request.save("main", out, format="jpeg")
        finally:
            request.release()
        return out.getvalue()

    def _configure(self, rotate: Rotation, *, mirror: bool) -> tuple[Rotation, bool]:
        """Choose size and mode. Return the rotation and mirroring that the camera does not do itself."""
        from libcamera import Transform  # noqa: PLC0415 - as above

        camera = self._camera
        # Only sensors turn their pictures: libcamera's virtual camera says that it does, but it does not.
        sensor = "ColorFilterArrangement" in camera.camera_properties
        flipped = rotate in (0, 180) and sensor
        width, height = camera.camera_properties.get("PixelArraySize", (4, 3))
        scale = self._size / max(width, height)
        controls: dict[str, Any] = {"FrameDurationLimits": FRAME_US}
        if "AfMode" in camera.camera_controls:
            controls["AfMode"] = 2  # AfModeContinuous
        configuration = camera.create_video_configuration(
            main={"size": (_even(width * scale), _even(height * scale)), "format": "YUV420"},
            raw=None,
            lores=None,
            # On all Raspberry Pi cameras, half the sensor's size selects the mode with the whole view and the
            # least memory. picamera2 itself takes the mode nearest to the picture's size, perhaps cropped.
            sensor={"output_size": (width // 2, height // 2)} if sensor else {},
            transform=Transform(hflip=flipped and (rotate == 180) != mirror, vflip=flipped and rotate == 180),
            buffer_count=BUFFERS,
            queue=False,  # a queued frame would be as old as the picture before
            controls={name: value for name, value in controls.items() if name in camera.camera_controls},
        )
        camera.configure(configuration)
        if not sensor:
            return rotate, mirror
        done = camera.camera_configuration()["transform"]
        return remaining(rotate, mirror=mirror, hflip=bool(done.hflip), vflip=bool(done.vflip))


def _acquired(kind: Any, number: int) -> "Picamera2":
    """Open a camera. On failure it closes the pipe that picamera2 would leave open at each retry."""
    found = len(kind.global_camera_info())
    if number >= found:
        raise RuntimeError(
            f"the machine has no camera number {number} (cameras found: {found}, counted from 0)"
        )
    camera: Picamera2 = kind.__new__(kind)
    try:
        camera.__init__(number)
    except BaseException:
        camera.notifymeread.close()
        os.close(camera.notifyme_w)
        raise
    return camera


class _HardwareEncoder:
    """Receiver of the pictures of picamera2's JPEG encoder, which runs as long as the camera does."""

    def __init__(self) -> None:
        self._came = threading.Condition()
        self._newest = b""

    def write(self, jpeg: bytes) -> None:
        with self._came:
            self._newest = jpeg
            self._came.notify_all()

    def next(self) -> bytes:
        """Return the first picture that comes after the call. TimeoutError: none came within `WAIT_S`."""
        with self._came:
            self._newest = b""
            if not self._came.wait_for(lambda: self._newest, WAIT_S):
                raise TimeoutError(f"the JPEG encoder gave no picture for {WAIT_S:.0f} s")
            jpeg, self._newest = self._newest, b""
        return jpeg


def _hardware_encoder(camera: "Picamera2", quality: int) -> _HardwareEncoder | None:
    """Start the hardware encoder until the camera is closed: its buffers are in contiguous memory, too."""
    if not _HARDWARE_ENCODER.exists() or "FrameDurationLimits" not in camera.camera_controls:
        return None
    from picamera2.encoders import MJPEGEncoder, Quality  # noqa: PLC0415 - as above
    from picamera2.outputs import Output  # noqa: PLC0415 - as above
    from picamera2.platform import Platform, get_platform  # noqa: PLC0415 - as above

    if get_platform() is not Platform.VC4:
        return None
    newest = _HardwareEncoder()

    class Newest(Output):  # type: ignore[misc]  # picamera2 has no types
        def outputframe(self, frame: Any, *_args: object, **_more: object) -> None:
            newest.write(bytes(frame))

    # Its rate control has five quality steps.
    steps = (Quality.VERY_LOW, Quality.LOW, Quality.MEDIUM, Quality.HIGH, Quality.VERY_HIGH)
    encoder = MJPEGEncoder()
    encoder.frame_skip_count = _ENCODED_OF
    camera.start_encoder(encoder, Newest(), quality=steps[min(quality // 20, 4)], name="main")
    return newest


def remaining(rotate: Rotation, *, mirror: bool, hflip: bool, vflip: bool) -> tuple[Rotation, bool]:
    """Return the rotation, and then the mirroring, that are still to be done on flipped pictures.

    A vertical flip is a half turn and a mirroring. Turning a mirrored picture turns it the other way.
    """
    half = 180 if vflip else 0
    mirrored = hflip != vflip
    turned = (rotate + half) % 360
    if mirrored:
        turned = -turned % 360
    turns: dict[int, Rotation] = {0: 0, 90: 90, 180: 180, 270: 270}
    return turns[turned], mirror != mirrored


def _even(pixels: float) -> int:
    return max(2, round(pixels / 2) * 2)
