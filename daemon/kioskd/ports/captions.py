"""Interface of a screen that shows captions."""

from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from kioskd.ports.remote import SendLine

FollowCaptions = Callable[[SendLine], Awaitable[NoReturn]]
"""Passes all captions, and then each change, to a function, until cancelled or until that function raises.

Each message has `first`, the number of the oldest line, and `lines`, the lines that are new or have changed.
Lines with lower numbers than `first` are gone. A message has `status` if that has changed.
"""


class CaptionScreen(Protocol):
    """A screen for captions."""

    async def show(self, follow: FollowCaptions) -> NoReturn:
        """Show the captions until cancelled, then clear the screen. A lost screen is tried again."""
