"""What a person asks to be shown is shown once, in their own conversation, and what becomes of it is known."""

import asyncio

import pytest
from tests.support.kiosk import running, soon

from kioskd.core.effects import Look
from kioskd.errors import DeviceLost
from kioskd.flow.looks import Looks, Shot


class Bench:
    """Looks at a camera that gives what the test lays out."""

    def __init__(self) -> None:
        self.shot: Shot | None = Shot(0.0, b"seen")
        self.asked = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()
        self.shown: list[bytes] = []
        self.room = True
        self.looks = Looks(self._fresh, self._show)

    async def _fresh(self, _within_s: float) -> Shot:
        self.asked.set()
        await self.free.wait()
        if self.shot is None:
            raise DeviceLost("camera: unplugged; plug it in")
        return self.shot

    def _show(self, jpeg: bytes) -> bool:
        if self.room:
            self.shown.append(jpeg)
        return self.room

    async def look(self) -> str:
        self.looks.ask(Look())
        return await soon(self.looks.fate())


async def test_a_picture_is_shown_and_the_same_not_again_in_its_conversation() -> None:
    bench = Bench()
    async with running(bench.looks.run()):
        assert [await bench.look() for _ in range(3)] == ["", "", ""]
        assert bench.shown == [b"seen"]
        bench.shot = Shot(1.0, b"seen later")
        assert await bench.look() == ""
    assert bench.shown == [b"seen", b"seen later"]


async def test_who_asks_while_it_is_being_taken_has_asked_for_the_same() -> None:
    bench = Bench()
    bench.free.clear()
    async with running(bench.looks.run()):
        for _ in range(5):
            bench.looks.ask(Look())
            await soon(bench.asked.wait())
        fates = [asyncio.create_task(bench.looks.fate()) for _ in range(5)]
        bench.free.set()
        assert [await fate for fate in fates] == [""] * 5
    assert bench.shown == [b"seen"]


async def test_a_look_whose_conversation_is_over_is_shown_to_nobody() -> None:
    bench = Bench()
    bench.free.clear()
    async with running(bench.looks.run()):
        bench.looks.ask(Look())
        await soon(bench.asked.wait())
        bench.looks.forget()
        assert await soon(bench.looks.fate()) == "the conversation has ended"
        bench.free.set()
        bench.shot = Shot(1.0, b"the next visitor")
        assert await bench.look() == ""
    assert bench.shown == [b"the next visitor"]


async def test_why_nothing_is_shown_is_told_and_said(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    async with running(bench.looks.run()):
        bench.room = False
        assert "too many" in await bench.look()
        bench.shot = None
        assert await bench.look() == "camera: unplugged; plug it in"
    assert [message.partition(": ")[0] for message in caplog.messages] == [
        "picture asked for, and not shown"
    ] * 2
