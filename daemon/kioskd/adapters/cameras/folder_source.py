"""`folder:PATH`: the pictures of a folder, in the place of a camera."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationInfo

from kioskd.adapters.cameras.source import CameraSource, PictureForm
from kioskd.yamlconf.value_types import resolved_path

if TYPE_CHECKING:
    from kioskd import ports


class FolderSource(CameraSource):
    """`folder:PATH`; a relative path starts at the YAML's own folder."""

    prefix, form = "folder", "folder:PATH"
    pattern = r"folder:((?s:.*))"
    rehearsed = True

    def resolved(self, info: ValidationInfo) -> str:
        """Return the text with the path from / on; see `Source.resolved`."""
        return f"{self.prefix}:{resolved_path(self.parts[0], info)}"

    @property
    def folder(self) -> Path:
        """The folder of the pictures."""
        return Path(self.parts[0])

    def build(self, form: PictureForm) -> "ports.Camera":
        """Return the camera; see `CameraSource.build`."""
        from kioskd.adapters.cameras.folder import FolderCamera  # noqa: PLC0415 - brings Pillow

        return FolderCamera(self.folder, **form)
