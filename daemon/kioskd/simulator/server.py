"""The simulator of the Live service: a TLS WebSocket server on loopback that answers as Google's does."""

import asyncio
import contextlib
import datetime as dt
import logging
import socket
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Self
from weakref import WeakSet

from websockets.asyncio.server import Server, serve

from kioskd.errors import KioskError
from kioskd.simulator import handshake
from kioskd.simulator.certificate import Certificate, make_certificate
from kioskd.simulator.connection import ClientConnection
from kioskd.simulator.conversations import Conversations
from kioskd.simulator.event_feed import EventObserver
from kioskd.simulator.records import SessionRecord
from kioskd.simulator.script import OPENING_FAULTS, FaultAction, ScriptedFault, ServiceScript
from kioskd.simulator.state import ServiceState
from kioskd.simulator.token_server import PATH, TokenServer
from kioskd.simulator.websocket import ServerSocket

log = logging.getLogger(__name__)

# At DEBUG the library logs headers and payloads, and with them the key and speech.
_library_log = logging.getLogger(f"{__name__}.websockets")
_library_log.setLevel(logging.WARNING)

_LARGEST_MESSAGE: Final = 8 * 1024 * 1024
_WRITE_LIMIT: Final = 64 * 1024
# Small, so that a client soon notices that its data are not read.
_RECEIVE_BUFFER: Final = 64 * 1024
# Longer than any client waits for an answer.
_OPENING_S: Final = 120.0
_TLS_S: Final = 5.0
_CLOSING_S: Final = 1.0


