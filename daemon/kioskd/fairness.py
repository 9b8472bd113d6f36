"""Sharing the event loop: a task that never really waits, because its peer is fast, lets the others run."""

import types
from collections.abc import Generator


@types.coroutine
def others_first() -> Generator[None, None, None]:
    """Let every other task and callback that is ready run once. Cancelling takes effect here."""
    yield
