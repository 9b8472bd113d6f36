"""Sharing the event loop. For a task that a fast peer could keep busy without one real wait."""

import types
from collections.abc import Generator


@types.coroutine
def others_first() -> Generator[None, None, None]:
    """Let every other task and callback that is ready run once. Cancelling takes effect here."""
    yield
