"""Records of conversations that the owner asks for: limited in age and size, written by a thread.

    20261120T140322-0017.txt            the transcript
    20261120T140322-0017-visitor.wav    the sound that was sent
    20261120T140322-0017-kiosk.wav      the sound that came back

The daemon never waits for these files. An error costs one warning and the records that could not be written;
the conversation goes on. Other files in the folder are never changed.
"""

import contextlib
import logging
import os
import queue
import re
import stat
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from kioskd import journal_ids
from kioskd.media import pcm

log = logging.getLogger(__name__)

QUEUE_PIECES: Final = 200
"""Pieces that may wait for the disk, each of about a second. If more come, the newest are dropped."""

TIDY_S: Final = 3600.0
"""Seconds between two searches for files that are too old."""

CLOSE_S: Final = 1.5
"""Seconds to wait at the end for a disk that hangs; records not written by then are lost."""

DAY_S: Final = 86_400.0
_OURS: Final = re.compile(r"\d{8}T\d{6}-\d{4,}(\.txt|-visitor\.wav|-kiosk\.wav)")
_HEADER_BYTES: Final = 44


@dataclass(frozen=True, slots=True)
class _Piece:
    name: str
    data: bytes
    rate_hz: int = 0
    """Sample rate of sound; 0 for text."""
    at_s: float = 0.0
    """Place of the sound in the file, in seconds. A gap before it becomes silence."""


_FINISH: Final = _Piece("", b"")
"""Mark in the queue: the conversation is over, so close its files."""


