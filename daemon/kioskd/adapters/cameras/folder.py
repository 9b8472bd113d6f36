"""A folder of pictures in the place of a camera: for rehearsals, and for other programs that drop pictures there."""

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
"""Files of a folder that are looked at; those that the file system lists after them are not."""

_MOST_TRIES: Final = 20
"""Files that are passed over for one picture: each may take a tenth of a second to be found out."""

_Version = tuple[int, int, int]
"""When a file was written, and when it was changed in any way (its rights, say), in nanoseconds; and its bytes."""

_UNSEEN: Final[_Version] = (0, 0, 0)
"""Of a file that nothing may be known of but its name."""


class _Refusal(NamedTuple):
    """Why a file is passed over until it changes."""

    version: _Version
    closed: bool
    """It may not be read."""


def content(path: Path) -> bytes:
    """Return what a picture's file holds, or a little more of it than a picture may have. Blocks.

    OSError: it cannot be read, or is no regular file.
    """
    return regular_file.content(path, picture.MOST_BYTES + 1)


class FolderCamera(CameraThread):
    """Sees the pictures of a folder in the order of their names, round and round, going on after the last one.

    JPEG, PNG and WebP, whatever they are called; folders and names that begin with a dot are passed over. The folder is
    listed for each picture, so what comes and goes is noticed. A file that is no picture, is too large or may not be read
    is passed over and logged once, and again when it has changed. A program that writes pictures there while the kiosk
    looks should write beside it, and rename: what is half written is no picture.
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
        """The names of files that are passed over until they change, as of the last picture."""
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
                continue  # gone since it was listed
            except (BadPicture, OSError) as error:
                self._refused[name] = _Refusal(files[name], isinstance(error, PermissionError))
                log.warning("picture passed over: folder=%s file=%r error=%s", self._path, name, error)
                continue
            self._last = name
            return seen
        closed = sum(refusal.closed for refusal in self._refused.values())
        raise DeviceLost(
            f"{self._name}: no picture among its {len(files)} files"
            + (f", {closed} of which kioskd may not read; let it, or" if closed else ";")
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
                f"{self._name}: {error.strerror}; make the folder, or let the user that kioskd runs as read it",
                device=self._name,
            ) from error
        return files


def _version(entry: "os.DirEntry[str]") -> _Version | None:
    """Return how new a file is; None: it is none."""
    try:
        status = entry.stat()
    except PermissionError:
        return _UNSEEN  # reading it will tell why
    except OSError:
        return None  # a link may lead nowhere, and a file vanish between its listing and its stat
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size
