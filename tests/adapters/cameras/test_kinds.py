"""The table of camera sources: each text has one kind, which declares what it needs."""

from pathlib import Path

import pytest
from tests.support.pictures import form

from kioskd.adapters.cameras.folder import FolderCamera
from kioskd.adapters.cameras.kinds import CAMERAS, camera_source
from kioskd.adapters.cameras.v4l2 import V4l2Camera


@pytest.mark.parametrize(
    ("text", "prefix", "parts"),
    [
        ("off", "off", ()),
        ("picamera", "picamera", ("",)),
        ("picamera:1", "picamera", ("1",)),
        ("v4l2:HD Webcam: C270", "v4l2", ("HD Webcam: C270",)),
        ("v4l2:/dev/video0", "v4l2", ("/dev/video0",)),
        ("folder:/srv/a:b", "folder", ("/srv/a:b",)),
    ],
)
def test_a_source_is_parsed_by_the_kind_of_its_prefix(text: str, prefix: str, parts: tuple[str, ...]) -> None:
    source = camera_source(text)
    assert (source.prefix, source.parts, source.text) == (prefix, parts, text)


@pytest.mark.parametrize(
    "text", ["", "off:", "off:1", "picamera:", "picamera:10", "v4l2", "v4l2:", "Folder:/a"]
)
def test_a_text_of_another_form_is_not_a_source(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        camera_source(text)


def test_each_kind_is_listed_under_its_own_prefix() -> None:
    assert list(CAMERAS) == ["off", "picamera", "v4l2", "folder"]
    assert all(kind.form.partition(":")[0] == prefix for prefix, kind in CAMERAS.items())


def test_each_kind_builds_its_camera() -> None:
    assert camera_source("off").build(form()) is None
    assert isinstance(camera_source("v4l2:C920").build(form()), V4l2Camera)
    assert isinstance(camera_source("folder:/srv").build(form()), FolderCamera)


def test_only_a_folder_is_read_and_used_in_a_rehearsal() -> None:
    assert camera_source("folder:/srv/pictures").folder == Path("/srv/pictures")
    assert [prefix for prefix, kind in CAMERAS.items() if kind.rehearsed] == ["folder"]
    assert camera_source("v4l2:/srv/pictures").folder is None


def test_cameras_that_are_devices_belong_to_the_group_video() -> None:
    groups = {prefix: kind.access.group for prefix, kind in CAMERAS.items() if kind.access is not None}
    assert groups == {"picamera": "video", "v4l2": "video"}
