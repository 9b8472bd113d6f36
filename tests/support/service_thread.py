"""A Live service in a thread, so that its own work does not count as the daemon's."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.live_server import Handler, LiveServer, live_server


@contextmanager
def service_thread(handler: Handler) -> Iterator[LiveServer]:
    """Serve `handler` on loopback until the block ends."""
    ready = threading.Event()
    made: list[tuple[LiveServer, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with live_server(handler) as server:
            over = asyncio.Event()
            made.append((server, asyncio.get_running_loop(), over))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="hostile service", daemon=True)
    thread.start()
    assert ready.wait(10), "the service did not start"
    server, loop, over = made[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
