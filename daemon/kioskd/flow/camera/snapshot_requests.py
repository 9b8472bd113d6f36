"""Requests to show the model one picture from the camera."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from kioskd.core.effects import TakeSnapshot
from kioskd.errors import DeviceLost
from kioskd.flow.camera.camera_device import Snapshot
from kioskd.ports import Clock

log = logging.getLogger(__name__)

REQUEST_S: Final = 10.0
"""The longest wait for a requested picture, in seconds: a camera's start, and a second try."""

RESULT_S: Final = 14.0
"""The latest time of an answer to a request, in seconds. Most clients give up one second later."""

_OVER: Final = "the conversation has ended"
_FULL: Final = "too many questions and pictures wait for the service; try again when it has answered"
_WAITS: Final = "not yet: the service accepts nothing now; the picture is sent as soon as it does"


ShowPicture = Callable[[bytes, Callable[[str], None]], bool]
"""Sends a JPEG to the model when possible. The function gets the reason if it is not sent, else "".

Returns False if it cannot be sent now.
"""


class SnapshotRequests:
    """Answers requests, one picture at a time. `run` must be running."""

    def __init__(
        self, fresh: Callable[[float], Awaitable[Snapshot]], show: ShowPicture, clock: Clock
    ) -> None:
        """`fresh` returns a picture within the given seconds."""
        self._fresh = fresh
        self._show = show
        self._clock = clock
        self._asked = asyncio.Event()
        self._result: asyncio.Future[str] | None = None
        """The reason why the newest request failed; empty if the picture was sent."""
        self._shown: Snapshot | None = None
        """The picture that the model has, or will get when its turn comes."""

    def ask(self, _effect: TakeSnapshot) -> None:
        """Request a picture. A request that comes while another one is open is the same request."""
        if self._result is None or self._result.done():
            self._result = result = asyncio.get_running_loop().create_future()
            late = self._clock.call_later(RESULT_S, lambda: _settle(result, _WAITS))
            result.add_done_callback(lambda _result: late.cancel())
            self._asked.set()

    async def result(self) -> str:
        """Wait for the end of the newest request. Return why the picture was not sent, or ""."""
        return "" if self._result is None else await asyncio.shield(self._result)

    def forget(self) -> None:
        """End the request of a conversation that is over. Its picture is not shown."""
        self._shown = None
        self._asked.clear()
        if self._result is not None:
            _settle(self._result, _OVER)

    async def run(self) -> NoReturn:
        while True:
            await self._asked.wait()
            self._asked.clear()
            result = self._result
            if result is None or result.done():
                continue
            try:
                shot = await self._fresh(REQUEST_S)
            except DeviceLost as error:
                self._refuse(result, str(error))
            else:
                if not result.done():  # else the conversation has ended, and another one may have begun
                    self._put(shot, result)

    def _put(self, shot: Snapshot, result: "asyncio.Future[str]") -> None:
        def settled(why: str) -> None:
            if why and self._shown is shot:
                self._shown = None
            _settle(result, why)

        if shot is self._shown:
            _settle(result, "")  # the model has it; sending it twice would cost twice
        elif self._show(shot.jpeg, settled):
            self._shown = shot
        else:
            self._refuse(result, _FULL)

    def _refuse(self, result: "asyncio.Future[str]", why: str) -> None:
        if not result.done():
            log.warning("a requested picture was not shown: %s", why)
        _settle(result, why)


def _settle(result: "asyncio.Future[str]", why: str) -> None:
    if not result.done():
        result.set_result(why)
