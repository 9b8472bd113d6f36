"""A small MCP server over stdio, in plain Python. An MCP library makes a server of your own easier."""

import json
import sys
from typing import Any

HOURS = {"monday": "", "saturday": "10 to 20", "sunday": "10 to 20"}
WORKS = {"the mill": "room 4, left of the door", "winter": "room 2"}


def schema(name: str, description: str) -> dict[str, Any]:
    """Return the JSON Schema of arguments that are one text."""
    properties = {name: {"type": "string", "description": description}}
    return {"type": "object", "properties": properties, "required": [name]}


TOOLS = [
    {
        "name": "opening_hours",
        "description": "When the museum is open on a day of the week.",
        "inputSchema": schema("day", "monday to sunday"),
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "find_work",
        "description": "Where in the museum a work hangs.",
        "inputSchema": schema("title", "its title"),
        "annotations": {"readOnlyHint": True},
    },
]


def called(name: str, arguments: dict[str, str]) -> str:
    """Return the answer of a tool. It is empty if the tool finds nothing."""
    if name == "opening_hours":
        return HOURS.get(arguments["day"].lower(), "10 to 18")
    return WORKS.get(arguments["title"].lower(), "")


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a request. None: the method is unknown."""
    match method:
        case "initialize":
            server = {"name": "museum", "version": "1"}
            version = params["protocolVersion"]
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
        case "ping":
            return {}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            text = called(params["name"], params.get("arguments", {}))
            return {"content": [{"type": "text", "text": text}]}
    return None


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:  # a notification has no id, and gets no answer
        result = answer(request["method"], request.get("params", {}))
        told = (
            {"result": result} if result is not None else {"error": {"code": -32601, "message": "not known"}}
        )
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"]} | told) + "\n")
        sys.stdout.flush()
