"""Commands from the broker become requests of remote control. They have the rights of the socket's group."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn

from kioskd.flow.controls.remote import LOG_LEVELS
from kioskd.flow.fleet.entities import COMMANDED
from kioskd.ports import BrokerMessage, RequestHandler

log = logging.getLogger(__name__)

COMMAND_S: Final = 60.0
"""The most seconds for a command. The longest one has 40."""
MOST_COMMANDS: Final = 8
LONGEST_BYTES: Final = 4096
"""Most bytes of a command: a question, in any script."""
LONGEST_NUMBER: Final = 10
"""Most characters of a number. Home Assistant may write 70 as 70.0."""
RESTART: Final = "restart"
PRESS: Final = "PRESS"
"""Home Assistant sends this for a button."""


class CommandRefused(Exception):
    """A command that means nothing here. The message says why, and holds nothing of the command."""


def request(key: str, payload: bytes) -> Mapping[str, object]:
    """Return the request for a command to the entity `key`; `{"do": "restart"}` for a restart.

    Raises:
        CommandRefused: there is no such entity, or it does not take this.
    """
    entity = COMMANDED.get(key)
    if entity is None:
        raise CommandRefused("there is no such entity")
    if len(payload) > LONGEST_BYTES:
        raise CommandRefused(f"it has more than {LONGEST_BYTES} bytes")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise CommandRefused("it is not UTF-8") from None
    match entity.platform:
        case "button":
            if text != PRESS:
                raise CommandRefused(f"a button takes {PRESS}")
            return {"do": key}
        case "switch":
            if text not in ("ON", "OFF"):
                raise CommandRefused("a switch takes ON or OFF")
            return {"do": "mute" if text == "ON" else "unmute"}
        case "number":
            return {"do": "volume", "percent": _percent(text)}
        case "select":
            if text not in LOG_LEVELS:
                raise CommandRefused(f"it takes one of {', '.join(LOG_LEVELS)}")
            return {"do": "log", "level": text}
        case _:
            return {"do": key, "text": text}


def _percent(text: str) -> int:
    try:
        number = float(text) if len(text) < LONGEST_NUMBER else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:  # which NaN is not, either
        raise CommandRefused("it takes a number from 0 to 100")
    return round(number)


class FleetCommands:
    """The commands that wait, and the task that carries them out, one after the other."""

    def __init__(self, root: str, handle: RequestHandler, restart: Callable[[], None]) -> None:
        """Wait for commands.

        Args:
            root: The beginning of all topics of commands.
            handle: Carries out a request, as for a client of the control socket.
            restart: Ends the process, so that the service manager starts a new one.
        """
        self._root, self._handle, self._restart = root, handle, restart
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._came = asyncio.Event()
        self._flooded = False
        """Whether commands were dropped since the queue was last empty."""

    def take(self, message: BrokerMessage) -> None:
        """Take a command. A retained one is older than this connection, and would come again each time."""
        if message.retain or not message.topic.startswith(self._root):
            return
        key = message.topic.removeprefix(self._root)
        if len(self._waiting) < MOST_COMMANDS:
            self._waiting.append((key, message.payload))
            self._came.set()
            return
        if not self._flooded:
            _refuse(key, f"{MOST_COMMANDS} others wait already; more are dropped without a line")
        self._flooded = True

    async def run(self, answer: Callable[[Mapping[str, object]], Awaitable[None]]) -> NoReturn:
        """Carry out commands until cancelled. `answer` gets the result of each."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                await answer(await self._carry_out(*self._waiting.popleft()))
            self._flooded = False

    async def _carry_out(self, key: str, payload: bytes) -> Mapping[str, object]:
        """Carry out one command, and return what the broker is told of it."""
        told: dict[str, object] = {}

        async def note(line: Mapping[str, object]) -> None:
            told.update(line)

        try:
            wanted = request(key, payload)
            if wanted["do"] == RESTART:
                self._restart()
                told["ok"] = True
            else:
                async with asyncio.timeout(COMMAND_S):
                    await self._handle(wanted, b"", note, privileged=False)
        except CommandRefused as refusal:
            told = {"ok": False, "why": str(refusal)}
        except TimeoutError:
            told = {"ok": False, "why": f"it was not done within {COMMAND_S:.0f} s"}
        ok, why = bool(told.get("ok")), str(told.get("why", ""))
        if not ok:
            _refuse(key, why)
        return {"entity": _known(key), "ok": ok, "why": why}


def _known(key: str) -> str:
    """Return the entity's key. Any other text may be a stranger's."""
    return key if key in COMMANDED else ""


def _refuse(key: str, why: str) -> None:
    log.warning("fleet command refused: entity=%s cause=%s", _known(key) or "unknown", why)
