"""The ways in which a soaked connection ends."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kioskd.simulator import Simulator
from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.script import FaultAction

MARGIN_S: Final = 10.0
"""Seconds before the announced end at which a connection is left at the latest (`Policy.margin_s`)."""


@dataclass(frozen=True, slots=True)
class Ending:
    """One way to end a connection."""

    name: str
    resumable: bool
    weight: int
    do: Callable[[Simulator], None]


def _injected(action: FaultAction) -> Callable[[Simulator], None]:
    return lambda service: service.inject(action)


def _closes(code: int, reason: str) -> Callable[[Simulator], None]:
    return _injected(FaultAction(do="close", code=code, reason=reason))


def _finish(service: Simulator) -> None:
    """Close the TCP connection in the orderly way, but not the WebSocket: 1006 stands for that."""
    connection = service.open_connections[-1]
    connection.websocket.pause_reading()
    connection.spawn(_shut_down, connection)


async def _shut_down(connection: ClientConnection) -> None:
    await connection.drain()
    connection.websocket.discarding = True
    connection.websocket.tcp_socket.shutdown(socket.SHUT_RDWR)
    connection.websocket.resume_reading()


ENDINGS: Final = (
    Ending("goAway", True, 3, _injected(FaultAction(do="go_away", left_s=MARGIN_S + 1.0))),
    Ending("goAway, forced", True, 2, _injected(FaultAction(do="go_away", left_s=MARGIN_S))),
    Ending("abort", True, 2, _injected(FaultAction(do="abort"))),
    Ending("1000", True, 2, _closes(1000, "")),
    Ending("1001", True, 2, _closes(1001, "Going away.")),
    Ending("1006", True, 2, _finish),
    Ending("1007", False, 2, _closes(1007, "Request contains an invalid argument.")),
    Ending("1008", False, 2, _closes(1008, "Operation is not implemented, or supported, or enabled.")),
    Ending("1008, aborted", True, 1, _closes(1008, "The operation was aborted.")),
    Ending("1011", True, 2, _closes(1011, "Internal error encountered.")),
    # The simulator closes its end after a while, or the soak would run out of sockets.
    Ending("freeze", True, 1, _injected(FaultAction(do="freeze", lasts_s=10.0))),
)

SILENT: Final = "in silence"
"""Name of an ending, of any resumable kind, that comes after seconds without speech."""
OWN: Final = "its own end"
"""Name of an ending that the soak did not plan: the kiosk fell asleep, or was hit a second time."""
