"""Reports of buttons, in a form for tests."""

import asyncio
from collections.abc import Callable

from kioskd.ports import Edge


def levels_into(reports: asyncio.Queue[bool]) -> Callable[[Edge], None]:
    """Return an `on_edge` that puts into `reports` whether the button is down."""
    return lambda edge: reports.put_nowait(edge.down)
