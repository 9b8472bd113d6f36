"""A webcam gives a picture of this moment, or says why it cannot."""

import ctypes
import errno
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.pictures import UPRIGHT, corners, encoded, form, grey, jpeg, opened, quarters, raw
from tests.support.v4l2_sim import SimulatedWebcam

from kioskd.adapters.cameras import v4l2_abi, v4l2_device
from kioskd.adapters.cameras.v4l2 import SETTLE_FRAMES, V4l2Camera, cameras, why
from kioskd.errors import DeviceLost
from kioskd.media.picture import Rotation

HEADER = Path("/usr/include/linux/videodev2.h")
COMPILER = shutil.which("gcc")


def numbered(number: int) -> bytes:
    """Return a picture whose grey level is its number."""
    return grey(number % 256)


async def test_a_camera_is_found_by_part_of_its_name_or_by_its_path() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    for name in ("c920", "HD Pro Webcam C920", "/dev/video2"):
        async with V4l2Camera(name, kernel=webcam, **form()).look() as sight:
            assert corners(await sight.shoot()) == UPRIGHT


def test_only_devices_that_give_pictures_are_listed() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    assert [(camera.path, camera.name) for camera in cameras(webcam)] == [
        ("/dev/video2", "HD Pro Webcam C920")
    ]
    assert not webcam.open_fds


@pytest.mark.parametrize(
    ("fault", "formats", "busy", "reason"),
    [
        (
            errno.EACCES,
            [b"MJPG"],
            False,
            "kioskd has no permission; add the user that kioskd runs as to the group video",
        ),
        (None, [b"MJPG"], True, "another program is using it; stop that program"),
        (
            None,
            [b"H264", b"\x01BA8"],
            False,
            "its picture formats are H264, ?BA8, and kioskd takes MJPG, JPEG, YUYV,",
        ),
        (None, [], False, "its picture formats are none, and kioskd takes"),
    ],
)
def test_a_camera_that_cannot_be_used_is_listed_with_the_reason(
    fault: int | None, formats: list[bytes], busy: bool, reason: str
) -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    webcam.fault, webcam.formats, webcam.busy = fault, formats, busy
    (camera,) = cameras(webcam)
    assert (camera.path, camera.name) == ("/dev/video2", "HD Pro Webcam C920")
    assert why(camera).startswith(reason)


async def test_a_camera_in_use_is_reported_by_name_and_by_path() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    webcam.busy = True
    for name in ("c920", "/dev/video2"):
        with pytest.raises(DeviceLost, match="another program is using it"):
            async with V4l2Camera(name, kernel=webcam, **form()).look():
                pytest.fail("it was opened")


def test_this_machine_can_be_asked_for_its_cameras() -> None:
    assert all(camera.path.startswith("/dev/video") for camera in cameras())


async def test_a_picture_is_taken_when_it_is_requested() -> None:
    webcam = SimulatedWebcam(numbered)
    async with V4l2Camera("c920", kernel=webcam, **form()).look() as sight:
        for _ in range(5):
            asked_at = webcam.exposed
            level = opened(await sight.shoot()).convert("L").getpixel((5, 5))
            assert isinstance(level, int)
            assert asked_at < level + 2, "grey levels differ from the encoded ones by one at most"


async def test_the_first_frames_are_dropped_until_the_exposure_has_settled() -> None:
    webcam = SimulatedWebcam(numbered)
    async with V4l2Camera("c920", kernel=webcam, **form()).look():
        assert webcam.exposed >= SETTLE_FRAMES


async def test_a_small_jpeg_is_sent_as_the_camera_made_it() -> None:
    made = jpeg()
    webcam = SimulatedWebcam(lambda _: made)
    webcam.padding = bytes(512)
    async with V4l2Camera("c920", kernel=webcam, **form()).look() as sight:
        shot = await sight.shoot()
    assert opened(shot).tobytes() == opened(made).tobytes()
    assert len(shot) <= len(made)


@pytest.mark.parametrize(
    ("rotate", "mirror", "seen"),
    [(0, True, ("green", "red", "white", "blue")), (90, False, ("blue", "red", "white", "green"))],
)
async def test_a_camera_mounted_askew_gives_upright_pictures(
    rotate: Rotation, mirror: bool, seen: tuple[str, ...]
) -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    async with V4l2Camera("c920", kernel=webcam, **form(rotate=rotate, mirror=mirror)).look() as sight:
        assert corners(await sight.shoot()) == seen


async def test_a_picture_that_is_too_large_is_scaled() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg(640, 480), sizes=[(640, 480)])
    async with V4l2Camera("c920", kernel=webcam, **form(size=200)).look() as sight:
        assert opened(await sight.shoot()).size == (200, 150)


async def test_damaged_frames_are_skipped() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    async with V4l2Camera("c920", kernel=webcam, **form()).look() as sight:
        webcam.damaged.update(range(webcam.exposed, webcam.exposed + 30))
        assert corners(await sight.shoot()) == UPRIGHT
        assert webcam.exposed > max(webcam.damaged)


