"""A folder's pictures come in order, as the folder is at that moment; each bad file costs one log line."""

import asyncio
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.pictures import corners, encoded, form, grey, jpeg, noise, opened, quarters

from kioskd.adapters.cameras.folder import MOST_FILES, FolderCamera
from kioskd.errors import DeviceLost

NOBODY = 65534


def level(data: bytes) -> int:
    found = opened(data).convert("L").getpixel((5, 5))
    assert isinstance(found, int)
    return found


async def shots(camera: FolderCamera, count: int) -> list[int]:
    """Return the grey levels of the next pictures."""
    async with camera.look() as sight:
        return [level(await sight.shoot()) for _ in range(count)]


def fill(folder: Path, files: Sequence[tuple[str, int]]) -> None:
    for name, grey_level in files:
        (folder / name).write_bytes(grey(grey_level))


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "kioskd")
    return caplog


async def test_pictures_come_in_the_order_of_their_names_round_and_round(tmp_path: Path) -> None:
    fill(tmp_path, [("c.jpg", 30), ("a.jpg", 10), ("b.png", 20)])
    assert await shots(FolderCamera(tmp_path, **form()), 7) == [10, 20, 30, 10, 20, 30, 10]


async def test_a_second_look_continues_after_the_last_picture(tmp_path: Path) -> None:
    fill(tmp_path, [("a", 10), ("b", 20), ("c", 30)])
    camera = FolderCamera(tmp_path, **form())
    assert [await shots(camera, 2), await shots(camera, 2)] == [[10, 20], [30, 10]]


async def test_new_and_deleted_files_are_noticed(tmp_path: Path) -> None:
    fill(tmp_path, [("a", 10), ("c", 30)])
    camera = FolderCamera(tmp_path, **form())
    assert await shots(camera, 1) == [10]
    fill(tmp_path, [("b", 20)])
    assert await shots(camera, 1) == [20]
    (tmp_path / "b").unlink()
    (tmp_path / "c").unlink()
    assert await shots(camera, 2) == [10, 10]


async def test_a_picture_is_turned_and_scaled(tmp_path: Path) -> None:
    (tmp_path / "a.webp").write_bytes(encoded(quarters(640, 480), "WEBP"))
    camera = FolderCamera(tmp_path, **form(size=160, quality=90, rotate=90))
    async with camera.look() as sight:
        shot = await sight.shoot()
    assert opened(shot).size == (120, 160)
    assert corners(shot) == ("blue", "red", "white", "green")


async def test_a_file_that_is_not_a_picture_costs_one_line_and_nothing_else(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, [("a.jpg", 10), ("z.jpg", 200)])
    for name, data in {
        "empty.jpg": b"",
        "notes.txt": b"buy milk",
        "cut.jpg": jpeg()[:900],
        "cut.png": encoded(noise(50, 50), "PNG")[:3000],
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "huge.jpg").touch()
    os.truncate(tmp_path / "huge.jpg", 30_000_000)
    (tmp_path / ".hidden").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    camera = FolderCamera(tmp_path, **form())
    assert await shots(camera, 6) == [10, 200, 10, 200, 10, 200]
    assert await shots(camera, 2) == [10, 200]
    lines = sorted(record.getMessage().partition("file=")[2] for record in said.records)
    assert [line.partition(" ")[0] for line in lines] == [
        "'cut.jpg'", "'cut.png'", "'empty.jpg'", "'huge.jpg'", "'notes.txt'",
    ]  # fmt: skip
    assert "empty file" in lines[2]
    assert "larger than 20 MB" in lines[3]
    assert all("\n" not in record.getMessage() for record in said.records)


async def test_a_changed_file_is_read_again(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, [("a", 10)])
    (tmp_path / "b").write_bytes(grey(20)[:100])
    camera = FolderCamera(tmp_path, **form())
    assert await shots(camera, 3) == [10, 10, 10]
    fill(tmp_path, [("b", 20)])
    assert await shots(camera, 2) == [20, 10]
    (tmp_path / "b").write_bytes(b"")
    assert await shots(camera, 2) == [10, 10]
    assert len(said.records) == 2


@pytest.fixture
def own() -> Iterator[Path]:
    """A folder of a user who is not root; the test runs as that user, as root may read everything."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        if root:
            os.chown(name, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)


async def test_an_unreadable_picture_costs_one_line_until_it_becomes_readable(
    own: Path, said: pytest.LogCaptureFixture
) -> None:
    fill(own, [("a", 10), ("b", 20)])
    (own / "b").chmod(0)
    camera = FolderCamera(own, **form())
    assert await shots(camera, 3) == [10, 10, 10]
    (line,) = said.messages
    assert "Permission denied" in line
    (own / "b").chmod(0o400)
    assert await shots(camera, 2) == [20, 10]


@pytest.mark.parametrize("closed", ["a", "."])
async def test_a_folder_of_unreadable_pictures_is_a_lost_camera_until_they_become_readable(
    own: Path, closed: str
) -> None:
    fill(own, [("a", 10)])
    (own / "b").write_bytes(b"no picture")
    mode = (own / closed).stat().st_mode
    (own / closed).chmod(0o444 if closed == "." else 0)
    camera = FolderCamera(own, **form())
    async with camera.look() as sight:
        with pytest.raises(
            DeviceLost,
            match=r"among its 2 files, [12] of which kioskd may not read; give kioskd the right to read them",
        ):
            await sight.shoot()
        (own / closed).chmod(mode)
        assert level(await sight.shoot()) == 10


async def test_an_empty_folder_is_a_lost_camera_until_it_gets_a_picture(
    tmp_path: Path,
) -> None:
    camera = FolderCamera(tmp_path, **form())
    async with camera.look() as sight:
        with pytest.raises(DeviceLost, match="no usable picture among its 0 files; put a JPEG") as lost:
            await sight.shoot()
        assert lost.value.device == f"camera folder:{tmp_path}"
        fill(tmp_path, [("a", 10)])
        assert level(await sight.shoot()) == 10


async def test_a_missing_folder_is_a_lost_camera(tmp_path: Path) -> None:
    with pytest.raises(DeviceLost, match="No such file or directory; create the folder"):
        async with FolderCamera(tmp_path / "gone", **form()).look():
            pytest.fail("it was opened")


async def test_among_many_bad_files_the_good_one_is_found_in_the_end(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    for number in range(45):
        (tmp_path / f"{number:03}").write_bytes(b"no picture")
    fill(tmp_path, [("zzz", 10)])
    camera = FolderCamera(tmp_path, **form())
    async with asyncio.timeout(60), camera.look() as sight:
        for _ in range(2):
            with pytest.raises(DeviceLost, match="no usable picture among its 46 files"):
                await sight.shoot()
        assert level(await sight.shoot()) == 10
    assert len(said.records) == 45


async def test_a_huge_folder_is_listed_up_to_a_limit(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 50):
        (tmp_path / f"{number:06}").touch()
    async with asyncio.timeout(60), FolderCamera(tmp_path, **form()).look() as sight:
        with pytest.raises(DeviceLost, match=f"no usable picture among its {MOST_FILES} files"):
            await sight.shoot()


async def test_a_deleted_bad_file_is_forgotten(tmp_path: Path) -> None:
    fill(tmp_path, [("a", 10)])
    (tmp_path / "b").write_bytes(b"")
    camera = FolderCamera(tmp_path, **form())
    await shots(camera, 2)
    assert camera.passed_over == {"b"}
    (tmp_path / "b").unlink()
    await shots(camera, 1)
    assert not camera.passed_over
