"""Pictures from outside, decoded in a child process: a malicious file breaks that process only.

Pillow limits neither memory nor time. The child has limits for both (`confined`), and a deadline.
Pictures from a camera need none of this.
"""

import asyncio
from typing import Final

from kioskd.confined.process import ChildLost, ChildNotStarted, ConfinedProcess
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
        self._child = ConfinedProcess(
            "kioskd.adapters.pictures.decoder_process", most_bytes=LARGEST_JPEG_BYTES
        )

    def __enter__(self) -> "PictureDecoder":
        """Start the process early, so that it is ready for the first picture."""
        self._child.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End the process."""
        self.close()

    @property
    def process_id(self) -> int | None:
        """The id of the child process; None while none runs."""
        return self._child.process_id

    def fit(
        self, data: bytes, *, size: int, quality: int, rotate: Rotation = 0, mirror: bool = False
    ) -> bytes:
        """Return a picture as `picture.fit` does. Blocks until the deadline at most.

        BadPicture: see `picture.fit`; or the picture takes more memory or time than allowed.
        """
        if len(data) > MOST_BYTES:
            raise BadPicture(f"it is larger than {MOST_BYTES / 1e6:.0f} MB")
        options = {"size": size, "quality": quality, "rotate": rotate, "mirror": mirror}
        try:
            [(letter, content)] = self._child.ask(data, options, deadline_s=self.deadline_s)
        except ChildLost:
            raise BadPicture(_TOO_MUCH) from None
        except ChildNotStarted as error:
            raise BadPicture(f"cannot be decoded, as no process can be started ({error})") from None
        if letter != b"J":
            raise BadPicture(content.decode(errors="replace"))
        return content

    def close(self) -> None:
        """End the process at once. A picture that is being decoded ends with `BadPicture`."""
        self._child.close()


async def fit(data: bytes, *, size: int, quality: int) -> bytes:
    """Decode one picture without blocking the loop. Cancelling ends the process.

    BadPicture: see `PictureDecoder.fit`.
    """
    decoder = PictureDecoder()
    try:
        return await asyncio.to_thread(decoder.fit, data, size=size, quality=quality)
    finally:
        decoder.close()