async def test_a_camera_that_gives_only_truncated_pictures_is_lost() -> None:
    webcam = SimulatedWebcam(lambda _: encoded(quarters())[:700])
    async with V4l2Camera("c920", kernel=webcam, **form()).look() as sight:
        with pytest.raises(
            DeviceLost, match="camera v4l2:c920: its pictures arrive damaged; try another cable"
        ):
            await sight.shoot()


@pytest.mark.parametrize(
    ("fault", "why", "listed"),
    [
        (errno.ENODEV, "plug it in, or name another", False),
        (errno.EBUSY, "another program is using it", True),
        (errno.ENOSPC, "its USB bus has no bandwidth left", True),
        (errno.EIO, "plug it in again, or try another", True),
    ],
)
async def test_a_failing_camera_names_the_remedy(fault: int, why: str, listed: bool) -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    async with V4l2Camera("/dev/video2", kernel=webcam, **form()).look() as sight:
        webcam.fault = fault
        with pytest.raises(DeviceLost, match=why) as lost:
            await sight.shoot()
        assert (lost.value.listed, lost.value.device) == (listed, "camera v4l2:/dev/video2")
    webcam.fault = None
    assert not webcam.open_fds
    assert webcam.mapped == 0


async def test_a_camera_without_permission_names_the_group() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    webcam.fault = errno.EACCES
    with pytest.raises(DeviceLost, match="group video"):
        async with V4l2Camera("/dev/video2", kernel=webcam, **form()).look():
            pytest.fail("it was opened")
    with pytest.raises(DeviceLost, match="group video"):
        async with V4l2Camera("c920", kernel=webcam, **form()).look():
            pytest.fail("it was opened")


async def test_an_unknown_name_is_reported_with_the_webcams_that_are_here() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    with pytest.raises(DeviceLost, match=r"no webcam has this name \(webcams here: 'HD Pro Webcam C920'"):
        async with V4l2Camera("lifecam", kernel=webcam, **form()).look():
            pytest.fail("it was opened")


async def test_a_camera_without_a_usable_format_is_reported_with_its_formats() -> None:
    webcam = SimulatedWebcam(lambda _: jpeg())
    webcam.formats = [b"H264", b"HEVC"]
    for name in ("/dev/video2", "c920"):
        with pytest.raises(
            DeviceLost, match=r"formats are H264, HEVC, and kioskd takes MJPG.*another camera"
        ):
            async with V4l2Camera(name, kernel=webcam, **form()).look():
                pytest.fail("it was opened")
    assert not webcam.open_fds


async def test_a_camera_that_changes_the_chosen_format_is_rejected() -> None:
    class Stubborn(SimulatedWebcam):
        def ioctl(self, fd: int, request: int, argument: v4l2_abi.Argument) -> None:
            super().ioctl(fd, request, argument)
            if isinstance(argument, v4l2_abi.VideoFormat):
                argument.pixelformat = int.from_bytes(b"H264", "little")

    with pytest.raises(DeviceLost, match="its picture formats are H264"):
        async with V4l2Camera("c920", kernel=Stubborn(lambda _: jpeg()), **form()).look():
            pytest.fail("it was opened")


@pytest.mark.parametrize("stride", [0, 1024])
@pytest.mark.parametrize("fourcc", [b"YUYV", b"UYVY", b"NV12", b"YU12", b"RGB3", b"BGR3"])
async def test_a_camera_without_jpegs_gives_pictures_too(fourcc: bytes, stride: int) -> None:
    webcam = SimulatedWebcam(lambda _: raw(quarters(160, 120), fourcc.decode(), stride), sizes=[(160, 120)])
    webcam.formats, webcam.stride = [b"H264", fourcc], stride
    async with V4l2Camera("c920", kernel=webcam, **form()).look() as sight:
        shot = await sight.shoot()
        assert corners(shot) == UPRIGHT
        assert opened(shot).size == (160, 120)


async def test_a_raw_camera_mounted_askew_gives_upright_small_pictures() -> None:
    webcam = SimulatedWebcam(lambda _: raw(quarters(160, 120), "YUYV"), sizes=[(160, 120)])
    webcam.formats = [b"YUYV"]
    async with V4l2Camera("c920", kernel=webcam, **form(size=80, rotate=90)).look() as sight:
        shot = await sight.shoot()
        assert corners(shot) == ("blue", "red", "white", "green")
        assert opened(shot).size == (60, 80)


async def test_truncated_raw_frames_are_damaged_pictures() -> None:
    webcam = SimulatedWebcam(lambda _: raw(quarters(160, 120), "YUYV")[:-400], sizes=[(160, 120)])
    webcam.formats = [b"YUYV"]
    async with V4l2Camera("c920", kernel=webcam, **form()).look() as sight:
        with pytest.raises(DeviceLost, match="its pictures arrive damaged; try another cable"):
            await sight.shoot()


def test_the_real_system_calls_reject_a_path_that_is_not_a_camera() -> None:
    with (
        pytest.raises(OSError, match="its picture formats are none"),
        v4l2_device.streaming(v4l2_device.V4l2Kernel(), "/dev/null", size=768),
    ):
        pytest.fail("it was opened")


