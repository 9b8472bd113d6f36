"""Settings of the camera."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kioskd.adapters.cameras.kinds import CameraSourceText, camera_source
from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.adapters.controls.kinds import LampSourceText
from kioskd.settings.buttons_lamps import LampSettings
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import Range, said, shown


class CameraSettings(Section):
    """The camera. The service bills each picture that the kiosk sends. A camera that is off keeps its
    settings."""

    source: CameraSourceText = "off"
    """Source of the pictures. off is no camera. picamera is the Pi's camera, and picamera:1 is its second
    one. v4l2:NAME is a USB webcam. folder:PATH takes the pictures of a folder in turn. `kioskd devices`
    prints the names."""
    when: Literal["conversation", "speech", "request"] = "request"
    """Time in which the camera runs and pictures are sent. With conversation, that is all through a
    conversation. With speech, it is while the visitor speaks. With request, it is only when the model or a
    person asks for a picture. request costs least."""
    every_s: Annotated[float, Range(1, 3600, "the service looks at one picture a second at most")] = 2.0
    """Seconds between pictures that are sent without a request. It has no effect with `when: request`."""
    size: Annotated[int, Range(64, 4096, "it is in pixels")] = 768
    """Pixels of the longer side. The service works on 768."""
    quality: Annotated[int, Range(20, 95, "it is JPEG quality in percent")] = 75
    """JPEG quality. With 75 no blocks are visible, and a picture has a third of the bytes of 95."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees by which the picture is turned clockwise."""
    mirror: bool = False
    """Whether left and right are swapped."""
    min_change: Annotated[float, Range(0, 1, "it is a share of full contrast")] = 0.02
    """Least difference from the last picture sent that a picture needs to be sent: the mean difference, from
    0 (always sent) to 1. It has no effect with `when: request`."""
    refresh_s: Annotated[float, Range(1, 3600, "it is the age of the model's picture")] = 30.0
    """Seconds after which a picture is sent although nothing has changed. It must not be less than `every_s`.
    It has no effect with `when: request`, or with `min_change: 0`."""
    lamp: LampSourceText | None = Field(default=None, examples=["gpio:pi/24"])
    """Light of the camera, lit exactly while the camera runs. It is written as `controls.lamp.source`."""

    @field_validator("every_s", "min_change", "refresh_s")
    @classmethod
    def _of_what_comes_by_itself(cls, value: float, info: ValidationInfo) -> float:
        name = info.field_name or ""
        # A camera that is off keeps its settings until the owner switches it on.
        if not camera_source(info.data.get("source", "off")).on or value == cls.model_fields[name].default:
            return value
        if info.data.get("when") == "request":
            raise said("has no effect: pictures are sent only on request; set when to speech, or remove this")
        if name != "refresh_s":
            return value
        if info.data.get("min_change") == 0:
            raise said("has no effect: with min_change: 0 every picture is sent; remove one of the two")
        every_s = info.data.get("every_s")
        if every_s is not None and value < every_s:
            raise said(
                f"{shown(value)} is below every_s ({shown(every_s)}), which comes first; "
                f"write {shown(every_s)} or more"
            )
        return value

    @property
    def parsed(self) -> CameraSource:
        """The parsed `source`."""
        return camera_source(self.source)

    @property
    def on(self) -> bool:
        """Whether there is a camera."""
        return self.parsed.on

    @property
    def form(self) -> PictureForm:
        """Size, quality and orientation of the camera's pictures."""
        return {"size": self.size, "quality": self.quality, "rotate": self.rotate, "mirror": self.mirror}

    @property
    def own_lamp(self) -> LampSettings | None:
        """The camera's own light as the settings of a lamp. None: it has no light."""
        return None if self.lamp is None else LampSettings(source=self.lamp)
