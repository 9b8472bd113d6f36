"""Checks that the camera delivers a picture, and that it is not black."""

import asyncio
from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, of_error, ok, skipped
from kioskd.errors import DeviceLost

_SHOTS: Final = 6
_BETWEEN_S: Final = 0.4
"""Seconds between two pictures. A camera finds its exposure within a second or two after its start."""

_BLACK: Final = 12
"""Brightness (of 255) of the noise of a sensor with its lens covered, and a little more."""
_ALIKE: Final = 3
_DEADLINE_S: Final = 30.0


async def camera(context: CheckContext) -> Finding:
    """Prove that the camera shows something, by at most six pictures. They are analysed and discarded."""
    source = context.settings.camera.source
    if not context.settings.camera.on:
        return skipped("no camera is set (camera.source)")
    device = context.only("camera").camera
    assert device is not None
    sketch = b""
    size = shots = 0
    try:
        async with asyncio.timeout(_DEADLINE_S), device.look() as running:
            while shots < _SHOTS and not _shows_something(sketch):
                if shots:
                    await context.clock.sleep(_BETWEEN_S)
                jpeg = await running.shoot()
                sketch, size, shots = await asyncio.to_thread(_sketch, jpeg), len(jpeg), shots + 1
    except DeviceLost as lost:
        remedy = "check its ribbon cable; `rpicam-hello --list-cameras` lists the cameras that are found"
        return of_error("camera-missing", lost, remedy)
    except TimeoutError:
        said = f"{source}: no picture within {_DEADLINE_S:.0f} s"
        return fault("camera-stuck", said, "sudo systemctl restart kioskd")
    finally:
        await device.aclose()
    brightness = round(sum(sketch) / len(sketch))
    if not _shows_something(sketch):
        return fault(
            "camera-black",
            f"{source}: the picture is {'black' if brightness <= _BLACK else 'all of one colour'}",
            "remove the cap or film from its lens, open its shutter, or switch on a light",
            brightness=brightness,
        )
    return ok(f"{source}: a picture of {size} bytes, brightness {brightness} of 255", brightness=brightness)


def _sketch(jpeg: bytes) -> bytes:
    from kioskd.media.picture import sketch  # noqa: PLC0415 - brings Pillow

    return sketch(jpeg)


def _shows_something(sketch: bytes) -> bool:
    if not sketch:
        return False
    in_order = sorted(sketch)
    dark, bright = in_order[len(in_order) // 50], in_order[-len(in_order) // 50]
    return bright > _BLACK and bright - dark > _ALIKE