class RecordFolder:
    """Folder of records; the recorder's `RecordStore`. Methods return at once; `close` ends its thread."""

    def __init__(
        self,
        folder: Path,
        *,
        what: str,
        keep_days: float,
        most_mb: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`what`: name of the records in the log. `now`: function for the time that dates the files."""
        self._folder = folder
        self._what = what
        self._keep_days = keep_days
        self._most_mb = most_mb
        self._now = now
        self._queue: queue.Queue[_Piece | None] = queue.Queue(QUEUE_PIECES)
        # Used by the loop's thread only.
        self._dropping = False
        # Used by the folder's own thread only.
        self._files: dict[str, int] = {}
        self._failed_files: set[str] = set()
        self._total = 0
        self._failed = False
        self._thread = threading.Thread(target=self._run, name=f"kioskd-{what}", daemon=True)
        self._thread.start()

    def announce(self) -> None:
        """Log where the records are stored, and for how long."""
        log.info(
            "%s are stored: folder=%s days=%d most=%dMB",
            self._what,
            self._folder,
            self._keep_days,
            self._most_mb,
            extra={"message_id": journal_ids.RECORDS_KEPT},
        )

    def write(self, name: str, text: str) -> None:
        """Append `text` to the file called `name`."""
        self._enqueue(_Piece(f"{name}.txt", text.encode(errors="replace")))

    def sound(self, name: str, rate_hz: int, at_s: float, sound: bytes) -> None:
        """Add PCM to the file called `name`, `at_s` seconds after its start, or at its later end."""
        self._enqueue(_Piece(f"{name}.wav", sound, rate_hz, at_s))

    def finish(self) -> None:
        """Close the files, as the conversation is over."""
        self._enqueue(_FINISH)

    def close(self) -> None:
        """Write all waiting pieces and end the thread. Blocks for up to twice `CLOSE_S`."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=CLOSE_S)
            self._thread.join(CLOSE_S)

    def _enqueue(self, piece: _Piece) -> None:
        try:
            self._queue.put_nowait(piece)
        except queue.Full:
            if not self._dropping:
                self._dropping = True
                self._warn("the disk is too slow, so new pieces are dropped")
        else:
            self._dropping = self._dropping and not self._queue.empty()

    # The methods below run in the thread.

    def _run(self) -> None:
        due = 0.0
        while True:
            if self._now() >= due or due - self._now() > TIDY_S:
                self._try(self._tidy)
                due = self._now() + TIDY_S
            try:
                item = self._queue.get(timeout=TIDY_S)
            except queue.Empty:
                continue
            if item is not None and item is not _FINISH:
                self._try(partial(self._add, item))
                continue
            self._close_files()
            if item is None:
                return

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            if not self._failed:
                self._failed = True
                self._warn(error.strerror or str(error))

    def _warn(self, reason: str) -> None:
        log.warning(
            "%s cannot be stored, kioskd goes on without: folder=%s error=%s",
            self._what,
            self._folder,
            reason,
            extra={"message_id": journal_ids.RECORDS_FAILED},
        )

    def _add(self, piece: _Piece) -> None:
        if piece.name in self._failed_files:
            return
        try:
            descriptor = self._opened(piece)
            end = os.fstat(descriptor).st_size
            start = (
                max(end, _HEADER_BYTES + pcm.byte_count(piece.at_s, piece.rate_hz)) if piece.rate_hz else end
            )
            self._make_room(start - end + len(piece.data))
            _write(descriptor, piece.data, start)
            self._total += start - end + len(piece.data)
            if piece.rate_hz:
                _write(descriptor, _header(start + len(piece.data), piece.rate_hz), 0)
        except OSError:
            self._failed_files.add(piece.name)
            raise
        if self._failed:
            self._failed = False
            log.info("%s are stored again: folder=%s", self._what, self._folder)

    def _opened(self, piece: _Piece) -> int:
        if (descriptor := self._files.get(piece.name)) is not None:
            return descriptor
        self._prepare()
        self._tidy()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._folder / piece.name, flags, 0o600)
        self._files[piece.name] = descriptor
        if piece.rate_hz:
            _write(descriptor, _header(_HEADER_BYTES, piece.rate_hz), 0)
            self._total += _HEADER_BYTES
        return descriptor

    def _prepare(self) -> None:
        """Create the folder for kioskd's user only. Does not change an existing folder."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(self._folder.stat().st_mode) & 0o077:
            raise PermissionError(
                0,
                "other users may read the folder; run chmod 700 on it, or set a new folder",
            )

    def _close_files(self) -> None:
        for descriptor in self._files.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._files.clear()
        self._failed_files.clear()

    def _files_by_age(self) -> list[tuple[float, int, Path]]:
        """Return time, size and path of the record files, oldest first."""
        if not self._folder.is_dir():
            return []
        ours = [(path, path.lstat()) for path in self._folder.iterdir() if _OURS.fullmatch(path.name)]
        return sorted(
            (status.st_mtime, status.st_size, path) for path, status in ours if stat.S_ISREG(status.st_mode)
        )

    def _tidy(self) -> None:
        """Delete files that are too old, and add up the rest."""
        self._total = 0
        for written_at, size, path in self._files_by_age():
            if written_at < self._now() - self._keep_days * DAY_S and path.name not in self._files:
                path.unlink()
            else:
                self._total += size
        self._make_room(0)

    def _make_room(self, wanted: int) -> None:
        if self._total + wanted <= self._most_mb * 1_000_000:
            return
        for _, size, path in self._files_by_age():
            if path.name not in self._files:
                path.unlink()
                self._total -= size
                if self._total + wanted <= self._most_mb * 1_000_000:
                    return
        if wanted:
            raise OSError(0, "one conversation alone is larger than most_mb; raise most_mb in the settings")


def _write(descriptor: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        done = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[done:], offset + done


def _header(end: int, rate_hz: int) -> bytes:
    """Return a WAV header (mono, 16 bit) for a file that ends at `end`: it is valid at any time."""
    size = min(end, 0xFFFFFFFF) - _HEADER_BYTES
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", size + _HEADER_BYTES - 8, b"WAVE", b"fmt ", 16, 1, 1),
        *(rate_hz, rate_hz * pcm.SAMPLE_BYTES, pcm.SAMPLE_BYTES, 8 * pcm.SAMPLE_BYTES, b"data", size),
    )
