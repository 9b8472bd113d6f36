"""A filter for pictures that are worth sending: they differ from the last one sent, or that one is old."""

import asyncio
import logging

from kioskd.media import picture
from kioskd.media.picture import BadPicture

log = logging.getLogger(__name__)


class ChangeFilter:
    """Remembers a small sketch of the picture that was sent last, to compare others with it."""

    def __init__(self, min_change: float, refresh_s: float) -> None:
        """`min_change`: the least `picture.difference` of a new picture; 0 makes every picture new.

        `refresh_s`: every picture counts as new when the last one sent is older than this.
        """
        self._min_change = min_change
        self._refresh_s = refresh_s
        self._at = 0.0
        self._sketch = b""

    async def sketch(self, jpeg: bytes) -> bytes | None:
        """Return the sketch of a picture; None if the picture is damaged."""
        if not self._min_change:
            return b""
        try:
            return await asyncio.to_thread(picture.sketch, jpeg)
        except BadPicture as error:
            log.debug("! picture: %s", error)
            return None

    def is_alike(self, sketch: bytes, now: float) -> bool:
        """Return whether a picture with that sketch shows nothing new."""
        if not self._sketch or not sketch or now - self._at >= self._refresh_s:
            return False
        return picture.difference(sketch, self._sketch) < self._min_change

    def keep(self, sketch: bytes, at: float) -> None:
        """Note the sketch of a picture that was sent, and the time."""
        self._sketch, self._at = sketch, at

    def forget(self) -> None:
        """Treat the next picture as new."""
        self._sketch = b""
