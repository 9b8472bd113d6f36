"""A network for one test, which the test can slow down or cut without harm to others."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

NEEDED: Final = ("ip", "nft", "tc")
ON_ITS_WAY_S: Final = 0.3
"""Seconds that a packet may take on this machine, even if it is busy."""

_NEW_NETWORK: Final = 0x40000000  # CLONE_NEWNET: os.unshare and os.setns came with Python 3.12


def missing() -> str | None:
    """Return why this machine cannot create a network for a test; None if it can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"missing: {', '.join(absent)}; run `apt install iproute2 nftables`"
    try:
        with namespace() as network:
            network.run("nft", "add", "table", "inet", "trial")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespace with a packet filter can be made here (root only): {error}"
    return None


class Namespace:
    """The network of this thread."""

    def run(self, *command: str) -> str:
        """Run a command in the network, and return its output.

        Raises:
            subprocess.CalledProcessError: the command failed.
        """
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @contextlib.asynccontextmanager
    async def black_hole(self, port: int) -> AsyncIterator[None]:
        """Drop every TCP packet to and from `port`, without an error to either end.

        Packets to the port are dropped first. Packets from it are dropped a moment later, when those on their
        way have arrived. So both ends agree on the data that arrived, and a test can compare it.
        """
        table = f"hole{port}"
        self.run("nft", "add", "table", "inet", table)
        self.run("nft", "add", "chain", "inet", table, "in", "{ type filter hook input priority 0; }")
        try:
            self.run("nft", "add", "rule", "inet", table, "in", "tcp", "dport", str(port), "drop")
            await asyncio.sleep(ON_ITS_WAY_S)
            self.run("nft", "add", "rule", "inet", table, "in", "tcp", "sport", str(port), "drop")
            yield
        finally:
            self.run("nft", "delete", "table", "inet", table)

    def slow_down(self, rate: str, latency: str) -> None:
        """Limit the rate; packets that would wait longer than `latency` are dropped, as routers do."""
        self.run("ip", "link", "set", "lo", "mtu", "1500")  # a packet larger than the burst would never pass
        shape = ("tbf", "rate", rate, "burst", "4kb", "latency", latency)
        self.run("tc", "qdisc", "add", "dev", "lo", "root", *shape)

    def lose_the_way(self) -> None:
        """Take the network down: no address and no route is left, so dialing fails."""
        self.run("ip", "link", "set", "lo", "down")

    def find_the_way(self) -> None:
        """Bring the network up again."""
        self.run("ip", "link", "set", "lo", "up")


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """Move this thread into a new network, with loopback up and without a way out.

    It applies to this thread, to threads and processes that it starts inside the block, and to sockets
    created there for as long as they exist. The network is removed when nothing uses it any more.
    """
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        _call("unshare", _NEW_NETWORK)
        try:
            network = Namespace()
            network.find_the_way()
            yield network
        finally:
            _call("setns", before.fileno(), _NEW_NETWORK)


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
