"""Commands from the broker become requests of remote control. They have the rights of the socket's group."""

from collections.abc import Mapping
from typing import Final

from kioskd.flow.controls.remote import LOG_LEVELS
from kioskd.flow.fleet.entities import COMMANDED

LONGEST_BYTES: Final = 4096
"""Most bytes of a command: a question, in any script."""
LONGEST_NUMBER: Final = 10
"""Most characters of a number. Home Assistant may write 70 as 70.0."""
RESTART: Final = "restart"
PRESS: Final = "PRESS"
"""What Home Assistant sends for a button."""


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
            return {"do": "ask", "text": text}


def _percent(text: str) -> int:
    try:
        number = float(text) if len(text) < LONGEST_NUMBER else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:  # which NaN is not, either
        raise CommandRefused("it takes a number from 0 to 100")
    return round(number)
