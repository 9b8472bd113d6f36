"""Notices that this machine has another route to the world: the kernel says that something changed, the routes say what."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final, NoReturn

SETTLE_S: Final = 1.0
"""How long the kernel must be silent before a look: addresses and routes come in bursts."""

# rtnetlink(7): links, addresses and routes of both families.
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400

_FAR: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that stand for "out there" in documentation (RFC 5737, RFC 3849): looked up in the routes, never sent to."""


def source_addresses() -> frozenset[str]:
    """Return the addresses from which this machine would reach the world; none where it has no way out."""
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
        """Call `on_change` when there is a way out that is new or back, until cancelled."""
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
        """Return when the kernel has said something, and then nothing for a while."""
        await news.wait()
        while news.is_set():
            news.clear()
            _drain(kernel)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settle_s):
                    await news.wait()


def _drain(kernel: socket.socket) -> None:
    """Read what waits and forget it: that something changed is all we take from it."""
    while True:
        try:
            kernel.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: more than the socket holds came at once, which is news enough
            continue
