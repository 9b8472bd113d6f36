"""What a person asks to be shown is shown once, in their own conversation, and what becomes of it is known."""

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
    """Looks at a camera that gives what the test lays out."""

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
        """Tells what became of what was shown last, where it was not sent at once."""
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


async def test_a_picture_is_shown_and_the_same_not_again_in_its_conversation() -> None:
    bench = Bench()
    async with running(bench.looks.run()):
        assert [await bench.look() for _ in range(3)] == ["", "", ""]
        assert bench.shown == [b"seen"]
        bench.shot = Snapshot(1.0, b"seen later")
        assert await bench.look() == ""
    assert bench.shown == [b"seen", b"seen later"]


async def test_who_asks_while_it_is_being_taken_has_asked_for_the_same() -> None:
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


async def test_a_look_whose_conversation_is_over_is_shown_to_nobody() -> None:
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


async def test_its_fate_is_that_of_the_picture_and_known_no_sooner() -> None:
    bench = Bench()
    bench.sent = False
    async with running(bench.looks.run()):
        for why, times in (("too slow", 1), ("", 2), ("", 2)):
            asking = asyncio.create_task(bench.look())
            await bench.clock.advance(1.0)
            assert len(bench.shown) == times, (
                "what was left out is shown when it is asked for again, what was sent is not"
            )
            if bench.settle is not None:
                assert not asking.done()
                bench.settle(why)
                bench.settle = None
            assert await asking == why


async def test_who_asks_is_not_kept_waiting_for_a_service_that_is_not_reached() -> None:
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


async def test_why_nothing_is_shown_is_told_and_said(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    async with running(bench.looks.run()):
        bench.room = False
        assert "too many" in await bench.look()
        bench.shot = None
        assert await bench.look() == "camera: unplugged; plug it in"
    assert [message.partition(": ")[0] for message in caplog.messages] == [
        "a requested picture was not shown"
    ] * 2
