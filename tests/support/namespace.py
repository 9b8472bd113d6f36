"""A network of a test's own, to be made slow, deaf or dead without harm to anybody else's."""

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
"""How long an answer may be on its way on this machine, busy as it is."""

_NEW_NETWORK: Final = 0x40000000  # CLONE_NEWNET: os.unshare and os.setns came with Python 3.12


def missing() -> str | None:
    """Say what keeps a network of one's own from being made; None if nothing does."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} here (apt install iproute2 nftables)"
    try:
        with namespace() as network:
            network.run("nft", "add", "table", "inet", "trial")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespace with a packet filter can be made here (root only): {error}"
    return None


class Namespace:
    """The network that this thread is in."""

    def run(self, *command: str) -> str:
        """Run a command in it and return what it printed.

        Raises:
            subprocess.CalledProcessError: the command failed.
        """
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @contextlib.asynccontextmanager
    async def black_hole(self, port: int) -> AsyncIterator[None]:
        """Let every TCP packet to and from `port` vanish; nobody is told.

        The way there is cut first, and the way back when what was on it has come: so both ends know the same of what
        has arrived, and a test can ask for exactly that.
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
        """Let no more than `rate` pass, and at most `latency` of it wait; the rest is dropped, as routers do."""
        self.run("ip", "link", "set", "lo", "mtu", "1500")  # a packet larger than the bucket would never pass
        shape = ("tbf", "rate", rate, "burst", "4kb", "latency", latency)
        self.run("tc", "qdisc", "add", "dev", "lo", "root", *shape)

    def lose_the_way(self) -> None:
        """Take the whole network down: no address, no route, nothing to dial."""
        self.run("ip", "link", "set", "lo", "down")

    def find_the_way(self) -> None:
        """Bring the network up again."""
        self.run("ip", "link", "set", "lo", "up")


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """Be in a network of one's own, with loopback up and no way out.

    It holds for this thread, for the threads and processes it starts meanwhile, and for the sockets made meanwhile,
    as long as they live. It is gone when nobody is in it.
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