async def test_a_silent_camera_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kioskd.adapters.cameras.v4l2.WAIT_S", 0.05)
    webcam = SimulatedWebcam(lambda _: jpeg())
    async with V4l2Camera("c920", kernel=webcam, **form()).look() as sight:
        webcam.silent = True
        with pytest.raises(DeviceLost, match="no picture for 0 s; plug it in again"):
            await sight.shoot()


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([(1920, 1080), (640, 480), (320, 240)], (640, 480)),
        ([(1920, 1080), (640, 360), (640, 480)], (640, 480)),
        ([(1920, 1080), (1280, 720), (320, 240)], (1280, 720)),
        ([(320, 240)], (320, 240)),
        ([], (768, 576)),
    ],
)
def test_the_chosen_size_needs_no_scaling_and_shows_enough(
    sizes: list[tuple[int, int]], chosen: tuple[int, int]
) -> None:
    assert v4l2_device.fitting(sizes, 768) == chosen


@pytest.mark.skipif(
    COMPILER is None or not HEADER.exists(),
    reason=f"gcc or {HEADER} is missing; run `apt install gcc libc6-dev`",
)
def test_structures_and_numbers_are_the_same_as_in_the_kernels_header(tmp_path: Path) -> None:
    structures = {
        "v4l2_capability": v4l2_abi.Capability,
        "v4l2_fmtdesc": v4l2_abi.FormatDescription,
        "v4l2_frmsizeenum": v4l2_abi.FrameSize,
        "v4l2_format": v4l2_abi.VideoFormat,
        "v4l2_requestbuffers": v4l2_abi.BufferRequest,
        "v4l2_buffer": v4l2_abi.VideoBuffer,
    }
    fields = [
        ("v4l2_capability", "card", "card"),
        ("v4l2_capability", "device_caps", "device_caps"),
        ("v4l2_fmtdesc", "pixelformat", "pixelformat"),
        ("v4l2_frmsizeenum", "discrete", "steps"),
        ("v4l2_format", "fmt.pix.width", "width"),
        ("v4l2_format", "fmt.pix.pixelformat", "pixelformat"),
        ("v4l2_format", "fmt.pix.bytesperline", "bytesperline"),
        ("v4l2_format", "fmt.pix.colorspace", "colorspace"),
        ("v4l2_format", "fmt.pix.quantization", "quantization"),
        ("v4l2_requestbuffers", "memory", "memory"),
        ("v4l2_buffer", "bytesused", "bytesused"),
        ("v4l2_buffer", "flags", "flags"),
        ("v4l2_buffer", "timestamp", "timestamp"),
        ("v4l2_buffer", "memory", "memory"),
        ("v4l2_buffer", "m.offset", "offset"),
        ("v4l2_buffer", "length", "length"),
    ]  # fmt: skip
    names = ["QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON", "STREAMOFF",
             "ENUM_FRAMESIZES"]  # fmt: skip
    values = {
        "V4L2_BUF_TYPE_VIDEO_CAPTURE": v4l2_abi.CAPTURE,
        "V4L2_MEMORY_MMAP": v4l2_abi.MAPPED,
        "V4L2_CAP_VIDEO_CAPTURE": v4l2_abi.CAN_CAPTURE,
        "V4L2_CAP_STREAMING": v4l2_abi.CAN_STREAM,
        "V4L2_CAP_DEVICE_CAPS": v4l2_abi.HAS_DEVICE_CAPS,
        "V4L2_FRMSIZE_TYPE_DISCRETE": v4l2_abi.DISCRETE,
        "V4L2_BUF_FLAG_ERROR": v4l2_abi.DAMAGED,
        "V4L2_COLORSPACE_JPEG": v4l2_abi.JPEG_COLORS,
        "V4L2_QUANTIZATION_FULL_RANGE": v4l2_abi.FULL_RANGE,
    }
    kernels = {"MJPG": "MJPEG", "YU12": "YUV420", "RGB3": "RGB24", "BGR3": "BGR24"}
    values |= {
        f"V4L2_PIX_FMT_{kernels.get(fourcc, fourcc)}": int.from_bytes(fourcc.encode(), "little")
        for fourcc in v4l2_device.FORMATS
    }
    ours = [ctypes.sizeof(ours) for ours in structures.values()]
    ours += [getattr(structures[of], field).offset for of, _, field in fields]
    ours += [getattr(v4l2_abi, name) for name in names] + list(values.values())
    theirs = [f"sizeof(struct {name})" for name in structures]
    theirs += [f"offsetof(struct {of}, {field})" for of, field, _ in fields]
    theirs += [f"VIDIOC_{name}" for name in names] + list(values)
    printing = "".join(f'printf("%lu\\n", (unsigned long)({what}) & 0xffffffff);' for what in theirs)
    source = tmp_path / "kernel.c"
    source.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <linux/videodev2.h>\n"
        f"int main(void) {{ {printing} return 0; }}\n"
    )
    program = tmp_path / "kernel"
    subprocess.run([str(COMPILER), str(source), "-o", str(program)], check=True)
    printed = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.split()
    assert dict(zip(theirs, map(int, printed), strict=True)) == dict(zip(theirs, ours, strict=True))
