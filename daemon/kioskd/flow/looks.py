"""What a person asks the kiosk to show to the model: one picture of what the camera sees now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from kioskd.core.effects import Look
from kioskd.errors import DeviceLost

log = logging.getLogger(__name__)

REQUEST_S: Final = 10.0
"""How long a picture that a person asked for is waited for: a camera's start, and once more."""

_OVER: Final = "the conversation has ended"
_FULL: Final = "too many questions and pictures wait for the service; try again when it has answered"


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture, and when it was taken."""

    at: float
    jpeg: bytes = field(repr=False)


class Looks:
    """Takes what is asked for, one look at a time. `run` must be running."""

    def __init__(self, fresh: Callable[[float], Awaitable[Shot]], show: Callable[[bytes], bool]) -> None:
        """`fresh` returns a picture within so many seconds. `show` puts it before the model; False: it cannot now."""
        self._fresh = fresh
        self._show = show
        self._asked = asyncio.Event()
        self._fate: asyncio.Future[str] | None = None
        """Why what was asked for last was not shown; empty if it was."""
        self._shown: Shot | None = None

    def ask(self, _effect: Look) -> None:
        """Show the model what is seen now. Who asks while that is being done has asked for the same."""
        if self._fate is None or self._fate.done():
            self._fate = asyncio.get_running_loop().create_future()
            self._asked.set()

    async def fate(self) -> str:
        """Wait until what was asked for is on its way to the model, or cannot be; return why, or nothing."""
        return "" if self._fate is None else await asyncio.shield(self._fate)

    def forget(self) -> None:
        """The conversation is over: what was asked for in it is shown to nobody."""
        self._shown = None
        self._asked.clear()
        if self._fate is not None and not self._fate.done():
            self._fate.set_result(_OVER)

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
                why = str(error)
            else:
                why = "" if fate.done() else self._put(shot)
            if not fate.done():  # else its conversation is over, and another may have begun
                fate.set_result(why)
                if why:
                    log.warning("picture asked for, and not shown: %s", why)

    def _put(self, shot: Shot) -> str:
        if shot is self._shown:
            return ""  # the model has it; twice would be billed twice
        if not self._show(shot.jpeg):
            return _FULL
        self._shown = shot
        return ""
