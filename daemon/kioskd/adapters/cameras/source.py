"""What each kind of `camera.source` declares about itself."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NotRequired, TypedDict

from kioskd.adapters.source import Source

if TYPE_CHECKING:
    from kioskd import ports


class PictureForm(TypedDict):
    """The form in which a camera delivers its pictures; see `media.picture.fit`."""

    size: int
    """Pixels of the longer side, at most."""
    quality: int
    """JPEG quality, in percent."""
    rotate: NotRequired[Literal[0, 90, 180, 270]]
    mirror: NotRequired[bool]


class CameraSource(Source, ABC):
    """One `camera.source`, taken apart."""

    on: ClassVar[bool] = True
    """Whether there is a camera."""
    rehearsed: ClassVar[bool] = False
    """Whether a rehearsal uses it, too; a picture of colours takes its place otherwise."""

    @abstractmethod
    def build(self, form: PictureForm) -> "ports.Camera | None":
        """Return the camera, not opened yet; None where there is none.

        ConfigError: a library that it needs is missing.
        """

    @classmethod
    def found(cls, sysfs: Path) -> tuple[list[str], dict[str, str]]:
        """Return the sources of this kind that this machine has, and those that cannot be used with the reason. Blocks.

        `sysfs`: where /sys is.
        """
        return [], {}
