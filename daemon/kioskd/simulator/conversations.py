"""Serves the connections of all clients, from setup to the end of the conversation."""

import asyncio
import logging
import time

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from kioskd.simulator.auth import public_path
from kioskd.simulator.client_messages import ClientMessages
from kioskd.simulator.connection import ClientConnection, pause
from kioskd.simulator.function_rules import check_functions
from kioskd.simulator.model_turns import ModelTurns
from kioskd.simulator.records import ConnectionRecord
from kioskd.simulator.rules import check_setup
from kioskd.simulator.schema import Resumption
from kioskd.simulator.script import ENDING_FAULTS, OPENING_FAULTS
from kioskd.simulator.state import ServiceState
from kioskd.simulator.token_locks import effective_setup
from kioskd.simulator.websocket import ServerSocket
from kioskd.simulator.wire import POLICY, RefusalError, read

log = logging.getLogger(__name__)


class Conversations:
    """The service behind the WebSocket server."""

    def __init__(self, state: ServiceState) -> None:
        self.records: list[ConnectionRecord] = []
        """All connections that were opened, oldest first."""
        self.open: list[ClientConnection] = []
        """The connections that are open, oldest first."""
        self._state = state
        self._opened = 0

    async def serve(self, websocket: ServerConnection) -> None:
        """Serve one connection until it ends."""
        assert isinstance(websocket, ServerSocket)
        assert websocket.request is not None
        self._opened += 1
        record = ConnectionRecord(self._opened, public_path(websocket.request.path))
        self.records.append(record)
        try:
            async with asyncio.TaskGroup() as tasks:
                connection = ClientConnection(
                    websocket,
                    tasks,
                    self._state.events,
                    self._state.faults,
                    record.number,
                    binary=self._state.script.frames == "binary",
                )
                self.open.append(connection)
                connection.emit("connected", path=record.path)
                try:
                    await self._converse(connection, websocket, record)
                except RefusalError as refusal:
                    connection.emit("turned_down", code=refusal.code, reason=str(refusal))
                    await connection.close(refusal.code, refusal.reason)
                except ConnectionClosed:
                    log.debug("= connection over: number=%d", record.number)
                finally:
                    self.open.remove(connection)
                    connection.stop_all()
        finally:
            sent, received = websocket.protocol.close_sent, websocket.protocol.close_rcvd
            record.closed_at = time.monotonic()
            record.close_sent = sent.code if sent else None
            record.close_received = received.code if received else None
            self._state.events.emit(
                "closed", connection=record.number, sent=record.close_sent, received=record.close_received
            )

    async def _converse(
        self, connection: ClientConnection, websocket: ServerSocket, record: ConnectionRecord
    ) -> None:
        setup = read(await connection.receive()).setup
        if setup is None:
            raise RefusalError("setup must be the first message, and only the first")
        if websocket.authentication.result == "no_key":
            raise RefusalError(
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API.",
                POLICY,
            )
        if websocket.authentication.result == "wrong_key":
            raise RefusalError("API key not valid. Please pass a valid API key.")
        endpoint, script, sessions = websocket.endpoint, self._state.script, self._state.sessions
        assert endpoint is not None
        terms = websocket.authentication.terms
        if terms is not None:
            setup = effective_setup(setup, terms.lock, refuse=script.locked == "refuse")
        name, model = check_setup(setup, endpoint)
        check_functions(setup.tools or (), endpoint.backend, script.refused_functions)
        connection.emit("setup", model=name)
        await self._play_setup_faults(connection)
        resumption = setup.session_resumption or Resumption()
        handle = resumption.handle.get_secret_value() if resumption.handle else ""
        if handle:
            await sessions.drained(handle)
            session = sessions.resume(handle, name, connection, transparent=bool(resumption.transparent))
            record.resumed = True
        else:
            session = sessions.begin(name, endpoint.backend, connection)
        record.session = session.id
        session.setups.append(setup)
        turns = ModelTurns(connection, session, setup, model, self._state)
        messages = ClientMessages(
            connection, session, setup, model, turns, state=self._state, resumed=record.resumed
        )
        try:
            await connection.send({"setupComplete": {"sessionId": session.id}})
            connection.emit("setup_complete", session=session.id, resumed=record.resumed)
            await turns.resumption.send_handle()
            while True:
                message = read(await connection.receive())
                if terms is not None and self._state.tokens.expired(terms):
                    raise RefusalError("Unauthenticated: the ephemeral token has expired.")
                await messages.handle(message)
        finally:
            turns.calls.close()
            sessions.leave(session, connection)

    async def _play_setup_faults(self, connection: ClientConnection) -> None:
        for fault in self._state.faults.due("setup"):
            if fault.do in OPENING_FAULTS:
                await pause(fault.after_s)
                connection.emit("fault", do=fault.do)
                if fault.do == "wrong_first":
                    await connection.send_go_away(fault.left_s)
                elif fault.lasts_s is not None:
                    connection.reset_in(fault.lasts_s)
            else:
                await connection.inject(fault)
                if fault.after_s or fault.do not in ENDING_FAULTS:
                    continue
            while True:
                await connection.receive()  # dropped, as there is no session
