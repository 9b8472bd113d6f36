"""Somebody at a distance: the commands that reach a running kiosk, over its own control socket."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kioskd.adapters.remote.control_wire import ANSWER_BYTES
from kioskd.errors import KioskError

PATIENCE_S: Final = 10.0


class NotDone(KioskError):
    """The kiosk refuses, or does not answer; the message says why."""


async def order(socket: Path, request: Mapping[str, object], attachment: bytes = b"") -> dict[str, Any]:
    """Send one request with what belongs to it, and return the answer; see `adapters.control_wire`.

    Raises:
        NotDone: it was refused, or nobody has answered for 10 s.
    """
    size = {"bytes": len(attachment)} if attachment else {}
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_unix_connection(socket, limit=ANSWER_BYTES)
            try:
                writer.write(json.dumps({**request, **size}).encode() + b"\n" + attachment)
                await writer.drain()
                answer: dict[str, Any] = json.loads(await reader.readline())
            finally:
                writer.close()
    except (OSError, ValueError, TimeoutError) as error:
        raise NotDone(f"the kiosk does not answer at its control socket: {type(error).__name__}") from error
    if not answer["ok"]:
        raise NotDone(f"the kiosk refuses: {answer['why']}")
    return answer
