"""An MCP server made with `mcp`'s server side, as a program: over stdio, or with a port over HTTP."""

import os
import sys
from pathlib import Path

import anyio
from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, ToolAnnotations

server = MCPServer("museum")

STDOUT = os.dup(1)
"""The protocol's pipe. The library redirects descriptor 1 elsewhere as soon as it starts."""


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def opening_hours(day: str) -> str:
    """When the museum is open on a day of the week."""
    return "" if day == "monday" else f"{day}: 10 to 18"


@server.tool(name="find-work")
def find_work(title: str) -> dict[str, str]:
    """Where a work hangs."""
    return {"title": title, "room": "4"}


@server.tool()
def secrets_of_the_house() -> str:
    """Not meant for visitors."""
    return "the safe is behind the Vermeer"


@server.tool()
def broken() -> str:
    """Always fails."""
    raise RuntimeError("no such room")


@server.tool()
def closed() -> str:
    """Refuses, with the error number that the library uses for a lost connection."""
    raise MCPError(code=CONNECTION_CLOSED, message="closed on Mondays")


@server.tool()
async def slow() -> str:
    """Takes for ever; creates a file when it begins, and one when it is cancelled."""
    notes = Path(os.environ["NOTES"])
    (notes / "begun").touch()
    try:
        await anyio.sleep_forever()
    finally:
        (notes / "cancelled").touch()
    return ""


@server.tool(name="3d_map")
def map_of_the_house() -> str:
    """Has a name that is not valid for a function of the service."""
    return "a map"


@server.tool(name="3d-map")
def other_map_of_the_house() -> str:
    """Has a name that becomes the same as another tool's."""
    return "another"


def endless() -> str:
    """Has a schema that grows without end; see below."""
    return ""


server.add_tool(endless)
_each_names_two = {f"t{n}": {"anyOf": [{"$ref": f"#/$defs/t{n + 1}"}] * 2} for n in range(24)}
next(tool for tool in server._tool_manager.list_tools() if tool.name == "endless").parameters = {
    "type": "object",
    "properties": {"q": {"$ref": "#/$defs/t0"}},
    "$defs": _each_names_two | {"t24": {"const": "x"}},
}


@server.tool()
def babble() -> str:
    """Begins a line and never ends it."""
    while True:
        os.write(STDOUT, b"x" * 65_536)


@server.tool()
def die() -> str:
    """Ends the server in the middle of a call."""
    os._exit(3)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
