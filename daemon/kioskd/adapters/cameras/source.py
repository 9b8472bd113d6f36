"""The base class of all kinds of `camera.source`."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NotRequired, TypedDict

from kioskd.adapters.source import Source

if TYPE_CHECKING:
    from kioskd import ports


class PictureForm(TypedDict):
    """Form in which a camera delivers its pictures; see `media.picture.fit`."""

    size: int
    """Pixels of the longer side, at most."""
    quality: int
    """JPEG quality, in percent."""
    rotate: NotRequired[Literal[0, 90, 180, 270]]
    mirror: NotRequired[bool]


class CameraSource(Source, ABC):
    """Parsed `camera.source`."""

    on: ClassVar[bool] = True
    """Whether the source is a camera; false for `off`."""
    rehearsed: ClassVar[bool] = False
    """Whether a rehearsal uses this source, too. Otherwise a picture of colours replaces it there."""

    @abstractmethod
    def build(self, form: PictureForm) -> "ports.Camera | None":
        """Return the camera, not opened yet; None if there is none.

        ConfigError: a library that the camera needs is missing.
        """

    @classmethod
    def found(cls, sysfs: Path) -> tuple[list[str], dict[str, str]]:
        """Return this machine's usable sources of this kind, and the reason for each unusable one. Blocks.

        `sysfs`: the path of /sys.
        """
        return [], {}
