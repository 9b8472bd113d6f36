"""A new route to the internet is noticed once; other changes are not. In a network of the test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.support.kiosk import running
from tests.support.namespace import Namespace, missing, namespace

from kioskd.adapters.network import KernelNetwork, source_addresses

SETTLE_S: Final = 0.1
"""Seconds; shorter than the real value, which does not matter here."""
PATIENCE_S: Final = 20.0
WIFI: Final = "10.9.8.65"


@pytest.fixture
def network() -> Iterator[Namespace]:
    """Run in a network with two cards and no route to the internet."""
    if lacking := missing():
        pytest.skip(lacking)
    with namespace() as made:
        for card in ("wifi", "cable"):
            made.run("ip", "link", "add", card, "type", "veth", "peer", "name", f"{card}-far")
            made.run("ip", "link", "set", f"{card}-far", "up")
            made.run("ip", "link", "set", card, "up")
        yield made


class Watched:
    """Recorder of the changes that were noticed."""

    def __init__(self) -> None:
        self.changes = 0
        self._changed = asyncio.Event()

    def on_change(self) -> None:
        self.changes += 1
        self._changed.set()

    async def noticed(self) -> None:
        """Wait for the next change."""
        async with asyncio.timeout(PATIENCE_S):
            await self._changed.wait()
        self._changed.clear()

    async def nothing(self) -> None:
        """Wait as long as a change takes to be noticed, and check that none comes."""
        before = self.changes
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4 * SETTLE_S):
                await self._changed.wait()
        assert self.changes == before


@asynccontextmanager
async def watching() -> AsyncIterator[Watched]:
    watched = Watched()
    async with running(KernelNetwork(settle_s=SETTLE_S).watch(watched.on_change)):
        await asyncio.sleep(0)  # it listens after its first step
        yield watched


def join(network: Namespace, card: str = "wifi", address: str = WIFI, metric: int = 600) -> None:
    """Give a card an address and a default route, as DHCP does."""
    gateway = f"{address.rpartition('.')[0]}.1"
    network.run("ip", "address", "add", f"{address}/24", "dev", card)
    network.run("ip", "route", "add", "default", "via", gateway, "dev", card, "metric", str(metric))


def leave(network: Namespace, card: str = "wifi") -> None:
    """Remove a card's address, and with it its route."""
    network.run("ip", "address", "flush", "dev", card)


async def test_an_address_with_a_route_is_one_change(network: Namespace) -> None:
    async with watching() as watched:
        join(network)
        await watched.noticed()
        assert WIFI in source_addresses()
        await watched.nothing()


async def test_a_loss_is_not_a_change_but_the_same_address_after_it_is(network: Namespace) -> None:
    join(network)
    async with watching() as watched:
        leave(network)
        await watched.nothing()
        assert WIFI not in source_addresses()

        join(network)
        await watched.noticed()


async def test_another_address_of_the_same_card_is_a_change(network: Namespace) -> None:
    join(network)
    async with watching() as watched:
        leave(network)
        join(network, address="198.51.100.7")
        await watched.noticed()
        await watched.nothing()


async def test_a_better_route_is_a_change_and_so_is_its_loss(network: Namespace) -> None:
    join(network)
    async with watching() as watched:
        join(network, "cable", "198.51.100.7", metric=100)
        await watched.noticed()
        leave(network, "cable")
        await watched.noticed()
        assert WIFI in source_addresses()


async def test_changes_without_a_new_route_to_the_internet_are_ignored(network: Namespace) -> None:
    join(network)
    async with watching() as watched:
        network.run("ip", "address", "add", "10.1.2.3/24", "dev", "cable")
        network.run("ip", "route", "add", "203.0.113.0/24", "via", "10.1.2.1", "dev", "cable")
        for state in ("down", "up", "down", "up"):
            network.run("ip", "link", "set", "cable", state)
        network.run("ip", "route", "add", "default", "via", "10.1.2.1", "dev", "cable", "metric", "900")
        network.run("ip", "address", "add", "10.9.8.66/24", "dev", "wifi")
        await watched.nothing()


async def test_a_short_flap_that_ends_as_it_began_is_not_a_change(network: Namespace) -> None:
    join(network)
    async with watching() as watched:
        leave(network)
        join(network)
        await watched.nothing()


async def test_a_burst_is_one_change(network: Namespace) -> None:
    async with watching() as watched:
        for last in range(10, 40):
            network.run("ip", "address", "add", f"10.9.8.{last}/24", "dev", "wifi")
        join(network)
        await watched.noticed()
        await watched.nothing()
        assert watched.changes == 1


async def test_an_overflow_of_the_socket_counts_as_a_change(network: Namespace, tmp_path: Path) -> None:
    """The loop does not read meanwhile, so the kernel drops messages and reports ENOBUFS."""
    batch = tmp_path / "batch"
    lines = [f"route add 172.{one}.{two}.0/24 dev wifi" for one in range(20) for two in range(256)]
    batch.write_text("\n".join(["address add 10.9.8.65/24 dev wifi", *lines]))
    async with watching() as watched:
        network.run("ip", "-batch", str(batch))
        network.run("ip", "route", "add", "default", "via", "10.9.8.1", "dev", "wifi")
        await watched.noticed()
        assert watched.changes == 1


async def test_cancelling_closes_the_socket(network: Namespace) -> None:
    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = open_files()
    async with watching() as watched:
        assert open_files() == before + 1
        join(network)
        await watched.noticed()
    assert open_files() == before
