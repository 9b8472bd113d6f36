"""What the kiosk sees with."""

from typing import Annotated, Literal

from pydantic import ValidationInfo, field_validator

from kioskd.adapters.cameras.kinds import CameraSourceText, camera_source
from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.adapters.controls.kinds import LampSourceText
from kioskd.settings.buttons_lamps import LampSettings
from kioskd.yamlconf.section import Section
from kioskd.yamlconf.value_types import Range, said, shown


class CameraSettings(Section):
    """What the kiosk sees with."""

    source: CameraSourceText = "off"
    """off; picamera (or picamera:1, the second); v4l2:NAME (a USB webcam); folder:PATH (its pictures in turn)."""
    when: Literal["conversation", "speech", "request"] = "request"
    """When it runs, and pictures are sent: all through a conversation, while the visitor speaks, or only when the model
    or a person asks. The default costs least: the service bills every picture."""
    every_s: Annotated[float, Range(1, 3600, "the service looks at one picture a second at most")] = 2.0
    """Seconds between pictures."""
    size: Annotated[int, Range(64, 4096, "it is pixels")] = 768
    """Pixels of the longer side; the service works on 768."""
    quality: Annotated[int, Range(20, 95, "it is JPEG quality in percent")] = 75
    """JPEG quality. 75 shows no blocks and is a third of 95's bytes."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees to turn the picture clockwise."""
    mirror: bool = False
    """Whether to swap left and right."""
    min_change: Annotated[float, Range(0, 1, "it is a share of full contrast")] = 0.02
    """How much a picture must differ from the last one sent to be sent: mean difference, 0 (always) to 1."""
    refresh_s: Annotated[float, Range(1, 3600, "it is the age of what the model sees")] = 30.0
    """Seconds after which a picture is sent although nothing has changed."""
    lamp: LampSourceText | None = None
    """The camera's own light, on exactly while it runs: as controls.lamp.source."""

    @field_validator("every_s", "min_change", "refresh_s")
    @classmethod
    def _of_what_comes_by_itself(cls, value: float, info: ValidationInfo) -> float:
        name = info.field_name or ""
        # What belongs to a camera that is off waits for it to be switched on.
        if not camera_source(info.data.get("source", "off")).on or value == cls.model_fields[name].default:
            return value
        if info.data.get("when") == "request":
            raise said("goes unused: pictures are sent only on request; set when to speech, or take this out")
        if name != "refresh_s":
            return value
        if info.data.get("min_change") == 0:
            raise said("goes unused: with min_change 0 every picture is sent; take out one of the two")
        every_s = info.data.get("every_s")
        if every_s is not None and value < every_s:
            raise said(f"{shown(value)} is below every_s ({shown(every_s)}), which comes first; use more")
        return value

    @property
    def parsed(self) -> CameraSource:
        """`source`, taken apart."""
        return camera_source(self.source)

    @property
    def on(self) -> bool:
        """Whether there is a camera."""
        return self.parsed.on

    @property
    def form(self) -> PictureForm:
        """The form of its pictures."""
        return {"size": self.size, "quality": self.quality, "rotate": self.rotate, "mirror": self.mirror}

    @property
    def own_lamp(self) -> LampSettings | None:
        """Its own light, as settings of a lamp."""
        return None if self.lamp is None else LampSettings(source=self.lamp)
