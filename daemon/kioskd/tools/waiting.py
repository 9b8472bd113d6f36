"""Waits for a time by the kiosk's clock, or until cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import NoReturn, TypeVar

from kioskd import ports

T = TypeVar("T")


async def stay() -> NoReturn:
    """Wait until cancelled."""
    while True:
        await asyncio.Event().wait()


async def within(clock: ports.Clock, seconds: float, work: Awaitable[T]) -> T:
    """Return the result of `work`. After `seconds` of `clock` cancel it, and raise TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:
        alarm = clock.call_later(seconds, lambda: scope.reschedule(loop.time()))
        try:
            return await work
        finally:
            alarm.cancel()
