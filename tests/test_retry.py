"""A retry waits longer each time, and logs a loss once."""

import asyncio

import pytest

from kioskd.retry import RetryDelays, TryEnded, retry


def test_each_delay_is_twice_the_last_up_to_a_bound() -> None:
    delays = RetryDelays(1.0, 5.0)
    assert [delays.next() for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]
    delays.reset()
    assert delays.next() == 1.0


class World:
    """Ends its tries as the test says. The last one is followed by a cancellation."""

    def __init__(self, *ends: TryEnded) -> None:
        self._ends = list(ends)
        self.lost: list[str] = []
        self.paused: list[float] = []

    async def once(self) -> TryEnded:
        if not self._ends:
            raise asyncio.CancelledError
        return self._ends.pop(0)

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    async def run(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await retry(self.once, delays=RetryDelays(1.0, 60.0), lost=self.lost.append, pause=self.pause)


async def test_a_loss_is_logged_once_and_each_wait_is_longer() -> None:
    world = World(*[TryEnded("no route")] * 3)
    await world.run()
    assert world.lost == ["no route"]
    assert world.paused == [1.0, 2.0, 4.0]


async def test_the_delays_begin_again_after_a_success() -> None:
    world = World(
        TryEnded("no route"), TryEnded("no route"), TryEnded("reset", worked=True), TryEnded("no route")
    )
    await world.run()
    assert world.lost == ["no route", "reset"]
    assert world.paused == [1.0, 2.0, 1.0, 2.0]


async def test_a_retry_at_once_has_no_delay() -> None:
    world = World(TryEnded("started again", worked=True, at_once=True), TryEnded("no route"))
    await world.run()
    assert world.lost == ["started again"]
    assert world.paused == [1.0]
