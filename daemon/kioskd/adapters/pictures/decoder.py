"""Pictures from outside, decoded in a child process: a file made to break a decoder breaks that, and nothing else.

Pillow has no bound of its own on memory or time. The child has both (`decoder_process`), and a deadline beside. A picture
of a camera's own needs none of this.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Final

from kioskd.adapters.pictures.decoder_process import ANSWER, HEADER, read_exactly
from kioskd.media.picture import MOST_BYTES, BadPicture, Rotation

DEADLINE_S: Final = 15.0
"""From the start of the program to the JPEG; the program takes a second of it on a small Raspberry Pi."""

LARGEST_JPEG_BYTES: Final = 50_000_000
"""4096 x 4096 pixels that do not compress."""

_TOO_MUCH: Final = "takes more memory or time to decode than a picture may"


class PictureDecoder:
    """One child process, kept until `close` for more than one picture. It is started again when it has died.

    Threads may share it: one picture after the other is decoded.
    """

    def __init__(self, *, deadline_s: float = DEADLINE_S) -> None:
        self.deadline_s = deadline_s
        """Seconds that one picture may take. It may be changed between two pictures."""
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def __enter__(self) -> "PictureDecoder":
        """Start the process, so that it is ready sooner."""
        self._closed = False
        with contextlib.suppress(OSError):  # the first picture says so
            self._process = _start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End the process."""
        self.close()

    @property
    def process_id(self) -> int | None:
        """The id of the child process; None while none runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def fit(
        self, data: bytes, *, size: int, quality: int, rotate: Rotation = 0, mirror: bool = False
    ) -> bytes:
        """Return a picture as `picture.fit` does. Blocks until the deadline at most.

        BadPicture: as of `picture.fit`, or it takes more memory or time than a picture may.
        """
        if len(data) > MOST_BYTES:
            raise BadPicture(f"more than {MOST_BYTES / 1e6:.0f} MB")
        options = {"size": size, "quality": quality, "rotate": rotate, "mirror": mirror}
        with self._turn:
            alarm = threading.Timer(self.deadline_s, self._kill)
            alarm.daemon = True
            alarm.start()
            try:
                kind, content = self._ask(data, json.dumps(options).encode())
            except BadPicture:
                raise
            except (OSError, EOFError, ValueError):
                self._kill()
                raise BadPicture(_TOO_MUCH) from None
            finally:
                alarm.cancel()
        if kind != b"J":
            raise BadPicture(content.decode(errors="replace"))
        return content

    def close(self) -> None:
        """End the process, in whatever it is. What is being decoded is a `BadPicture` then."""
        self._closed = True
        self._kill()

    def _ask(self, data: bytes, options: bytes) -> tuple[bytes, bytes]:
        process = self._process
        if process is None or process.poll() is not None:
            self._kill()  # closes the pipes of one that has died
            try:
                process = self._process = _start()
            except OSError as error:
                raise BadPicture(f"cannot be decoded, no program can be started ({error.strerror})") from None
            if self._closed:
                self._kill()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(HEADER.pack(len(options), len(data)) + options)
        process.stdin.write(data)
        process.stdin.flush()
        kind, byte_count = ANSWER.unpack(read_exactly(process.stdout, ANSWER.size))
        if byte_count > LARGEST_JPEG_BYTES:
            raise ValueError("no such picture")
        return kind, read_exactly(process.stdout, byte_count)

    def _kill(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError, ValueError):
                assert pipe is not None
                pipe.close()


async def fit(data: bytes, *, size: int, quality: int) -> bytes:
    """Return one picture as `PictureDecoder.fit` does, without holding the loop up. Cancelling ends the process.

    BadPicture: as there.
    """
    decoder = PictureDecoder()
    try:
        return await asyncio.to_thread(decoder.fit, data, size=size, quality=quality)
    finally:
        decoder.close()


def _start() -> "subprocess.Popen[bytes]":
    # Nothing of the environment: a service key may be in it.
    environ = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "kioskd.adapters.pictures.decoder_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        cwd="/",
    )
