"""Pictures from outside, decoded in a child process: a malicious file breaks that process only.

Pillow limits neither memory nor time. The child has limits for both (`decoder_process`), and a deadline.
Pictures from a camera need none of this.
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
"""Seconds from the start of the program to the JPEG. The start takes a second on a small Raspberry Pi."""

LARGEST_JPEG_BYTES: Final = 50_000_000
"""The size of 4096 x 4096 pixels that do not compress."""

_TOO_MUCH: Final = "takes more memory or time to decode than kioskd allows"


class PictureDecoder:
    """One child process that decodes pictures until `close`; it is started again when it has died.

    Threads may share it: it decodes one picture at a time.
    """

    def __init__(self, *, deadline_s: float = DEADLINE_S) -> None:
        self.deadline_s = deadline_s
        """Seconds allowed for one picture. May be changed between pictures."""
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def __enter__(self) -> "PictureDecoder":
        """Start the process early, so that it is ready for the first picture."""
        self._closed = False
        with contextlib.suppress(OSError):  # the first picture reports the error
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

        BadPicture: see `picture.fit`; or the picture takes more memory or time than allowed.
        """
        if len(data) > MOST_BYTES:
            raise BadPicture(f"it is larger than {MOST_BYTES / 1e6:.0f} MB")
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
        """End the process at once. A picture that is being decoded ends with `BadPicture`."""
        self._closed = True
        self._kill()

    def _ask(self, data: bytes, options: bytes) -> tuple[bytes, bytes]:
        process = self._process
        if process is None or process.poll() is not None:
            self._kill()  # closes the pipes of a dead process
            try:
                process = self._process = _start()
            except OSError as error:
                raise BadPicture(
                    f"cannot be decoded, as no process can be started ({error.strerror})"
                ) from None
            if self._closed:
                self._kill()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(HEADER.pack(len(options), len(data)) + options)
        process.stdin.write(data)
        process.stdin.flush()
        kind, byte_count = ANSWER.unpack(read_exactly(process.stdout, ANSWER.size))
        if byte_count > LARGEST_JPEG_BYTES:
            raise ValueError("the answer is larger than any picture")
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
    """Decode one picture without blocking the loop. Cancelling ends the process.

    BadPicture: see `PictureDecoder.fit`.
    """
    decoder = PictureDecoder()
    try:
        return await asyncio.to_thread(decoder.fit, data, size=size, quality=quality)
    finally:
        decoder.close()


def _start() -> "subprocess.Popen[bytes]":
    # Keep all else of the environment out: it may hold a service key.
    environ = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-m", "kioskd.adapters.pictures.decoder_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
        cwd="/",
    )
