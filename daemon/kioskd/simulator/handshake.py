"""Answers WebSocket requests: with an open connection, or with an HTTP error."""

import asyncio
import http
import json

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kioskd.simulator.auth import authenticate, find_endpoint, public_path
from kioskd.simulator.connection import pause
from kioskd.simulator.state import ServiceState
from kioskd.simulator.websocket import ServerSocket


class Handshake:
    """Answers WebSocket requests."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state

    async def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the HTTP response that ends the request, or None to open the connection."""
        assert isinstance(connection, ServerSocket)
        refusal = await self._play_faults(connection)
        if refusal is not None:
            return refusal
        script = self._state.script
        endpoint = connection.endpoint = find_endpoint(request.path)
        if endpoint is None or (
            endpoint.constrained and script.token_version not in ("any", endpoint.version)
        ):
            return self._refuse(connection, 404, f"{public_path(request.path)} was not found on this server.")
        connection.auth_result = authenticate(
            endpoint, request.path, request.headers, self._state.key, self._state.tokens
        )
        if connection.auth_result != "accepted" and script.bad_key != "close":
            status = 401 if script.bad_key == "http_401" else 403
            return self._refuse(
                connection, status, "The request does not have valid authentication credentials."
            )
        return None

    async def _play_faults(self, connection: ServerSocket) -> Response | None:
        for fault in self._state.faults.due("connect"):
            await pause(fault.after_s)
            self._state.events.emit("fault", do=fault.do)
            if fault.do == "refuse":
                return self._refuse(connection, fault.status, "By the script.", fault.retry_after_s)
            if fault.do == "silent":
                try:
                    async with asyncio.timeout(fault.lasts_s):
                        await connection.wait_closed()
                except TimeoutError:
                    connection.reset()
            elif fault.do == "expire":
                self._state.tokens.expire_all()
            else:
                connection.reset()
        return None

    def _refuse(
        self, connection: ServerSocket, status: int, message: str, retry_after_s: int | None = None
    ) -> Response:
        self._state.events.emit("refused", status=status)
        phrase = http.HTTPStatus(status).name
        response = connection.respond(
            status, json.dumps({"error": {"code": status, "message": message, "status": phrase}})
        )
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json; charset=UTF-8"
        if retry_after_s is not None:
            response.headers["Retry-After"] = str(retry_after_s)
        return response
