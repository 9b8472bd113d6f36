"""What a person asks the kiosk to show to the model: one picture of what the camera sees now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from kioskd.core.effects import TakeSnapshot
from kioskd.errors import DeviceLost
from kioskd.ports import Clock

log = logging.getLogger(__name__)

REQUEST_S: Final = 10.0
"""How long a picture that a person asked for is waited for: a camera's start, and once more."""

FATE_S: Final = 14.0
"""When whoever asked is told at the latest what became of it: most have gone a second later."""

_OVER: Final = "the conversation has ended"
_FULL: Final = "too many questions and pictures wait for the service; try again when it has answered"
_WAITS: Final = "not yet: the service takes nothing now; it is shown as soon as that does"


ShowPicture = Callable[[bytes, Callable[[str], None]], bool]
"""Puts a JPEG before the model when it can be, and tells the second what became of it: why it was left out, or nothing.

False: it cannot now.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A picture, and when it was taken."""

    at: float
    jpeg: bytes = field(repr=False)


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
        self._fate: asyncio.Future[str] | None = None
        """Why what was asked for last was not shown; empty if it was."""
        self._shown: Snapshot | None = None
        """What the model has, or will have when its turn comes."""

    def ask(self, _effect: TakeSnapshot) -> None:
        """Show the model what is seen now. Who asks while that is being done has asked for the same."""
        if self._fate is None or self._fate.done():
            self._fate = fate = asyncio.get_running_loop().create_future()
            late = self._clock.call_later(FATE_S, lambda: _settle(fate, _WAITS))
            fate.add_done_callback(lambda _fate: late.cancel())
            self._asked.set()

    async def fate(self) -> str:
        """Wait until what was asked for was sent to the model, or could not be; return why, or nothing."""
        return "" if self._fate is None else await asyncio.shield(self._fate)

    def forget(self) -> None:
        """The conversation is over: what was asked for in it is shown to nobody."""
        self._shown = None
        self._asked.clear()
        if self._fate is not None:
            _settle(self._fate, _OVER)

    async def run(self) -> NoReturn:
        """Work until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            fate = self._fate
            if fate is None or fate.done():
                continue
            try:
                shot = await self._fresh(REQUEST_S)
            except DeviceLost as error:
                self._refuse(fate, str(error))
            else:
                if not fate.done():  # else its conversation is over, and another may have begun
                    self._put(shot, fate)

    def _put(self, shot: Snapshot, fate: "asyncio.Future[str]") -> None:
        def settled(why: str) -> None:
            if why and self._shown is shot:
                self._shown = None
            _settle(fate, why)

        if shot is self._shown:
            _settle(fate, "")  # the model has it; twice would be billed twice
        elif self._show(shot.jpeg, settled):
            self._shown = shot
        else:
            self._refuse(fate, _FULL)

    def _refuse(self, fate: "asyncio.Future[str]", why: str) -> None:
        if not fate.done():
            log.warning("picture asked for, and not shown: %s", why)
        _settle(fate, why)


def _settle(fate: "asyncio.Future[str]", why: str) -> None:
    if not fate.done():
        fate.set_result(why)


def fail(asked: "asyncio.Future[Snapshot]", error: DeviceLost) -> None:
    """Tell who has asked for a picture that there is none."""
    if not asked.done():
        asked.set_exception(error)


def no_picture(within_s: float) -> DeviceLost:
    """Return what a camera is said to be that gives no picture in time."""
    return DeviceLost(f"camera: no picture within {within_s:.1f} s; see what the journal says of it")
