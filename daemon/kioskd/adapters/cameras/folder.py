"""A folder of pictures in place of a camera, for rehearsals and for programs that write pictures."""

import bisect
import contextlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Unpack

from kioskd import regular_file
from kioskd.adapters.cameras.source import PictureForm
from kioskd.adapters.cameras.thread import SHOOT_S, CameraDriver, CameraThread
from kioskd.adapters.pictures.decoder import PictureDecoder
from kioskd.errors import DeviceLost
from kioskd.media import picture
from kioskd.media.picture import BadPicture

log = logging.getLogger(__name__)

MOST_FILES: Final = 10_000
"""The number of files that are read from a folder's listing. Files that are listed later are ignored."""

_MOST_TRIES: Final = 20
"""The number of files that may be skipped for one picture. Reading and rejecting a file may take 0.1 s."""

_Version = tuple[int, int, int]
"""Version of a file: times of its last write and last change (also of rights) in ns, and size in bytes."""

_UNSEEN: Final[_Version] = (0, 0, 0)
"""The version of a file whose name is all that may be read."""


class _Refusal(NamedTuple):
    """Why a file is skipped until it changes."""

    version: _Version
    closed: bool
    """Whether kioskd has no permission to read the file."""


def content(path: Path) -> bytes:
    """Return the bytes of a picture file, at most one more than a picture may have. Blocks.

    OSError: the file cannot be read, or is not a regular file.
    """
    return regular_file.content(path, picture.MOST_BYTES + 1)


class FolderCamera(CameraThread):
    """Camera that takes the pictures of a folder by name, and starts again after the last one.

    It reads JPEG, PNG and WebP, whatever the file's name. Folders and names with a leading dot are skipped.
    The folder is listed again for each picture, so new and deleted files are noticed. A file that is not a
    picture, is too large or unreadable is skipped and logged, once until it changes. A program that writes
    pictures while the kiosk runs should write to another name and rename: half a picture is skipped.
    """

    def __init__(self, path: Path, **form: Unpack[PictureForm]) -> None:
        super().__init__(f"camera folder:{path}", self._listed)
        self._path = path
        self._form = form
        self._decoder = PictureDecoder(deadline_s=SHOOT_S - 1.0)
        self._last = ""
        self._refused: dict[str, _Refusal] = {}

    @property
    def passed_over(self) -> frozenset[str]:
        """Names of the files that are skipped until they change, as of the last picture."""
        return frozenset(self._refused)

    @contextlib.contextmanager
    def _listed(self) -> Iterator[CameraDriver]:
        self._files()
        with self._decoder:
            yield self._next

    def _next(self) -> bytes:
        files = self._files()
        self._refused = {
            name: refusal for name, refusal in self._refused.items() if files.get(name) == refusal.version
        }
        names = sorted(files)
        first = bisect.bisect_right(names, self._last)
        fresh = [name for name in names[first:] + names[:first] if name not in self._refused]
        for name in fresh[:_MOST_TRIES]:
            try:
                seen = self._decoder.fit(content(self._path / name), **self._form)
            except FileNotFoundError:
                continue  # deleted since it was listed
            except (BadPicture, OSError) as error:
                self._refused[name] = _Refusal(files[name], isinstance(error, PermissionError))
                log.warning(
                    "picture file cannot be used, skipped: folder=%s file=%r error=%s",
                    self._path,
                    name,
                    error,
                )
                continue
            self._last = name
            return seen
        closed = sum(refusal.closed for refusal in self._refused.values())
        raise DeviceLost(
            f"{self._name}: no usable picture among its {len(files)} files"
            + (
                f", {closed} of which kioskd may not read; give kioskd the right to read them, or"
                if closed
                else ";"
            )
            + " put a JPEG, PNG or WebP there",
            listed=True,
            device=self._name,
        )

    def _files(self) -> dict[str, _Version]:
        files: dict[str, _Version] = {}
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if len(files) == MOST_FILES:
                        break
                    if not entry.name.startswith(".") and (version := _version(entry)) is not None:
                        files[entry.name] = version
        except OSError as error:
            raise DeviceLost(
                f"{self._name}: {error.strerror}; create the folder, or let kioskd's user read it",
                device=self._name,
            ) from error
        return files


def _version(entry: "os.DirEntry[str]") -> _Version | None:
    """Return the version of a file, or None if the entry is not a regular file."""
    try:
        status = entry.stat()
    except PermissionError:
        return _UNSEEN  # reading the file will report why
    except OSError:
        return None  # the link is broken, or the file was deleted since it was listed
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size
