"""What a person asks the kiosk to show to the model: one picture of what the camera sees now."""

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
"""How long a picture that a person asked for is waited for: a camera's start, and once more."""

RESULT_S: Final = 14.0
"""When whoever asked is told at the latest what became of it: most have gone a second later."""

_OVER: Final = "the conversation has ended"
_FULL: Final = "too many questions and pictures wait for the service; try again when it has answered"
_WAITS: Final = "not yet: the service takes nothing now; it is shown as soon as that does"


ShowPicture = Callable[[bytes, Callable[[str], None]], bool]
"""Puts a JPEG before the model when it can be, and tells the second what became of it: why it was left out, or nothing.

False: it cannot now.
"""


class SnapshotRequests:
    """Takes what is asked for, one look at a time. `run` must be running."""

    def __init__(
        self, fresh: Callable[[float], Awaitable[Snapshot]], show: ShowPicture, clock: Clock
    ) -> None:
        """`fresh` returns a picture within so many seconds."""
        self._fresh = fresh
        self._show = show
        self._clock = clock
        self._asked = asyncio.Event()
        self._result: asyncio.Future[str] | None = None
        """Why what was asked for last was not shown; empty if it was."""
        self._shown: Snapshot | None = None
        """What the model has, or will have when its turn comes."""

    def ask(self, _effect: TakeSnapshot) -> None:
        """Show the model what is seen now. Who asks while that is being done has asked for the same."""
        if self._result is None or self._result.done():
            self._result = result = asyncio.get_running_loop().create_future()
            late = self._clock.call_later(RESULT_S, lambda: _settle(result, _WAITS))
            result.add_done_callback(lambda _result: late.cancel())
            self._asked.set()

    async def result(self) -> str:
        """Wait until what was asked for was sent to the model, or could not be; return why, or nothing."""
        return "" if self._result is None else await asyncio.shield(self._result)

    def forget(self) -> None:
        """The conversation is over: what was asked for in it is shown to nobody."""
        self._shown = None
        self._asked.clear()
        if self._result is not None:
            _settle(self._result, _OVER)

    async def run(self) -> NoReturn:
        """Work until cancelled."""
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
                if not result.done():  # else its conversation is over, and another may have begun
                    self._put(shot, result)

    def _put(self, shot: Snapshot, result: "asyncio.Future[str]") -> None:
        def settled(why: str) -> None:
            if why and self._shown is shot:
                self._shown = None
            _settle(result, why)

        if shot is self._shown:
            _settle(result, "")  # the model has it; twice would be billed twice
        elif self._show(shot.jpeg, settled):
            self._shown = shot
        else:
            self._refuse(result, _FULL)

    def _refuse(self, result: "asyncio.Future[str]", why: str) -> None:
        if not result.done():
            log.warning("picture asked for, and not shown: %s", why)
        _settle(result, why)


def _settle(result: "asyncio.Future[str]", why: str) -> None:
    if not result.done():
        result.set_result(why)
