"""Watch for a new route to the internet: the kernel reports changes, and the routes show them."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, NoReturn

SETTLE_S: Final = 1.0
"""Seconds without news from the kernel before the routes are read: addresses and routes change in bursts."""

# rtnetlink(7): links, addresses and routes of both families.
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400

_FAR: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Example addresses for documentation (RFC 5737, RFC 3849): looked up in the routes, never sent to."""


def source_addresses() -> frozenset[str]:
    """Return the machine's own addresses on its routes to the internet; empty if it has no route."""
    addresses = set()
    for family, far in _FAR:
        # Connecting a datagram socket sends nothing: the kernel picks the route and the source address.
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            addresses.add(probe.getsockname()[0])
    return frozenset(addresses)


class KernelNetwork:
    """The machine's network; a `ports.Network`."""

    def __init__(self, *, settle_s: float = SETTLE_S) -> None:
        self._settle_s = settle_s

    async def watch(self, on_change: Callable[[], None]) -> NoReturn:
        """Call `on_change` when a route to the internet is new or back, until cancelled."""
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        with socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            socket.NETLINK_ROUTE,
        ) as kernel:
            kernel.bind((0, _GROUPS))
            loop.add_reader(kernel, news.set)
            try:
                before = source_addresses()
                while True:
                    await self._wait_until_quiet(kernel, news)
                    now = source_addresses()
                    if now and now != before:
                        on_change()
                    before = now
            finally:
                loop.remove_reader(kernel)

    async def _wait_until_quiet(self, kernel: socket.socket, news: asyncio.Event) -> None:
        """Return when the kernel has reported something, and then nothing for `settle_s`."""
        await news.wait()
        while news.is_set():
            news.clear()
            _drain(kernel)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settle_s):
                    await news.wait()


def _drain(kernel: socket.socket) -> None:
    """Read and drop the waiting messages: it only matters that something changed."""
    while True:
        try:
            kernel.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: messages overflowed the socket, so something changed
            continue
