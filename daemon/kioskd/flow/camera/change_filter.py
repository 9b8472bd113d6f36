"""What tells a picture that is worth sending: it is unlike the last one that was sent, or that one is old."""

import asyncio
import logging

from kioskd.media import picture
from kioskd.media.picture import BadPicture

log = logging.getLogger(__name__)


class ChangeFilter:
    """Remembers what was sent last, as little of it as can be compared."""

    def __init__(self, min_change: float, refresh_s: float) -> None:
        """`min_change`: see `picture.difference`; 0: every picture is new. Nor is one like what is so many seconds old."""
        self._min_change = min_change
        self._refresh_s = refresh_s
        self._at = 0.0
        self._sketch = b""

    async def sketch(self, jpeg: bytes) -> bytes | None:
        """Return what a picture is compared by; None: it is damaged."""
        if not self._min_change:
            return b""
        try:
            return await asyncio.to_thread(picture.sketch, jpeg)
        except BadPicture as error:
            log.debug("! picture: %s", error)
            return None

    def is_alike(self, sketch: bytes, now: float) -> bool:
        """Return whether there is nothing new in a picture with that sketch."""
        if not self._sketch or not sketch or now - self._at >= self._refresh_s:
            return False
        return picture.difference(sketch, self._sketch) < self._min_change

    def keep(self, sketch: bytes, at: float) -> None:
        """Note what was sent, and when."""
        self._sketch, self._at = sketch, at

    def forget(self) -> None:
        """Take whatever comes next for new."""
        self._sketch = b""
