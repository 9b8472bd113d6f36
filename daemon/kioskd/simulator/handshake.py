"""Answers WebSocket requests with an open connection, or with an HTTP error."""

import asyncio
import http
import json

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from kioskd.simulator.auth import authenticate, find_endpoint, public_path
from kioskd.simulator.connection import pause
from kioskd.simulator.state import ServiceState
from kioskd.simulator.websocket import ServerSocket


async def answer(state: ServiceState, connection: ServerConnection, request: Request) -> Response | None:
    """Return the HTTP response that ends the request, or None to open the connection."""
    assert isinstance(connection, ServerSocket)
    refusal = await _play_faults(state, connection)
    if refusal is not None:
        return refusal
    script = state.script
    endpoint = connection.endpoint = find_endpoint(request.path)
    if endpoint is None or (endpoint.constrained and script.token_version not in ("any", endpoint.version)):
        return _refuse(state, connection, 404, f"{public_path(request.path)} was not found on this server.")
    connection.authentication = authenticate(endpoint, request.path, request.headers, state.key, state.tokens)
    if connection.authentication.result != "accepted" and script.bad_key != "close":
        status = 401 if script.bad_key == "http_401" else 403
        return _refuse(
            state, connection, status, "The request does not have valid authentication credentials."
        )
    return None


async def _play_faults(state: ServiceState, connection: ServerSocket) -> Response | None:
    for fault in state.faults.due("connect"):
        await pause(fault.after_s)
        state.events.emit("fault", do=fault.do)
        if fault.do == "refuse":
            return _refuse(state, connection, fault.status, "By the script.", fault.retry_after_s)
        if fault.do == "silent":
            try:
                async with asyncio.timeout(fault.lasts_s):
                    await connection.wait_closed()
            except TimeoutError:
                connection.reset()
        elif fault.do == "expire":
            state.tokens.expire_all()
        else:
            connection.reset()
    return None


def _refuse(
    state: ServiceState, connection: ServerSocket, status: int, message: str, retry_after_s: int | None = None
) -> Response:
    state.events.emit("refused", status=status)
    phrase = http.HTTPStatus(status).name
    response = connection.respond(
        status, json.dumps({"error": {"code": status, "message": message, "status": phrase}})
    )
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json; charset=UTF-8"
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    return response
