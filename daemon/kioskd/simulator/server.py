"""The Live service's stand-in: a TLS WebSocket server on loopback that talks like Google's."""

import asyncio
import contextlib
import datetime as dt
import logging
import secrets
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakSet

from pydantic import SecretStr
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from kioskd.simulator.auth import TokenBook, public_path
from kioskd.simulator.certificate import Certificate, make_certificate
from kioskd.simulator.client_messages import ClientMessages
from kioskd.simulator.connection import ClientConnection, pause
from kioskd.simulator.faults import FaultBook
from kioskd.simulator.functions import check_functions
from kioskd.simulator.handshake import ClientSocket, Handshake
from kioskd.simulator.model_turns import ModelTurns
from kioskd.simulator.records import ConnectionRecord, Notices, SessionRecord, ignore
from kioskd.simulator.replies import Replies
from kioskd.simulator.rules import check_setup
from kioskd.simulator.schema import Resumption
from kioskd.simulator.script import ENDING_DEEDS, OPENING_DEEDS, Deed, ScriptedFault, ServiceScript
from kioskd.simulator.sessions import Sessions
from kioskd.simulator.token_server import TokenServer
from kioskd.simulator.tts import SpeechRenderer
from kioskd.simulator.wire import INVALID, POLICY, RefusalError, read

log = logging.getLogger(__name__)

# The library's own lines show headers and payloads at DEBUG: the key, and what was said.
_library_log = logging.getLogger(f"{__name__}.websockets")
_library_log.setLevel(logging.WARNING)

_LARGEST_MESSAGE: Final = 8 * 1024 * 1024
_WRITE_LIMIT: Final = 64 * 1024
# Small, so that a client soon feels it when nobody reads.
_RECEIVE_BUFFER: Final = 64 * 1024
# Longer than any client waits for an answer that does not come.
_OPENING_S: Final = 120.0
_TLS_S: Final = 5.0
_CLOSING_S: Final = 1.0


