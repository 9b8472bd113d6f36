"""Sharing the event loop: for a task whose waits may all be over at once, because a peer has sent so much."""

import types
from collections.abc import Generator


@types.coroutine
def others_first() -> Generator[None, None, None]:
    """Let every other task and callback that is ready run once. Cancelling takes effect here."""
    yield