class Simulator:
    """The Live service on this machine, during its `async with` block.

    It accepts and rejects the same messages as Google's service, from any client. It calls `observe(kind,
    data)` in the event loop's thread for each event: token_minted, token_refused, connected, refused, setup,
    setup_complete, turned_down, handle_issued, audio (the first of a connection), audio_stream_end, picture,
    text, recall, held_up, speech_began, speech_ended, tool_call, tool_response, tool_call_cancelled,
    tool_call_unanswered, tool_call_repeated, context_update, reply_began, reply_sent, interrupted,
    turn_complete, go_away, fault, closed. `data` holds lengths and ids, and as `t` the `time.monotonic()` of
    the event.

    Memory grows: the records keep all audio and all pictures until `state.sessions` forgets the session.

    Raises:
        ConfigError: on entering, a reply's WAV file cannot be used, or trustme is not installed.
        KioskError: on entering, the port is in use, or espeak-ng is missing or lacks the script's voice.
    """

    endpoint: str
    """`https://127.0.0.1:PORT`, once entered."""
    ca_file: Path
    """The certificate that a client must trust, as PEM; removed when the block ends."""
    token_url: str | None = None
    """The address of the owner's server that mints tokens, once entered; None without `tokens` in the
    script."""
    minting_endpoint: str | None = None
    """The endpoint at which the service itself mints tokens for the holder of its key, once entered; None as
    above."""

    def __init__(
        self,
        script: ServiceScript,
        *,
        observe: EventObserver = lambda _kind, _data: None,
        port: int = 0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`port`: 0 for any free port. `wall` returns seconds since the epoch, for the lives of tokens."""
        self._port = port
        self.state = ServiceState(script, observe, wall)
        """The state that all connections share."""
        self._conversations = Conversations(self.state)
        self.key = self.state.key
        """The key that clients need."""
        self.connections = self._conversations.records
        """The records of all WebSocket connections that were opened, oldest first."""
        self._sockets: WeakSet[ServerSocket] = WeakSet()
        self._stack = contextlib.AsyncExitStack()

    @property
    def sessions(self) -> list[SessionRecord]:
        """The records of all sessions, oldest first."""
        return self.state.sessions.records

    @property
    def open_connections(self) -> tuple[ClientConnection, ...]:
        """The connections that are open now, oldest first."""
        return tuple(self._conversations.open)

    def count(self, kind: str) -> int:
        """Return the number of events of this kind since the last `state.events.forget`."""
        return self.state.events.count(kind)

    async def wait_for(self, kind: str, nth: int = 1) -> dict[str, object]:
        """Return the data of the nth event of this kind; wait for it if needed.

        The caller sets the deadline.
        """
        return await self.state.events.wait_for(kind, nth)

    def add_fault(self, fault: ScriptedFault) -> None:
        """Add a fault to the script. Its `nth` counts events of its kind from this call on."""
        self.state.faults.add(fault)

    def inject(self, action: FaultAction) -> None:
        """Execute a fault on the newest open connection now.

        Raises:
            ValueError: no connection is open, or the fault belongs to the opening of one.
        """
        if action.do in OPENING_FAULTS:
            raise ValueError(f"{action.do} belongs to the opening of a connection; use add_fault instead")
        if not self.open_connections:
            raise ValueError(
                f"{action.do} needs an open connection, and there is none; wait for one, or use add_fault"
            )
        connection = self.open_connections[-1]
        connection.spawn(connection.inject, action)

    async def __aenter__(self) -> Self:
        script = self.state.script
        async with contextlib.AsyncExitStack() as stack:
            # Only for a socket named as TCP asyncio switches Nagle's algorithm off, which costs 40 ms a
            # message.
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            self._bind(sock)
            await self.state.speech.prepare(script.replies)
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kioskd-service-")))
            certificate = _certificate(directory, script.certificate)
            self.ca_file = certificate.ca_file
            if script.tokens:
                token_server = TokenServer(self.state)
                self.minting_endpoint = await stack.enter_async_context(
                    token_server.serving(certificate.server_context())
                )
                self.token_url = self.minting_endpoint + PATH
            self.endpoint = f"https://127.0.0.1:{sock.getsockname()[1]}"
            server = await serve(
                self._conversations.serve,
                sock=sock,
                ssl=certificate.server_context(),
                create_connection=self._create_socket,  # type: ignore[arg-type]  # typed as a class, documented as a factory
                process_request=partial(handshake.answer, self.state),
                # The real service is not known to compress, and compression is costly on two cores.
                compression=None,
                open_timeout=_OPENING_S,
                ssl_handshake_timeout=_TLS_S,
                ping_interval=None,
                close_timeout=_CLOSING_S,
                max_size=_LARGEST_MESSAGE,
                write_limit=_WRITE_LIMIT,
                logger=_library_log,
            )
            stack.push_async_callback(self._close, server)
            self._stack = stack.pop_all()
        log.info(
            "simulator of the Live service started: endpoint=%s scripted_replies=%d",
            self.endpoint,
            len(script.replies),
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def _bind(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if self._port:
            # A port that was just closed can be used again at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", self._port))
        except OSError as error:
            raise KioskError(
                f"simulator: port {self._port} of 127.0.0.1 cannot be used ({error.strerror}); "
                "choose another port, or leave it out for any free one"
            ) from error

    def _create_socket(self, *args: Any, **kwargs: Any) -> ServerSocket:
        made = ServerSocket(*args, **kwargs)
        self._sockets.add(made)
        return made

    async def _close(self, server: Server) -> None:
        """Close: first with a WebSocket close, then at once.

        It uses no deadline of asyncio: in a task that was cancelled before, such a deadline of Python 3.11
        ends as another cancellation.
        """
        server.close()
        async with asyncio.TaskGroup() as tasks:
            closed = tasks.create_task(server.wait_closed())
            try:
                while not (await asyncio.wait([closed], timeout=_CLOSING_S))[0]:
                    self._drop_all()
            finally:
                self._drop_all()

    def _drop_all(self) -> None:
        """Abort the connections of clients that do not read, and of clients without an answer."""
        for each in tuple(self._sockets):
            each.abort()


def _certificate(directory: Path, kind: str) -> Certificate:
    if kind == "not_yet_valid":
        return make_certificate(directory, starts_in=dt.timedelta(days=1))
    if kind == "other_name":
        return make_certificate(directory, hosts=("service.invalid",))
    return make_certificate(directory)
