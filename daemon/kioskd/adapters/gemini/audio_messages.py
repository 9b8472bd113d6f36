"""Writes the messages of sound as the SDK writes them, but without its work for each one.

The SDK validates and converts each message, which is a quarter of the cost of sending one. Two messages with
sound differ in the Base64 text only. So the SDK writes the first one, and this module writes the next
ones around the same text.
"""

import base64
from collections.abc import Callable
from typing import Final

from kioskd.adapters.gemini.quiet_groups import QuietGroups

_ALPHABETS: Final[tuple[Callable[[bytes], bytes], ...]] = (base64.b64encode, base64.urlsafe_b64encode)


class AudioMessages:
    """Messages of one connection."""

    def __init__(self) -> None:
        self.groups = QuietGroups()
        """Says which frames share a message."""
        self._encode: Callable[[bytes], bytes] | None = None
        self._before = self._after = ""

    def learn(self, sound: bytes, message: str) -> None:
        """Learn from the SDK's message for a sound.

        A sound that both alphabets write alike teaches nothing.
        """
        found = [encode for encode in _ALPHABETS if message.count(encode(sound).decode()) == 1]
        if len(found) == 1:
            self._encode = found[0]
            self._before, _, self._after = message.partition(found[0](sound).decode())

    def text(self, sound: bytes) -> str | None:
        """Return the message for a sound; None until one was learnt."""
        if self._encode is None:
            return None
        return f"{self._before}{self._encode(sound).decode()}{self._after}"
