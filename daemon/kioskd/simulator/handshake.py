"""The WebSocket request: who is let in, who is turned away, and how."""

import asyncio
import http
import json

from pydantic import SecretStr
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kioskd.simulator.auth import Admission, Authenticator, TokenBook, admit, find_door, public_path
from kioskd.simulator.connection import CountingWebSocket, pause, reset
from kioskd.simulator.faults import FaultBook
from kioskd.simulator.records import Notices
from kioskd.simulator.script import ServiceScript


class ClientSocket(CountingWebSocket):
    """A client's connection from its TLS handshake on, so that it can be ended at any stage."""

    door: Authenticator | None = None
    admission: Admission = "no_key"
    _made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that there is something to abort."""
        super().connection_made(transport)
        self._made = True

    def abort(self) -> None:
        """Drop the connection, however far it has come."""
        if self._made:
            self.transport.abort()


class Handshake:
    """Answers WebSocket requests."""

    def __init__(
        self,
        script: ServiceScript,
        key: SecretStr,
        tokens: TokenBook,
        faults: FaultBook,
        notices: Notices,
    ) -> None:
        self._script = script
        self._key = key
        self._tokens = tokens
        self._faults = faults
        self._notices = notices

    async def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the HTTP response that ends the request, or None to open the connection."""
        assert isinstance(connection, ClientSocket)
        refusal = await self._play_faults(connection)
        if refusal is not None:
            return refusal
        door = connection.door = find_door(request.path)
        if door is None:
            return self._refuse(connection, 404, f"{public_path(request.path)} was not found on this server.")
        minted_for = self._script.token_version
        if door.constrained and minted_for not in ("any", door.version):
            return self._refuse(connection, 404, f"{public_path(request.path)} was not found on this server.")
        connection.admission = admit(door, request.path, request.headers, self._key, self._tokens)
        if connection.admission != "admitted" and self._script.bad_key != "close":
            status = 401 if self._script.bad_key == "http_401" else 403
            return self._refuse(
                connection, status, "The request does not have valid authentication credentials."
            )
        return None

    async def _play_faults(self, connection: ClientSocket) -> Response | None:
        for fault in self._faults.due("connect"):
            await pause(fault.after_s)
            self._notices.tell("fault", do=fault.do)
            if fault.do == "refuse":
                return self._refuse(connection, fault.status, "By the script.", fault.retry_after_s)
            if fault.do == "silent":
                try:
                    async with asyncio.timeout(fault.lasts_s):
                        await connection.wait_closed()
                except TimeoutError:
                    reset(connection.transport)
            elif fault.do == "expire":
                self._tokens.expire_all()
            else:
                reset(connection.transport)
        return None

    def _refuse(
        self, connection: ClientSocket, status: int, message: str, retry_after_s: int | None = None
    ) -> Response:
        self._notices.tell("refused", status=status)
        phrase = http.HTTPStatus(status).name
        response = connection.respond(
            status, json.dumps({"error": {"code": status, "message": message, "status": phrase}})
        )
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json; charset=UTF-8"
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(retry_after_s)
        return response