class Simulator:
    """The Live service on this machine, while its `async with` block lasts.

    It takes what Google's service takes, from any client, and turns down what that turns down. `observe(kind, data)` is
    called in the event loop's thread as things happen: token_minted, token_refused, connected, refused, setup, setup_complete, turned_down, handle_issued, audio (the
    first of a connection), audio_stream_end, picture, text, recall, held_up, speech_began, speech_ended, tool_call, tool_response,
    tool_call_cancelled, tool_call_unanswered, tool_call_repeated, context_update, reply_began, reply_sent, interrupted, turn_complete,
    go_away, fault, closed. `data` holds lengths and ids, and `t`, the `time.monotonic()` of it.

    Memory grows with what is said to it: the records keep every byte of audio and every picture.

    Raises:
        ConfigError: on entering: a reply's WAV file cannot be used.
        KioskError: on entering: espeak-ng is missing, or cannot speak with the script's voice.
    """

    endpoint: str
    """`https://127.0.0.1:PORT`, once entered."""

    ca_file: Path
    """What a client must trust, as PEM; removed on the way out."""

    token_url: str | None = None
    """Where tokens are minted, once entered; None without `tokens` in the script."""

    def __init__(
        self, script: ServiceScript, *, observe: Callable[[str, dict[str, object]], None] = ignore
    ) -> None:
        self.key: SecretStr = script.key or SecretStr(secrets.token_urlsafe(24))
        self.connections: list[ConnectionRecord] = []
        """Every WebSocket connection that was opened, oldest first."""

        self._script = script
        self._notices = Notices(observe)
        self._faults = FaultBook(script.faults)
        self._tokens = TokenBook()
        self._porter = Handshake(script, self.key, self._tokens, self._faults, self._notices)
        self._sessions = Sessions(last_s=script.handles_last_s, unknown_code=script.unknown_handle)
        self._replies = Replies(script.replies)
        self._voice = SpeechRenderer(script.voice)
        self._lines: list[ClientConnection] = []
        self._visitors: WeakSet[ClientSocket] = WeakSet()
        self._stack = contextlib.AsyncExitStack()

    @property
    def sessions(self) -> list[SessionRecord]:
        """Every session so far, oldest first."""
        return self._sessions.records

    async def wait_for(self, kind: str, nth: int = 1) -> dict[str, object]:
        """Return the data of the nth `kind` that was observed, waiting for it if needed; set a deadline yourself."""
        return await self._notices.wait_for(kind, nth)

    def add(self, fault: ScriptedFault) -> None:
        """Let one more fault happen; its `nth` counts from now."""
        self._faults.add(fault)

    def commit(self, deed: Deed) -> None:
        """Do this to the newest open connection, now.

        Raises:
            ValueError: no connection is open, or the deed belongs to the opening of one.
        """
        if deed.do in OPENING_DEEDS:
            raise ValueError(f"{deed.do} belongs to the opening of a connection; use add() with a Fault")
        if not self._lines:
            raise ValueError(
                f"{deed.do} needs an open connection, and there is none; wait for one, or use add()"
            )
        line = self._lines[-1]
        line.spawn(line.commit, deed)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self._voice.prepare(self._script.replies)
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kioskd-service-")))
            certificate = _certificate(directory, self._script.certificate)
            self.ca_file = certificate.ca_file
            if self._script.tokens:
                minting = TokenServer(self._tokens, self._faults, self._notices)
                self.token_url = await stack.enter_async_context(
                    minting.serving(certificate.server_context())
                )
            # Named as TCP, or asyncio does not switch Nagle's algorithm off: 40 ms a message.
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            sock.bind(("127.0.0.1", 0))
            self.endpoint = f"https://127.0.0.1:{sock.getsockname()[1]}"
            server = await serve(
                self._serve,
                sock=sock,
                ssl=certificate.server_context(),
                create_connection=self._register,  # type: ignore[arg-type]  # typed as a class, documented as a factory
                process_request=self._porter.answer,
                # Not known of the real service, and costly where both ends share two cores.
                compression=None,
                open_timeout=_OPENING_S,
                ssl_handshake_timeout=_TLS_S,
                ping_interval=None,
                close_timeout=_CLOSING_S,
                max_size=_LARGEST_MESSAGE,
                write_limit=_WRITE_LIMIT,
                logger=_library_log,
            )
            stack.push_async_callback(self._shut, server)
            self._stack = stack.pop_all()
        log.info("service stand-in up: endpoint=%s replies=%d", self.endpoint, len(self._script.replies))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _register(self, *args: Any, **kwargs: Any) -> ClientSocket:
        visitor = ClientSocket(*args, **kwargs)
        self._visitors.add(visitor)
        return visitor

    async def _shut(self, server: Server) -> None:
        """Close: first in all politeness, then at once.

        Without a deadline of asyncio's: in a task that has been cancelled before, that of Python 3.11 ends as one more
        cancellation.
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
        """Drop those who do not read, and those who were never answered."""
        for visitor in tuple(self._visitors):
            visitor.abort()

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, ClientSocket)
        assert connection.request is not None
        record = ConnectionRecord(
            len(self.connections) + 1, time.monotonic(), public_path(connection.request.path)
        )
        self.connections.append(record)
        try:
            async with asyncio.TaskGroup() as tasks:
                line = ClientConnection(
                    connection, tasks, self._notices, record.number, binary=self._script.frames == "binary"
                )
                self._lines.append(line)
                line.tell("connected", path=record.path)
                try:
                    await self._converse(line, connection, record)
                except RefusalError as refusal:
                    line.tell("turned_down", code=refusal.code, reason=str(refusal))
                    await line.close(refusal.code, refusal.reason)
                except ConnectionClosed:
                    log.debug("= connection over: number=%d", record.number)
                finally:
                    self._lines.remove(line)
                    line.stop_all()
        finally:
            sent, received = connection.protocol.close_sent, connection.protocol.close_rcvd
            record.closed_at = time.monotonic()
            record.close_sent = sent.code if sent else None
            record.close_received = received.code if received else None
            self._notices.tell(
                "closed", connection=record.number, sent=record.close_sent, received=record.close_received
            )

    async def _converse(
        self, line: ClientConnection, connection: ClientSocket, record: ConnectionRecord
    ) -> None:
        setup = read(await line.receive()).setup
        if setup is None:
            raise RefusalError(INVALID, "setup must be the first message, and only the first")
        if connection.admission == "no_key":
            raise RefusalError(
                POLICY,
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API.",
            )
        if connection.admission == "wrong_key":
            raise RefusalError(INVALID, "API key not valid. Please pass a valid API key.")
        assert connection.door is not None
        model, profile = check_setup(setup, connection.door)
        check_functions(setup.tools or (), connection.door.backend, self._script.refused_functions)
        line.tell("setup", model=model)
        await self._play_setup_faults(line)
        resumption = setup.session_resumption or Resumption()
        handle = resumption.handle.get_secret_value() if resumption.handle else ""
        if handle:
            await self._sessions.left(handle)
            session = self._sessions.resume(handle, model, line, transparent=bool(resumption.transparent))
            record.resumed = True
        else:
            session = self._sessions.begin(model, connection.door.backend, line)
        record.session = session.id
        session.setups.append(setup)
        speaking = ModelTurns(
            line,
            session,
            setup,
            profile,
            script=self._script,
            replies=self._replies,
            voice=self._voice,
            sessions=self._sessions,
            faults=self._faults,
        )
        dialogue = ClientMessages(
            line,
            session,
            setup,
            profile,
            speaking,
            replies=self._replies,
            silence_ms=self._script.silence_ms,
            resumed=record.resumed,
        )
        try:
            await line.send({"setupComplete": {"sessionId": session.id}})
            line.tell("setup_complete", session=session.id, resumed=record.resumed)
            await speaking.issue_handle()
            while True:
                await dialogue.heed(read(await line.receive()))
        finally:
            speaking.calls.leave()
            self._sessions.leave(session, line)

    async def _play_setup_faults(self, line: ClientConnection) -> None:
        for fault in self._faults.due("setup"):
            if fault.do in OPENING_DEEDS:
                await pause(fault.after_s)
                line.tell("fault", do=fault.do)
                if fault.do == "wrong_first":
                    await line.go_away(fault.left_s)
                elif fault.lasts_s is not None:
                    line.reset_in(fault.lasts_s)
            else:
                await line.commit(fault)
                if fault.after_s or fault.do not in ENDING_DEEDS:
                    continue
            while True:
                await line.receive()  # to nobody: there is no session


def _certificate(directory: Path, kind: str) -> Certificate:
    if kind == "not_yet_valid":
        return make_certificate(directory, starts_in=dt.timedelta(days=1))
    if kind == "other_name":
        return make_certificate(directory, names=("service.invalid",), addresses=())
    return make_certificate(directory)
