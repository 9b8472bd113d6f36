"""Snapshot requests: a picture is shown once, in its request's conversation, and its fate is reported."""

import asyncio
from collections.abc import Callable

import pytest
from tests.support.fakes_devices import ManualClock
from tests.support.kiosk import PATIENCE_S, running, soon

from kioskd.core.effects import TakeSnapshot
from kioskd.errors import DeviceLost
from kioskd.flow.camera.camera_device import Snapshot
from kioskd.flow.camera.snapshot_requests import RESULT_S, SnapshotRequests


class Bench:
    """Snapshot requests with a fake camera."""

    def __init__(self) -> None:
        self.shot: Snapshot | None = Snapshot(0.0, b"seen")
        self.asked = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()
        self.shown: list[bytes] = []
        self.room = True
        self.clock = ManualClock()
        self.sent = True
        self.settle: Callable[[str], None] | None = None
        """Reports the fate of the newest picture, if it was not sent at once."""
        self.looks = SnapshotRequests(self._fresh, self._show, self.clock)

    async def _fresh(self, _within_s: float) -> Snapshot:
        self.asked.set()
        await self.free.wait()
        if self.shot is None:
            raise DeviceLost("camera: unplugged; plug it in")
        return self.shot

    def _show(self, jpeg: bytes, settled: Callable[[str], None]) -> bool:
        if self.room:
            self.shown.append(jpeg)
            self.settle = settled
            if self.sent:
                settled("")
        return self.room

    async def look(self) -> str:
        self.looks.ask(TakeSnapshot())
        return await soon(self.looks.result())


async def test_the_same_picture_is_shown_only_once_in_a_conversation() -> None:
    bench = Bench()
    async with running(bench.looks.run()):
        assert [await bench.look() for _ in range(3)] == ["", "", ""]
        assert bench.shown == [b"seen"]
        bench.shot = Snapshot(1.0, b"seen later")
        assert await bench.look() == ""
    assert bench.shown == [b"seen", b"seen later"]


async def test_a_request_during_another_one_is_the_same_request() -> None:
    bench = Bench()
    bench.free.clear()
    async with running(bench.looks.run()):
        for _ in range(5):
            bench.looks.ask(TakeSnapshot())
            await soon(bench.asked.wait())
        fates = [asyncio.create_task(bench.looks.result()) for _ in range(5)]
        bench.free.set()
        assert [await fate for fate in fates] == [""] * 5
    assert bench.shown == [b"seen"]


async def test_a_picture_whose_conversation_is_over_is_not_shown() -> None:
    bench = Bench()
    bench.free.clear()
    async with running(bench.looks.run()):
        bench.looks.ask(TakeSnapshot())
        await soon(bench.asked.wait())
        bench.looks.forget()
        assert await soon(bench.looks.result()) == "the conversation has ended"
        bench.free.set()
        bench.shot = Snapshot(1.0, b"the next visitor")
        assert await bench.look() == ""
    assert bench.shown == [b"the next visitor"]


async def test_a_request_ends_when_the_fate_of_its_picture_is_known() -> None:
    bench = Bench()
    bench.sent = False
    async with running(bench.looks.run()):
        for why, times in (("too slow", 1), ("", 2), ("", 2)):
            asking = asyncio.create_task(bench.look())
            await bench.clock.advance(1.0)
            assert len(bench.shown) == times, (
                "a picture that was not sent is shown on another request; one that was sent is not"
            )
            if bench.settle is not None:
                assert not asking.done()
                bench.settle(why)
                bench.settle = None
            assert await asking == why


async def test_a_request_does_not_wait_long_for_an_unreachable_service() -> None:
    bench = Bench()
    bench.sent = False
    async with running(bench.looks.run()):
        bench.looks.ask(TakeSnapshot())
        asking = asyncio.create_task(bench.looks.result())
        await bench.clock.advance(RESULT_S - 0.1)
        assert not asking.done()
        await bench.clock.advance(0.2)
        async with asyncio.timeout(PATIENCE_S):
            assert (await asking).startswith("not yet: the service accepts nothing now")


async def test_the_reason_of_a_failed_request_is_returned_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    async with running(bench.looks.run()):
        bench.room = False
        assert "too many" in await bench.look()
        bench.shot = None
        assert await bench.look() == "camera: unplugged; plug it in"
    assert [message.partition(": ")[0] for message in caplog.messages] == [
        "a requested picture was not shown"
    ] * 2
