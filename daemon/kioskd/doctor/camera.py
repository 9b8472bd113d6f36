"""That the camera delivers a picture, and that it is not black."""

import asyncio
from collections.abc import Sequence
from typing import Final

from kioskd.doctor.context import CheckContext
from kioskd.doctor.finding import Finding, fault, of_error, ok, skipped
from kioskd.errors import DeviceLost

_SHOTS: Final = 6
_BETWEEN_S: Final = 0.4
"""A camera that has just been started finds its exposure within a second or two."""

_BLACK: Final = 12
"""Of 255: brighter than the noise of a sensor with its lens covered."""
_ALIKE: Final = 3
_PATIENCE_S: Final = 30.0


async def camera(patient: CheckContext) -> Sequence[Finding]:
    """Prove it by up to six pictures; they are looked at and forgotten."""
    source = patient.settings.camera.source
    if not patient.settings.camera.on:
        return [skipped("none is set (camera.source)")]
    eye = patient.only("camera").camera
    assert eye is not None
    sketch = b""
    size = shots = 0
    try:
        async with asyncio.timeout(_PATIENCE_S), eye.look() as sight:
            while shots < _SHOTS and not _shows_something(sketch):
                if shots:
                    await patient.clock.sleep(_BETWEEN_S)
                jpeg = await sight.shoot()
                sketch, size, shots = await asyncio.to_thread(_sketch, jpeg), len(jpeg), shots + 1
    except DeviceLost as lost:
        return [of_error("camera-missing", lost, "see its ribbon cable, and `rpicam-hello --list-cameras`")]
    except TimeoutError:
        return [
            fault(
                "camera-stuck",
                f"{source}: no picture within {_PATIENCE_S:.0f} s",
                "sudo systemctl restart kioskd",
            )
        ]
    finally:
        await eye.aclose()
    brightness = round(sum(sketch) / len(sketch))
    if not _shows_something(sketch):
        what = "black" if brightness <= _BLACK else "all of one colour"
        return [
            fault(
                "camera-black",
                f"{source}: the picture is {what}",
                "take the cap or film off its lens, open its shutter, give it light",
                brightness=brightness,
            )
        ]
    return [ok(f"{source}: a picture of {size} bytes, brightness {brightness} of 255", brightness=brightness)]


def _sketch(jpeg: bytes) -> bytes:
    from kioskd.media.picture import sketch  # noqa: PLC0415 - brings Pillow

    return sketch(jpeg)


def _shows_something(sketch: bytes) -> bool:
    if not sketch:
        return False
    in_order = sorted(sketch)
    dark, bright = in_order[len(in_order) // 50], in_order[-len(in_order) // 50]
    return bright > _BLACK and bright - dark > _ALIKE
